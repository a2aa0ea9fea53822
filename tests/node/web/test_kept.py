"""What takes time to find is found as often as is worth it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from casgan_dicom.node.web.kept import SHARE, Kept


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Search:
    """Finds another number each time, and takes its time."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds, self.found = clock, seconds, 0

    def __call__(self) -> int:
        self.clock.now += self.seconds
        self.found += 1
        return self.found


@pytest.mark.parametrize(("takes", "stays"), [(0.0, 2.0), (0.05, 2.0), (1.0, SHARE), (30.0, SHARE * 30.0)])
def test_a_value_stays_for_its_time_and_longer_if_it_was_dear(takes: float, stays: float) -> None:
    clock = Clock()
    kept = Kept(Search(clock, takes), 2.0, clock)

    assert kept.get() == 1
    clock.now += stays - 0.01
    assert kept.get() == 1
    clock.now += 0.02
    assert kept.get() == 2


def test_what_cannot_be_found_now_is_looked_for_by_the_next() -> None:
    answers: Iterator[OSError | int] = iter([OSError("a full disk"), 5])

    def look() -> int:
        found = next(answers)
        if isinstance(found, OSError):
            raise found
        return found

    kept = Kept(look, 2.0, Clock())

    with pytest.raises(OSError, match="full"):
        kept.get()
    assert kept.get() == 5
