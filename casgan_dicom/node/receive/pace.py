"""How fast a peer may send."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

_BURST_SECONDS = 1.0
"""What has not been used lately may be made up for."""


class Pace:
    """How fast a peer may send, over all of its associations; threads may share it.

    Parameters
    ----------
    bytes_per_second
        On average.
    clock
        Seconds of any start.
    """

    def __init__(self, bytes_per_second: int, clock: Callable[[], float] = monotonic) -> None:
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._paid_until = clock()

    def came(self, count: int) -> float:
        """Note that so many bytes have come; how many seconds to wait before more is read. Never waits."""
        with self._lock:
            now = self._clock()
            begins = max(self._paid_until, now - _BURST_SECONDS)
            self._paid_until = begins + count / self._bytes_per_second
            return max(0.0, self._paid_until - now)
