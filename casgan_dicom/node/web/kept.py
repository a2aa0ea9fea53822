"""Values that take time to find, kept for a while: many browsers that ask every other second cost as one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

SHARE = 20
"""Times as long as it took to find it, a value is kept at least: 5 % of one core goes into it at most."""

T = TypeVar("T")


class Kept(Generic[T]):
    """A value that is made anew when it is too old; threads may share it, and one makes it for all.

    Parameters
    ----------
    make
        Finds the value; what it raises comes through, and is tried again by the next.
    seconds
        How long the value is kept at least.
    clock
        Seconds of any start.
    """

    def __init__(self, make: Callable[[], T], seconds: float, clock: Callable[[], float]) -> None:
        self._make, self._seconds, self._clock = make, seconds, clock
        self._lock = threading.Lock()
        self._known: tuple[float, T] | None = None

    def get(self) -> T:
        """The value."""
        with self._lock:
            begin = self._clock()
            if self._known is None or begin >= self._known[0]:
                value = self._make()
                end = self._clock()
                self._known = end + max(self._seconds, SHARE * (end - begin)), value
            return self._known[1]
