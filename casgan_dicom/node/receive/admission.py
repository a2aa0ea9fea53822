"""Who may come in. A pure function of the settings and of what a peer says and shows."""

from __future__ import annotations

from casgan_dicom.node.addresses import is_loopback
from casgan_dicom.node.peers import peer_of
from casgan_dicom.node.settings import NodeSettings

UNKNOWN_CALLER, UNKNOWN_CALLED = 3, 7
"""Reasons of a rejection, PS3.8 9.3.4: AE title not recognized."""


def admission(settings: NodeSettings, calling: str, called: str, address: str) -> int:
    """Decide who may come in.

    Returns 0, or the reason of the rejection. Without a list of peers everybody on this machine may, nobody
    else; a peer of which no address is known may from this machine only, since whoever knows an AE title can
    call himself by it. The AE title that they call must be ours in any case.
    """
    if called != settings.listener.ae_title:
        return UNKNOWN_CALLED
    if not settings.peers:
        return 0 if is_loopback(address) else UNKNOWN_CALLER
    return UNKNOWN_CALLER if peer_of(settings, calling, address) is None else 0
