"""The arguments and options that name a peer, the same for every command that talks to one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from casgan_dicom.cli.option import option
from casgan_dicom.errors import ConfigError

if TYPE_CHECKING:
    from casgan_dicom.node.client.peer import Peer

Command = Callable[..., Any]


def peer_arguments(command: Command) -> Command:
    """Add HOST, PORT, -aec/--called and -aet/--calling, named as DCMTK names them."""
    decorators = (
        click.argument("host"),
        click.argument("port", type=click.IntRange(1, 65535)),
        option("-aec", "--called", required=True, help="AE title of the peer."),
        option("-aet", "--calling", default="CASGAN", help="Our AE title."),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def peer_of(host: str, port: int, called: str, calling: str) -> Peer:
    """The peer that the command line names; wrong usage if that cannot be one."""
    from casgan_dicom.node.client.peer import Peer

    try:
        return Peer(host, port, called, calling)
    except ConfigError as error:
        raise click.UsageError(f"{error.message}; {error.hint}") from error
