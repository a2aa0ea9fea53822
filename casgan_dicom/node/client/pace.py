"""How fast bytes may leave for a destination, over all connections that send there at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

_PIECES_A_SECOND = 10
"""So that pauses are short: the other side waits for the next piece no longer than for a slow network."""


class Pace:
    """A budget of bytes, which comes in evenly; whoever is early waits.

    Parameters
    ----------
    bytes_per_second
        At most so many.
    clock, sleep
        As those of `time`.
    """

    def __init__(
        self,
        bytes_per_second: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = bytes_per_second
        self._clock, self._sleep = clock, sleep
        self._turn = Lock()
        self._free_at = 0.0

    def take(self, count: int) -> int:
        """Wait until some of `count` bytes may go, and return how many: at least one, if any are wanted."""
        count = min(count, max(1, self._rate // _PIECES_A_SECOND))
        with self._turn:
            now = self._clock()
            begin = max(now, self._free_at)
            self._free_at = begin + count / self._rate
        if begin > now:
            self._sleep(begin - now)
        return count
