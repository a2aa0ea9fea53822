"""When a delivery that failed is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.node.settings import RetrySettings
from casgan_dicom.node.work.retry import retry_wait

RULES = RetrySettings(first_seconds=2, longest_seconds=300, give_up_seconds=3600)


def test_the_wait_doubles_up_to_the_longest() -> None:
    waits = [retry_wait(attempts, 0, RULES, jitter=1.0) for attempts in (1, 2, 3, 8, 9, 50)]

    assert waits == [2, 4, 8, 256, 300, 300]


def test_the_last_wait_ends_when_the_time_is_over_and_then_nothing_is_tried() -> None:
    assert retry_wait(20, 3590, RULES, jitter=1.0) == 10
    assert retry_wait(21, 3600, RULES, jitter=1.0) is None


@given(st.integers(1, 10**6), st.floats(0, 3599), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_longer_than_allowed_nor_shorter_than_half(
    attempts: int, elapsed: float, jitter: float
) -> None:
    wait = retry_wait(attempts, elapsed, RULES, jitter)

    assert wait is not None
    assert wait <= RULES.longest_seconds
    assert wait >= min(RULES.first_seconds / 2, RULES.give_up_seconds - elapsed)
