"""How long a peer has to wait that may send so many bytes a second; beside a calculation by hand."""

from __future__ import annotations

import pytest

from casgan_dicom.node.receive.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_second_that_was_not_used_is_made_up_for_and_no_more() -> None:
    clock = Clock()
    pace = Pace(1000, clock)
    clock.now += 3600

    assert pace.came(1000) == 0
    assert pace.came(500) == pytest.approx(0.5)
    assert pace.came(500) == pytest.approx(1.0)
    clock.now += 0.75
    assert pace.came(0) == pytest.approx(0.25)


def test_whoever_waits_as_told_sends_as_fast_as_it_may_and_no_faster() -> None:
    clock = Clock()
    pace, sent = Pace(1000, clock), 0
    while clock.now < 160:
        clock.now += pace.came(137)
        sent += 137

    assert sent == pytest.approx(60_000, rel=0.03)


def test_who_sends_slower_never_waits() -> None:
    clock = Clock()
    pace = Pace(1000, clock)
    for _ in range(100):
        clock.now += 0.2
        assert pace.came(199) == 0
