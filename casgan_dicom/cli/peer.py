"""The arguments and options that name a peer, the same for every command that talks to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from casgan_dicom.cli.option import PATH, option
from casgan_dicom.errors import ConfigError

if TYPE_CHECKING:
    from casgan_dicom.node.client.peer import Peer
    from casgan_dicom.node.client.peer_tls import PeerTls

Command = Callable[..., Any]


def peer_arguments(command: Command) -> Command:
    """Add HOST, PORT, -aec/--called and -aet/--calling, named as DCMTK names them, and those of TLS.

    The command gets them together, as its parameter `peer`.
    """

    @wraps(command)
    def called_with_peer(
        *before: object,
        host: str,
        port: int,
        called: str,
        calling: str,
        **others: Any,  # noqa: ANN401  # the other options of the command
    ) -> object:
        tls = _Tls(**{name: others.pop(name) for name in ("tls", "ca", "cert", "key", "tls_name")})
        return command(*before, peer=_peer(host, port, called, calling, tls), **others)

    decorators = (
        click.argument("host"),
        click.argument("port", type=click.IntRange(1, 65535)),
        option("-aec", "--called", required=True, help="AE title of the peer."),
        option("-aet", "--calling", default="CASGAN", help="Our AE title."),
        option("--tls", is_flag=True, help="Talk TLS; certificate and name of the peer are checked."),
        option("--ca", type=PATH, help="PEM file of the authorities it may have; else those of this system."),
        option("--cert", type=PATH, help="PEM file of the certificate to show."),
        option("--key", type=PATH, help="PEM file of its private key."),
        option("--tls-name", help="Name that its certificate must hold, where that is not HOST."),
    )
    wrapped: Command = called_with_peer
    for decorate in reversed(decorators):
        wrapped = decorate(wrapped)
    return wrapped


@dataclass(frozen=True)
class _Tls:
    """What the command line says about TLS."""

    tls: bool
    ca: Path | None
    cert: Path | None
    key: Path | None
    tls_name: str | None

    def for_host(self, host: str) -> PeerTls | None:
        """How to talk TLS to a host; None for not at all. Raises ConfigError for bad files."""
        from casgan_dicom.node.certificates import NamedFile, TlsFiles
        from casgan_dicom.node.client.peer_tls import PeerTls
        from casgan_dicom.node.tls import client_context

        if not self.tls:
            if self.ca or self.cert or self.key or self.tls_name:
                raise click.UsageError("--ca, --cert, --key and --tls-name need --tls")
            return None
        if (self.cert is None) != (self.key is None):
            raise click.UsageError("--cert and --key go together")
        paths = {"--cert": self.cert, "--key": self.key, "--ca": self.ca}
        files = TlsFiles(*(NamedFile(name, path) if path else None for name, path in paths.items()))
        context = client_context(files)
        return PeerTls(lambda: context, files, self.tls_name or host)


def _peer(host: str, port: int, called: str, calling: str, tls: _Tls) -> Peer:
    """The peer that the command line names; wrong usage if that cannot be one."""
    from casgan_dicom.node.client.peer import Peer

    secure = tls.for_host(host)
    try:
        return Peer(host, port, called, calling, tls=secure)
    except ConfigError as error:
        raise click.UsageError(f"{error.message}; {error.hint}") from error
