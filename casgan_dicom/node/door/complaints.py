"""One line in the log for each refusal, but not without end: whoever is refused may try again at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Literal

from casgan_dicom.log import get_logger

TOLD_AT_ONCE = 20
"""Lines about one address in a row."""
WINDOW_SECONDS = 60.0
"""After which as many may follow."""
_MOST_ADDRESSES = 1000

log = get_logger("listener")


@dataclass
class _Told:
    """What was said of one address."""

    since: float
    lines: int = 0
    withheld: int = 0


Outcome = Literal[
    "message refused",
    "association aborted",
    "association rejected",
    "no context accepted",
    "no TLS",
    "web request refused",
]
"""What comes of a fault."""


class Complaints:
    """What is wrong with what peers do, told in the log; threads may share it.

    Parameters
    ----------
    clock
        Seconds of any start.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._told: dict[str, _Told] = {}
        self._lock = threading.Lock()

    def say(self, outcome: Outcome, *, address: str, **facts: str | int) -> bool:
        """Write a warning with what came of it, unless there are too many; whether it was written.

        The first one after some were withheld says how many.
        """
        with self._lock:
            now = self._clock()
            told = self._told.get(address)
            if told is None or now - told.since >= WINDOW_SECONDS:
                withheld = 0 if told is None else told.withheld
                if len(self._told) >= _MOST_ADDRESSES:
                    self._told.clear()
                told = self._told[address] = _Told(now)
                facts |= {"withheld": withheld} if withheld else {}
            told.lines += 1
            if told.lines > TOLD_AT_ONCE:
                told.withheld += 1
                return False
        if outcome == "message refused":
            log.warning("message refused", address=address, **facts)
        elif outcome == "association aborted":
            log.warning("association aborted", address=address, **facts)
        elif outcome == "no context accepted":
            log.warning("no context accepted", address=address, **facts)
        elif outcome == "no TLS":
            log.warning("no TLS", address=address, **facts)
        elif outcome == "web request refused":
            log.warning("web request refused", address=address, **facts)
        else:
            log.warning("association rejected", address=address, **facts)
        return True
