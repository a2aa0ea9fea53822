"""Which entry of the configuration a sender is: by what it calls itself, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator

from casgan_dicom.node.addresses import is_loopback, is_within
from casgan_dicom.node.settings import NodeSettings, PeerSettings, places_of


def peer_of(settings: NodeSettings, calling: str, address: str) -> PeerSettings | None:
    """The first entry of `peers` that names this AE title and address; None if none does."""
    return next(peers_of(settings, calling, address), None)


def peers_of(settings: NodeSettings, calling: str, address: str) -> Iterator[PeerSettings]:
    """Every entry of `peers` that names this AE title and address.

    One without an address names this machine only, since whoever knows an AE title can call himself by it.
    """
    for peer in settings.peers:
        if peer.ae_title == calling and _may_come_from(peer, address):
            yield peer


def _may_come_from(peer: PeerSettings, address: str) -> bool:
    places = places_of(peer)
    return any(is_within(address, place) for place in places) if places else is_loopback(address)
