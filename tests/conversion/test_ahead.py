"""One item is made while the one before is used: in order, by one thread, and never more than one ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from casgan_dicom.conversion.ahead import ahead

SAID: ContextVar[str] = ContextVar("SAID", default="")
PATIENCE_S = 60.0


def test_items_come_in_order_and_all_of_them() -> None:
    assert list(ahead(range(50))) == list(range(50))
    assert list(ahead([])) == []
    assert list(ahead([None, None])) == [None, None]


def test_the_next_item_is_made_while_the_taker_holds_one_and_no_other() -> None:
    made = threading.Semaphore(0)
    count = 0

    def items() -> Iterator[int]:
        nonlocal count
        for k in range(4):
            count = k + 1
            made.release()
            yield k

    taken = ahead(items())
    assert next(taken) == 0
    for _ in range(2):  # the first, and one more although nobody asked for it yet
        assert made.acquire(timeout=PATIENCE_S)
    assert not made.acquire(timeout=0.2)
    assert count == 2
    assert list(taken) == [1, 2, 3]


def test_of_each_item_is_told_by_the_taker_before_the_next_is_begun() -> None:
    begun: list[tuple[int, list[int]]] = []
    told: list[tuple[int, int]] = []

    def items() -> Iterator[int]:
        for k in range(5):
            begun.append((k, [one for one, _ in told]))
            yield k

    assert list(ahead(items(), lambda k: told.append((k, threading.get_ident())))) == list(range(5))

    assert begun == [(k, list(range(k))) for k in range(5)]
    assert told == [(k, threading.get_ident()) for k in range(5)]


def test_all_items_are_made_by_one_other_thread_in_the_context_of_the_taker() -> None:
    def items() -> Iterator[tuple[int, str]]:
        for _ in range(5):
            yield threading.get_ident(), SAID.get()

    SAID.set("taker")
    (who,) = set(ahead(items()))

    assert who[0] != threading.get_ident()
    assert who[1] == "taker"


def test_what_items_raise_is_raised_where_they_are_taken() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    taken = ahead(items())
    assert next(taken) == 1
    with pytest.raises(ValueError, match="broken"):
        next(taken)


def test_items_are_closed_and_the_thread_ends_when_the_taker_stops() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            closed.set()

    taken = ahead(items())
    next(taken)
    taken.close()  # type: ignore[attr-defined]

    assert closed.is_set()
    assert not [one for one in threading.enumerate() if one.name.startswith("ahead")]
