"""``casgan-dicom node forget``, and what ``status`` says of the hosts that share a database."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.node_orders import ledger_of
from casgan_dicom.cli.output import json_option, say, show_json, tell
from casgan_dicom.node.settings import NodeSettings

if TYPE_CHECKING:
    from casgan_dicom.node.state.overview import Status


@click.command()
@click.argument("host")
@json_option("NODE_FORGET")
@click.pass_obj
def forget(settings: NodeSettings, *, host: str, as_json: bool) -> None:
    """Count on HOST no more, which is gone for good with its files.

    What it had to convert is done by others without this. Here is said that they need not wait for its files
    either: what it made and had not delivered is made again, under the same UIDs, and series whose instances
    only it had become `lacking` until they are sent again. Should it come back, it is a host like any other.
    """
    from casgan_dicom.node.state.hosts import Hosts

    with ledger_of(settings) as ledger:
        jobs = Hosts(ledger).forget(host)
    if as_json:
        show_json({"host": host, "jobs": jobs})
    else:
        say(f"casgan-dicom: host {host} is forgotten; jobs that start again: {jobs}")


def show_hosts(found: Status) -> None:
    """Print the hosts and the leases, a line each; nothing for a node by itself."""
    for host in found.hosts:
        seen = f"{datetime.fromtimestamp(host.seen_at):%Y-%m-%d %H:%M:%S}"
        said = ["lives" if host.is_live else f"gone since {seen}", host.program, *host.roles, host.address]
        tell(f"host         {host.name}: {', '.join(filter(None, said))}")
    for lease in found.leases:
        name = lease.holder.partition(" ")[0]
        if lease.name != f"host {name}":
            left = f"{lease.seconds_left:g} s left" if lease.seconds_left > 0 else "ended"
            tell(f"lease        {lease.name}: {name}, number {lease.token}, {left}")
