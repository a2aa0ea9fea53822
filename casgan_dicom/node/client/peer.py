"""A DICOM node to talk to, and in plain words why it does not talk to us.

The first hour with a new archive goes into a wrong host, port or AE title, so each sentence names the field.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.uid import UID
from pynetdicom import _config
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.presentation import PresentationContext

from casgan_dicom.errors import ConfigError, PeerError
from casgan_dicom.node.client.peer_tls import PeerTls


@dataclass(frozen=True)
class Peer:
    """A DICOM node to talk to, and what we call ourselves there; ConfigError if that cannot be right."""

    host: str
    """Name or address."""
    port: int
    """TCP port."""
    ae_title: str
    """Its AE title: the called one."""
    calling_ae_title: str = "CASGAN"
    """Our AE title."""
    connect_seconds: float = 10.0
    """For the TCP connection, and again for the association."""
    response_seconds: float = 60.0
    """For a response once the request is on its way, and for any pause in sending it."""
    tls: PeerTls | None = None
    """How to talk TLS; None to talk without."""

    def __post_init__(self) -> None:
        """Raise ConfigError that names everything which is wrong."""
        wrong = [] if self.host.strip() else ["the host is empty"]
        if not 0 < self.port < 65536:
            wrong.append(f"port {self.port} is not between 1 and 65535")
        for name, title in (("called", self.ae_title), ("calling", self.calling_ae_title)):
            legal, reason = _config.VALIDATORS["AE"](title)
            if not (legal and title.strip()):
                wrong.append(f"{name} AE title {title!r} {reason or 'is empty'}")
        for seconds in (self.connect_seconds, self.response_seconds):
            if not seconds > 0:
                wrong.append(f"a timeout of {seconds:g} s is not more than 0")
        if wrong:
            raise ConfigError("; ".join(wrong), hint="an AE title is 1 to 16 ASCII characters, no backslash")

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}"


def unreachable(peer: Peer, error: OSError | UnicodeError) -> PeerError:
    """There is no TCP connection, or not even an address."""
    said = getattr(error, "strerror", None) or type(error).__name__
    if isinstance(error, socket.gaierror | UnicodeError):
        return PeerError(
            f"{peer}: host '{peer.host}' is unknown ({said})",
            hint="check the spelling of the host, or use its address",
            field="host",
        )
    if isinstance(error, ConnectionRefusedError):
        return PeerError(
            f"{peer}: port {peer.port} is closed (connection refused)",
            hint="check the port, and that the peer is running",
            field="port",
        )
    if isinstance(error, TimeoutError):
        return PeerError(
            f"{peer}: no connection within {peer.connect_seconds:g} s",
            hint="check host and port, and whether a firewall lies between",
            field="host",
        )
    return PeerError(f"{peer}: no connection ({said})", hint="check the host", field="host")


def rejected(peer: Peer, answer: A_ASSOCIATE_RJ) -> PeerError:
    """The peer answered A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    match answer.source, answer.reason_diagnostic:
        case 1, 7:
            return PeerError(
                f"{peer}: called AE title '{peer.ae_title}' is not known there",
                hint="check the AE title of the peer",
                field="ae_title",
            )
        case 1, 3:
            ours = "our AE title, our certificate" if peer.tls else "our AE title"
            return PeerError(
                f"{peer}: calling AE title '{peer.calling_ae_title}' is not allowed there",
                hint=f"enter {ours} and the address of this machine there, or use a title that it knows",
                field="calling_ae_title",
            )
        case 3, (1 | 2):
            return PeerError(f"{peer} is busy ({answer.reason_str.lower()})", hint="try again later")
    codes = f"result {answer.result}, source {answer.source}, reason {answer.reason_diagnostic}"
    return PeerError(f"{peer} rejected the association ({codes})", hint="its log may say why")


def not_accepted(peer: Peer, contexts: Sequence[PresentationContext]) -> PeerError:
    """The peer accepted none of these presentation contexts, each of one transfer syntax."""
    names = "; ".join(
        dict.fromkeys(
            f"{each.abstract_syntax.name} as {_syntax(each)}" for each in contexts if each.abstract_syntax
        )
    )
    return PeerError(
        f"{peer} does not accept {names}", hint="let the peer accept that SOP class and transfer syntax"
    )


def _syntax(context: PresentationContext) -> str:
    return UID(context.transfer_syntax[0]).name
