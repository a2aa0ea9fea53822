"""Guesses at tokens are counted by address, for a minute."""

from __future__ import annotations

import pytest

from casgan_dicom.node.web.attempts import MOST, WINDOW_SECONDS, Attempts


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def after_guesses(count: int, address: str, clock: Clock | None = None) -> Attempts:
    attempts = Attempts(clock or Clock())
    for _ in range(count):
        attempts.failed(address)
    return attempts


def test_one_guess_fewer_than_too_many_may_be_followed_by_another() -> None:
    assert after_guesses(MOST - 1, "10.0.0.1").wait_seconds("10.0.0.1") == 0


def test_after_too_many_none_is_looked_at_until_the_first_is_a_minute_old() -> None:
    clock = Clock()
    attempts = after_guesses(MOST, "10.0.0.1", clock)

    assert attempts.wait_seconds("10.0.0.1") == WINDOW_SECONDS
    clock.now += WINDOW_SECONDS - 1
    assert attempts.wait_seconds("10.0.0.1") == 1
    clock.now += 1
    assert attempts.wait_seconds("10.0.0.1") == 0


@pytest.mark.parametrize(
    ("guesses", "other", "is_the_same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:db8::1", "2001:db8::ffff", True),  # one machine may choose among these
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::1", "::2", False),
    ],
)
def test_who_counts_as_the_same(guesses: str, other: str, is_the_same: bool) -> None:
    assert bool(after_guesses(MOST, guesses).wait_seconds(other)) == is_the_same


def test_many_addresses_fill_no_memory_and_the_oldest_is_forgotten_first() -> None:
    attempts = after_guesses(MOST, "10.0.0.1")
    for number in range(9_999):
        attempts.failed(f"10.1.{number // 256}.{number % 256}")
    assert attempts.wait_seconds("10.0.0.1") > 0

    attempts.failed("10.2.0.1")

    assert attempts.wait_seconds("10.0.0.1") == 0
