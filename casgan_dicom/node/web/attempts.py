"""Guesses at a token, by address: after some that were wrong, none is looked at for a while."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network
from time import monotonic

from casgan_dicom.node.addresses import as_address

MOST = 10
"""Wrong tokens from one address within `WINDOW_SECONDS`."""
WINDOW_SECONDS = 60.0
_MOST_PLACES = 10_000
_SITE_BITS = 64
"""Of an address of IP version 6: below that, one machine may choose."""


class Attempts:
    """Wrong tokens of the last minute; for one thread.

    Parameters
    ----------
    clock
        Seconds of any start.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_seconds(self, address: str) -> float:
        """How long no token from this address is looked at; 0 if it is."""
        found = self._failed.get(_place(address))
        if found is None or len(found) < MOST:
            return 0.0
        return max(0.0, found[0] + WINDOW_SECONDS - self._clock())

    def failed(self, address: str) -> None:
        """Note that a token was wrong."""
        place = _place(address)
        self._failed.setdefault(place, deque(maxlen=MOST)).append(self._clock())
        self._failed.move_to_end(place)
        while len(self._failed) > _MOST_PLACES:
            self._failed.popitem(last=False)


def _place(address: str) -> str:
    """What counts as one address."""
    found = as_address(address)
    if isinstance(found, IPv6Address) and not found.is_loopback:
        return str(IPv6Network((found.packed, _SITE_BITS), strict=False))
    return address if found is None else str(found)
