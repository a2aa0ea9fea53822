"""How fast bytes leave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from casgan_dicom.node.client.line import SocketOptions
from casgan_dicom.node.client.pace import Pace
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.scu import store
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.fake_pacs import FakePacs


class Clock:
    """One that only sleep moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def pace(self, rate: int) -> Pace:
        return Pace(rate, self.read, self.sleep)


def pieces(pace: Pace, count: int) -> Iterator[int]:
    while count:
        taken = pace.take(count)
        count -= taken
        yield taken


@pytest.mark.parametrize("rate", [1024, 100_000, 10**9])
def test_so_many_bytes_take_so_long(rate: int) -> None:
    clock = Clock()
    taken = list(pieces(clock.pace(rate), 5 * rate))

    assert sum(taken) == 5 * rate
    assert clock.now - 100.0 == pytest.approx(5.0, abs=0.2)
    assert max(clock.slept) <= 0.11  # the other side notices no pause


def test_two_that_share_a_pace_are_no_faster_than_one() -> None:
    clock = Clock()
    pace = clock.pace(1000)
    for _ in range(25):
        assert pace.take(1000) == 100
        assert pace.take(1000) == 100
    assert clock.now - 100.0 == pytest.approx(5.0, abs=0.2)


def test_time_in_which_nothing_was_sent_is_not_saved_up() -> None:
    clock = Clock()
    pace = clock.pace(1000)
    pace.take(100)
    clock.now += 1000
    list(pieces(pace, 1000))
    assert sum(clock.slept) == pytest.approx(0.9, abs=0.01)


def test_an_association_keeps_to_the_pace_and_everything_arrives(pacs: FakePacs, tmp_path: Path) -> None:
    """Of the clock here, not of the wall: what was slept is what the bytes on the wire have to take."""
    files = [write_xa(tmp_path / n, moving_frames(8), SOPInstanceUID=uid(n)) for n in "ab"]
    clock = Clock()
    results: list[StoreResult] = []

    store(pacs.peer(), files, results.append, options=SocketOptions(pace=clock.pace(100_000)))

    assert [each.outcome for each in results] == ["stored", "stored"]
    sent = sum(path.stat().st_size for path in files)
    assert sent / 100_000 - 0.2 < sum(clock.slept) < (sent + 20_000) / 100_000
