"""``casgan-dicom pull``: series from an archive into the node's spool."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.option import option
from casgan_dicom.cli.output import json_option, say, show_error, show_json, tell
from casgan_dicom.errors import CasganError, ConfigError

if TYPE_CHECKING:
    from casgan_dicom.node.client.query import Wanted
    from casgan_dicom.node.receive.pull import Pulled
    from casgan_dicom.node.settings import ArchiveSettings, NodeSettings

EXIT_CODES = """\b
Exit codes:
  0  everything that is wanted is here
  2  wrong usage
  3  the archive holds nothing of that kind
  4  some instances did not come: pull again
  5  configuration
  6  the archive refused, aborted or stayed silent
"""
_DATES = re.compile(r"[0-9]{8}|[0-9]{8}-[0-9]{0,8}|-[0-9]{8}")


def _dates(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if value and not _DATES.fullmatch(value):
        raise click.BadParameter(f"'{value}' is no day as 20261201 and no range as 20261101-20261201")
    return value


def _uids(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    from casgan_dicom.uids import is_uid

    wrong = [each for each in value if not is_uid(each)]
    if wrong:
        raise click.BadParameter(f"'{wrong[0]}' is no UID")
    return value


@click.command("pull", epilog=EXIT_CODES)
@click.argument("archive")
@option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar=["CASGAN_PULL_CONFIG", "CASGAN_NODE_CONFIG"],
    required=True,
    help="TOML file of the node; its [[archives]] say what ARCHIVE is.",
)
@option("--study", multiple=True, callback=_uids, help="Study Instance UID; may be given several times.")
@option(
    "--series", multiple=True, callback=_uids, help="Only this Series Instance UID; several times likewise."
)
@option("--date", default="", callback=_dates, help="Study Date: 20261201, or 20261101-20261201.")
@option("--modality", multiple=True, default=("XA", "RF"), help="Only series of it.")
@option("--dry-run", is_flag=True, help="Only say what would be fetched.")
@json_option("PULL")
@click.pass_context
def pull(  # noqa: PLR0913  # one parameter per option is how click calls
    ctx: click.Context,
    *,
    archive: str,
    config: Path,
    study: tuple[str, ...],
    series: tuple[str, ...],
    date: str,
    modality: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Fetch series from ARCHIVE, one of [[archives]] of the node's configuration, into the node.

    It treats them as if a modality had sent them. What the node has received before, or made, is not fetched
    again; a pull that was ended goes on when it is started again. A node that is stopped converts when it
    starts.
    """
    from casgan_dicom.node.checks import load_node_settings
    from casgan_dicom.node.client.query import Wanted

    if not study and not date:
        raise click.UsageError("--study or --date is needed: all that an archive holds is never wanted")
    settings = load_node_settings(config, os.environ)
    settings = replace(settings, data=settings.data.absolute())  # the ledger holds paths
    wanted = Wanted(study, series, date, modality)
    pulled, failure = _pull(settings, _named(settings, archive), wanted, dry_run=dry_run)
    if as_json:
        show_json(_as_json(archive, pulled, failure))
    else:
        _tell(archive, pulled, dry_run=dry_run)
    if failure is not None:
        show_error(failure)
        ctx.exit(failure.exit_code)
    if pulled is not None:
        ctx.exit(3 if not pulled.held else 4 if pulled.left and not dry_run else 0)


def _named(settings: NodeSettings, name: str) -> ArchiveSettings:
    for each in settings.archives:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in settings.archives) or "none"
    raise ConfigError(
        f"archive '{name}' is not in the configuration, there: {known}",
        hint="add a table [[archives]]; deploy/node.toml shows its keys",
    )


def _pull(
    settings: NodeSettings, archive: ArchiveSettings, wanted: Wanted, *, dry_run: bool
) -> tuple[Pulled | None, CasganError | None]:
    """What became of it, and what ended it before its time."""
    from casgan_dicom.node.receive.pull import Pull
    from casgan_dicom.node.state.books import open_ledger
    from casgan_dicom.node.state.layout import Layout
    from casgan_dicom.node.state.private import UMASK, make_private
    from casgan_dicom.node.work.recipe import recipe_of_node

    os.umask(UMASK)
    layout = Layout(settings.data)
    make_private(layout.data)
    ledger = open_ledger(settings)
    pulled = None
    try:
        one = Pull(settings, archive, ledger, recipe_of_node(settings))
        pulled = one.look(wanted)
        if not dry_run:
            one.fetch(pulled, lambda so_far: say(f"  {so_far.fetched} of {len(so_far.missing)} instances"))
    except CasganError as error:
        return pulled, error
    finally:
        ledger.close()
    return pulled, None


def _tell(archive: str, pulled: Pulled | None, *, dry_run: bool) -> None:
    if pulled is None:
        return
    here = f"{pulled.known} were here before, {pulled.foreign} are of kinds that are not taken"
    tell(f"{archive} holds {pulled.held} instances of what is wanted; {here}")
    tell(
        f"{len(pulled.missing)} to fetch"
        if dry_run
        else f"{pulled.fetched} fetched, {pulled.left} did not come"
    )


def _as_json(archive: str, pulled: Pulled | None, failure: CasganError | None) -> dict[str, object]:
    found: dict[str, object] = {"archive": archive, "error": failure and failure.message}
    if pulled is not None:
        found |= {"held": pulled.held, "known": pulled.known, "foreign": pulled.foreign}
        found |= {"missing": len(pulled.missing), "fetched": pulled.fetched}
        found["series"] = sorted({each.series_uid for each in pulled.missing})
    return found
