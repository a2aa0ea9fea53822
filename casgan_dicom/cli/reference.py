"""``casgan-dicom reference``: which earlier runs could lend their vessels to a run, and why?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.device import device_option
from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import json_option, show_json
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE

if TYPE_CHECKING:
    from casgan_dicom.conversion.reference_list import ListedReference, ListedTarget

_MARKS = {"fits": "+", "refused": "-", "unknown": "?"}


@click.command(
    "reference",
    epilog="\b\nExit codes:\n  0  every run has a reference\n  2  wrong usage\n"
    "  3  none has one\n  4  some have none\n  5  configuration or bundle\n",
)
@click.argument("target", nargs=-1, required=True, type=PATH)
@option(
    "--in",
    "search",
    envvar="CASGAN_REFERENCE_IN",
    multiple=True,
    type=PATH,
    help="Folder in which earlier runs are looked for, beside TARGET. Repeatable.",
)
@option("--bundle", help="Whose segmentor tells which frames are filled.  [default: atlas]")
@device_option()
@option("--headers-only", is_flag=True, help="Decode nothing: which frames are filled stays unknown.")
@json_option("REFERENCE")
@click.pass_context
def reference(  # noqa: PLR0913  # one parameter per option is how click calls
    ctx: click.Context,
    *,
    target: tuple[Path, ...],
    search: tuple[Path, ...],
    bundle: str | None,
    device: str,
    headers_only: bool,
    as_json: bool,
) -> None:
    """Say which runs could lend their vessels to the runs in TARGET (`convert --reference`), and why.

    Each criterion fits (+), does not (-), or cannot be told (?). Nothing is written. The output holds no
    patient data and no file names: runs go by their UIDs.
    """
    from casgan_dicom.conversion.convert import loader_of
    from casgan_dicom.conversion.reference_list import list_references

    load = None if headers_only else loader_of(bundle or DEFAULT_BUNDLE, device)
    found = list_references(target, search, load)
    if as_json:
        show_json(found.as_json())
        ctx.exit(found.exit_code)
    for one in found.targets:
        _show(one)
    ctx.exit(found.exit_code)


def _show(target: ListedTarget) -> None:
    click.echo(f"run {target.series_uid}")
    if not target.references:
        click.echo("  no other run was found")
    for one in target.references:
        click.echo(f"  {_title(one)}")
        for verdict in one.verdicts:
            click.echo(f"    {_MARKS[verdict.answer]} {verdict}")


def _title(one: ListedReference) -> str:
    fate = "fits" if one.fits else "does not fit"
    return f"{fate}: {one.series_uid}, {one.frames} frames"
