"""Whose turn it is to convert on a device: one at a time, the most urgent first.

A conversion that is under way gives way to a more urgent one at the border of a batch of frames, and goes on
behind it where it was. Among equally urgent ones, what has begun ends before another begins; so there are no
more half-done conversions than there are priorities, unless a person changes these meanwhile. While a person
has paused the device, it is nobody's turn: what is under way stops at its next border.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

Ranks = Callable[[Collection[str]], Mapping[str, int]]
"""Tells how urgent some jobs are now; 0 is the most."""
LOOK_SECONDS = 1.0
"""How often what waits looks whether a pause is over."""


@dataclass(eq=False)
class Turn:
    """A conversion that waits, or has the turn."""

    job: str
    """Its job; another run of it may wait too."""
    number: int
    """Counts those that came."""
    begun: bool = False
    """Whether it has had the turn."""


class Turns:
    """The turns of one device."""

    def __init__(self, ranks: Ranks, paused: Callable[[], bool] = lambda: False) -> None:
        self._ranks = ranks
        self._paused = paused
        self._numbers = count()
        self._changed = threading.Condition()
        self._waiting: list[Turn] = []
        self._at_work: Turn | None = None

    @contextmanager
    def turn(self, job: str) -> Iterator[Turn]:
        """Wait for a turn, and have it for the block."""
        mine = Turn(job, next(self._numbers))
        with self._changed:
            self._wait(mine)
        try:
            yield mine
        finally:
            with self._changed:
                self._at_work = None
                self._pass_on()

    def give_way(self, mine: Turn, pausing: Callable[[], None]) -> None:
        """At a border: let what is more urgent go first. Calls `pausing` before that; returns behind it."""
        with self._changed:
            if not self._paused() and not self._is_behind(mine):
                return
            pausing()
            self._at_work = None
            self._wait(mine)

    def _is_behind(self, mine: Turn) -> bool:
        """Whether something waits that is more urgent."""
        if not self._waiting:
            return False
        ranks = self._ranks({each.job for each in (mine, *self._waiting)})
        return min(ranks[each.job] for each in self._waiting) < ranks[mine.job]

    def _wait(self, mine: Turn) -> None:
        self._waiting.append(mine)
        self._pass_on()
        while self._at_work is not mine:
            self._changed.wait(LOOK_SECONDS)
            self._pass_on()
        mine.begun = True

    def _pass_on(self) -> None:
        if self._at_work is not None or not self._waiting or self._paused():
            return
        ranks = self._ranks({each.job for each in self._waiting})
        following = min(self._waiting, key=lambda each: (ranks[each.job], not each.begun, each.number))
        self._waiting.remove(following)
        self._at_work = following
        self._changed.notify_all()
