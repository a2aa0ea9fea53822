"""``casgan-dicom verify``: is this derived object honest?"""

from __future__ import annotations

from pathlib import Path

import click

from casgan_dicom.cli.option import option
from casgan_dicom.cli.output import json_option, show_json, tell


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
    from casgan_dicom.verification.verify import verify as verify_files

    checked = verify_files(files, sources=source or None)
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
                tell(f"{path}: {line}")
    ctx.exit(3 if any(checked.values()) else 0)
