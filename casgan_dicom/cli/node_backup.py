"""``casgan-dicom node backup`` and ``restore``: the data folder, kept elsewhere, and brought back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.node_clean import size
from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import json_option, say, show_json, tell
from casgan_dicom.errors import ConfigError

if TYPE_CHECKING:
    from casgan_dicom.node.backup.manifest import Card
    from casgan_dicom.node.settings import NodeSettings

EXIT_CODES = """\b
Exit codes:
  0  it is whole
  1  it is whole, but files that the ledger names were not there: node audit tells which
  2  wrong usage
  3  it cannot be written
  5  configuration, or there is nothing to back up
"""


@click.command(epilog=EXIT_CODES)
@click.argument("folder", type=PATH)
@option("--link", is_flag=True, help="Share received and derived files with the data folder (hard links).")
@json_option("NODE_BACKUP", "what was backed up")
@click.pass_context
def backup(ctx: click.Context, *, folder: Path, link: bool, as_json: bool) -> None:
    """Copy the data folder to FOLDER, which must not be there or be empty; the node may run meanwhile.

    The databases as they are at one moment, and every file that they name, with its SHA-256. Retention waits
    until it is done. It is whole or not there. The configuration, certificates and keys are not in it.
    """
    from casgan_dicom.node.backup.saving import back_up
    from casgan_dicom.node.state.layout import Layout

    settings: NodeSettings = ctx.obj
    _refuse_server(settings)
    card = back_up(Layout(settings.data), folder, link=link)
    _show(card, folder, as_json=as_json)
    if card.missing:
        say(f"casgan-dicom: {card.missing} files that the ledger names were not there, see node audit")
        ctx.exit(1)


@click.command()
@click.argument("folder", type=PATH)
@json_option("NODE_RESTORE", "what was restored")
@click.pass_obj
def restore(settings: NodeSettings, *, folder: Path, as_json: bool) -> None:
    """Make the data folder of the configuration, empty now, of the backup in FOLDER.

    Every file of the backup is checked before anything is written. Then start the node: it goes on from the
    moment of the backup.
    """
    from casgan_dicom.node.backup.restoring import restore as bring_back
    from casgan_dicom.node.state.layout import Layout

    _refuse_server(settings)
    _show(bring_back(folder, Layout(settings.data)), settings.data, as_json=as_json)


def _refuse_server(settings: NodeSettings) -> None:
    """Raise ConfigError where the databases are not in the data folder."""
    if settings.state.database:
        raise ConfigError(
            "state.database: the databases of this node are not in its data folder, but in PostgreSQL",
            hint='pg_dump first, then a copy of the data folder: see "On PostgreSQL" in docs/operations.md',
        )


def _show(card: Card, where: Path, *, as_json: bool) -> None:
    if as_json:
        show_json(asdict(card))
    else:
        tell(f"{where}: {card.files} files, {size(card.bytes)}, as of {card.at}")
