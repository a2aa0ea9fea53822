"""``casgan-dicom node pause`` and ``resume``: conversions, or what goes to a destination."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.node_orders import ledger_of
from casgan_dicom.cli.option import option
from casgan_dicom.cli.output import json_option, say, show_json, tell
from casgan_dicom.errors import ConfigError
from casgan_dicom.node.settings import NodeSettings

if TYPE_CHECKING:
    from casgan_dicom.node.state.pauses import Pause


@click.command()
@click.argument("destination", nargs=-1)
@option("--device", multiple=True, help="Conversions on this device only. Repeatable.")
@json_option("NODE_PAUSE")
@click.pass_obj
def pause(
    settings: NodeSettings, *, destination: tuple[str, ...], device: tuple[str, ...], as_json: bool
) -> None:
    """Pause what goes to each DESTINATION; without any, the conversions of all devices.

    A conversion under way stops at the next batch of frames, a delivery under way ends. Series still come in,
    and wait in their order. It holds until `resume`, also over a restart.
    """
    from casgan_dicom.node.state.pauses import Pauses

    wanted = _named(settings, destination, device) or _named(settings, (), settings.worker.devices)
    with ledger_of(settings) as ledger:
        Pauses(ledger).begin(wanted, time())
    _show("paused", wanted, as_json=as_json)


@click.command()
@click.argument("destination", nargs=-1)
@option("--device", multiple=True, help="Conversions on this device only. Repeatable.")
@json_option("NODE_RESUME")
@click.pass_obj
def resume(
    settings: NodeSettings, *, destination: tuple[str, ...], device: tuple[str, ...], as_json: bool
) -> None:
    """Let go on what was paused: what goes to each DESTINATION; without any, everything."""
    from casgan_dicom.node.state.pauses import Pauses

    with ledger_of(settings) as ledger:
        pauses = Pauses(ledger)
        named = destination or device
        ended = pauses.end(
            _named(settings, destination, device, known=pauses.all()) if named else pauses.all()
        )
    _show("resumed", ended, as_json=as_json)
    if not ended:
        say("casgan-dicom: nothing of it was paused")


def _named(
    settings: NodeSettings,
    destinations: tuple[str, ...],
    devices: tuple[str, ...],
    known: list[Pause] | None = None,
) -> list[Pause]:
    """The pauses of these names. Raises ConfigError for a name that is neither configured nor in `known`."""
    from casgan_dicom.node.state.pauses import Pause

    configured = [Pause("send", each.name) for each in settings.destinations]
    configured += [Pause("convert", each) for each in settings.worker.devices]
    wanted = [Pause("send", name) for name in destinations] + [Pause("convert", name) for name in devices]
    there = [*configured, *(known or ())]
    if unknown := [each for each in wanted if each not in there]:
        raise ConfigError(
            f"there are no {', '.join(map(str, unknown))}",
            hint=f"known: {', '.join(dict.fromkeys(map(str, there)))}",
        )
    return wanted


def _show(word: str, pauses: list[Pause], *, as_json: bool) -> None:
    if as_json:
        show_json({word: [{"what": each.what, "name": each.name} for each in pauses]})
    else:
        for each in pauses:
            tell(f"{each}: {word}")
