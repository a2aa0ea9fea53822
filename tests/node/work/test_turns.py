"""Whose turn it is: one conversion at a time, the most urgent first, what has begun before what has not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Queue

import pytest

from casgan_dicom.node.work.turns import Turns
from tests.node.nodes import wait_for

URGENT, ROUTINE, BATCH = range(3)


class Conversion:
    """A thread that takes a step each time it is told to, and gives way between two."""

    def __init__(self, turns: Turns, name: str, said: list[str]) -> None:
        self._orders = Queue[bool]()
        self._thread = threading.Thread(target=self._run, args=[turns, name, said], daemon=True)
        self._thread.start()

    def _run(self, turns: Turns, name: str, said: list[str]) -> None:
        with turns.turn(name) as turn:
            said.append(f"{name} begins")
            while self._orders.get():
                turns.give_way(turn, lambda: said.append(f"{name} pauses"))
                said.append(f"{name} goes on")
            said.append(f"{name} ends")

    def step(self, *, more: bool = True) -> None:
        self._orders.put(more)

    def wait(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture
def ranks() -> dict[str, int]:
    return {}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def begin(ranks: dict[str, int], said: list[str]) -> Callable[[str, int], Conversion]:
    turns = Turns(lambda jobs: {job: ranks[job] for job in jobs})

    def start(name: str, rank: int) -> Conversion:
        ranks[name] = rank
        waiting = len(turns._waiting)
        conversion = Conversion(turns, name, said)
        wait_for(lambda: f"{name} begins" in said or len(turns._waiting) > waiting, f"{name} to come")
        return conversion

    return start


Begin = Callable[[str, int], Conversion]


def test_what_is_under_way_gives_way_to_the_more_urgent_and_goes_on_behind_it(
    begin: Begin, said: list[str]
) -> None:
    long, short = begin("long", BATCH), begin("short", ROUTINE)
    assert said == ["long begins"]  # never two at a time

    long.step()
    wait_for(lambda: "short begins" in said, "the turn of the short one")
    short.step(more=False)
    short.wait()
    long.step(more=False)
    long.wait()

    assert said == ["long begins", "long pauses", "short begins", "short ends", "long goes on", "long ends"]


def test_equally_urgent_ones_end_in_the_order_in_which_they_came(begin: Begin, said: list[str]) -> None:
    conversions = [begin(name, ROUTINE) for name in "abc"]
    conversions[0].step()
    wait_for(lambda: "a goes on" in said, "the first to go on")
    for conversion in conversions:
        conversion.step(more=False)
        conversion.wait()

    assert [each for each in said if "goes" not in each] == [
        f"{name} {what}" for name in "abc" for what in ("begins", "ends")
    ]


def test_the_most_urgent_of_those_that_wait_is_next_and_what_has_begun_before_what_has_not(
    begin: Begin, said: list[str]
) -> None:
    batch, other, urgent = begin("batch", BATCH), begin("other", BATCH), begin("urgent", URGENT)
    batch.step()
    wait_for(lambda: "urgent begins" in said, "the urgent one")
    for conversion in (urgent, batch, other):
        conversion.step(more=False)
        conversion.wait()

    assert said == [
        "batch begins", "batch pauses", "urgent begins", "urgent ends",
        "batch goes on", "batch ends", "other begins", "other ends",
    ]  # fmt: skip


def test_a_priority_that_changes_meanwhile_counts(
    begin: Begin, ranks: dict[str, int], said: list[str]
) -> None:
    first, second = begin("first", ROUTINE), begin("second", ROUTINE)
    ranks["second"] = URGENT
    first.step()
    wait_for(lambda: "second begins" in said, "the turn of the second")
    for conversion in (second, first):
        conversion.step(more=False)
        conversion.wait()

    assert said[1] == "first pauses"


def test_a_conversion_that_fails_hands_the_turn_on(ranks: dict[str, int]) -> None:
    ranks["a"] = ROUTINE
    turns = Turns(lambda jobs: {job: ranks[job] for job in jobs})

    with pytest.raises(RuntimeError), turns.turn("a"):
        raise RuntimeError
    with turns.turn("a") as turn:
        assert turn.begun


def test_while_the_device_is_paused_nobody_has_the_turn_and_what_is_under_way_waits_at_its_border() -> None:
    paused, said = threading.Event(), list[str]()
    turns = Turns(lambda jobs: dict.fromkeys(jobs, ROUTINE), paused.is_set)
    first = Conversion(turns, "first", said)
    wait_for(lambda: said == ["first begins"], "the first")
    paused.set()
    second = Conversion(turns, "second", said)
    first.step()
    wait_for(lambda: said[-1] == "first pauses", "the border")
    wait_for(lambda: len(turns._waiting) == 2, "both to wait")

    paused.clear()

    wait_for(lambda: said[-1] == "first goes on", "the first again: it has begun")
    first.step(more=False)
    first.wait()
    second.step(more=False)
    second.wait()
    assert said == [
        "first begins", "first pauses", "first goes on", "first ends", "second begins", "second ends",
    ]  # fmt: skip
