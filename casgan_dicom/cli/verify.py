"""``casgan-dicom verify``: is this derived object honest?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from casgan_dicom.cli.option import option
from casgan_dicom.cli.output import json_option, show_json
from casgan_dicom.errors import OutputError
from casgan_dicom.verification.comparison import source_headers
from casgan_dicom.verification.verify import verify_file


@click.command(
    "verify", epilog="\b\nExit codes:\n  0  no finding\n  2  wrong usage\n  3  at least one finding\n"
)
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@option(
    "--source",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="File or folder of what they were made of: patient, study and references are compared. Repeatable.",
)
@json_option("VERIFY", "the findings")
@click.pass_context
def verify(ctx: click.Context, *, files: tuple[Path, ...], source: tuple[Path, ...], as_json: bool) -> None:
    """Check derived objects for what general validators do not see.

    FILES may be folders: then every file in them that ends in .dcm is checked. One line is printed for each
    finding, with the name of its rule.
    """
    sources = source_headers(source) if source else None
    checked = {path: verify_file(path, sources) for path in _expand(files)}
    if not checked:
        raise OutputError("no file to check", hint="pass files, or a folder with files that end in .dcm")
    if as_json:
        show_json(
            [
                {
                    "path": str(path),
                    "findings": [{"rule": finding.rule, "message": finding.message} for finding in findings],
                }
                for path, findings in checked.items()
            ]
        )
    else:
        for path, findings in checked.items():
            for line in map(str, findings) if findings else ["ok"]:
                click.echo(f"{path}: {line}")
    ctx.exit(3 if any(checked.values()) else 0)


def _expand(files: Sequence[Path]) -> Iterator[Path]:
    """Files as they are, folders as the .dcm files in them."""
    for path in files:
        if path.is_dir():
            yield from sorted(path.rglob("*.dcm"))
        else:
            yield path
