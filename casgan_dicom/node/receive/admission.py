"""Who may come in. Pure functions of the settings and of what a peer says and shows."""

from __future__ import annotations

from dataclasses import dataclass

from casgan_dicom.node.addresses import as_address, is_loopback
from casgan_dicom.node.door.refusals import Kind
from casgan_dicom.node.peers import peers_of
from casgan_dicom.node.settings import NodeSettings, PeerSettings, titles_of
from casgan_dicom.node.tls import Identity

UNKNOWN_CALLER, UNKNOWN_CALLED = (1, 1, 3), (1, 1, 7)
"""Result, source and reason, PS3.8 table 9-21: permanent, of the user, AE title not recognized."""
LIMIT_EXCEEDED = (2, 3, 2)
"""Transient, presentation related, local limit exceeded."""


@dataclass(frozen=True)
class Caller:
    """Somebody who wants an association."""

    calling: str
    """What it calls itself."""
    called: str
    """What it calls us."""
    address: str
    """IP address that it comes from."""
    identity: Identity | None = None
    """What its certificate says; None where it showed none, or did not come by TLS."""


@dataclass(frozen=True)
class Rejection:
    """An association that is not to be."""

    kind: Kind
    """What it is counted as."""
    codes: tuple[int, int, int]
    """Result, source and reason, PS3.8 table 9-21."""
    said: str
    """Why, for the log."""


TOO_MANY = Rejection(
    "too many associations", LIMIT_EXCEEDED, "it has as many associations as its max_associations allows"
)


def admission(settings: NodeSettings, caller: Caller) -> PeerSettings | Rejection:
    """Decide who may come in: who it is, or why not.

    Without a list of peers everybody on this machine may, nobody else, and there is no limit to what he may
    do; a peer of which no address is known may from this machine only, since whoever knows an AE title can
    call himself by it. The AE title that they call must be ours in any case, and the certificate theirs.
    """
    if caller.called not in titles_of(settings.listener):
        return Rejection("called title", UNKNOWN_CALLED, "called AE title is not ours")
    found = _known(settings, caller)
    if not found:
        return Rejection("sender", UNKNOWN_CALLER, "caller is not among the peers")
    proven = [peer for peer in found if is_proven(peer, caller.identity)]
    if not proven:
        shown = "no certificate" if caller.identity is None else "the certificate of somebody else"
        return Rejection("certificate", UNKNOWN_CALLER, f"caller shows {shown}")
    for peer in proven:
        if not peer.called_ae_titles or caller.called in peer.called_ae_titles:
            return peer
    return Rejection("called title", UNKNOWN_CALLED, "caller may not call this AE title")


def _known(settings: NodeSettings, caller: Caller) -> list[PeerSettings]:
    """Whom it may be, by what it calls itself and where it comes from."""
    if settings.peers:
        return list(peers_of(settings, caller.calling, caller.address))
    return [PeerSettings(caller.calling)] if is_loopback(caller.address) else []


def is_proven(peer: PeerSettings, identity: Identity | None) -> bool:
    """Whether a certificate is the one of a peer; true for a peer that needs none."""
    if not (peer.certificate_name or peer.certificate_sha256):
        return True
    if identity is None:
        return False
    wanted = peer.certificate_sha256.replace(":", "").lower()
    if wanted and wanted != identity.sha256:
        return False
    return not peer.certificate_name or any(_is_same(peer.certificate_name, name) for name in identity.names)


def _is_same(wanted: str, found: str) -> bool:
    """Whether two names with their kinds are the same: DNS in any case, addresses in any form."""
    (kind, _, text), (other, _, value) = wanted.partition(":"), found.partition(":")
    if kind != other:
        return False
    if kind == "IP":
        return as_address(text) == as_address(value) is not None
    return text.lower() == value.lower() if kind == "DNS" else text == value
