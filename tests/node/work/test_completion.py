"""When a series counts as complete."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.node.settings import CompletionSettings
from casgan_dicom.node.state.jobs import OpenSeries
from casgan_dicom.node.work.completion import completion

RULES = CompletionSettings(quiet_seconds=30, short_seconds=2, promised_seconds=200, cap_seconds=900)


def stills(instances: int, *, expected: int | None = None, first: float = 0, last: float = 0) -> OpenSeries:
    return OpenSeries(instances, instances, expected, first, last)


def cines(instances: int) -> OpenSeries:
    return OpenSeries(instances, 0, None, 100, 100)


def test_single_frames_of_unknown_number_wait_for_the_long_quiet() -> None:
    assert completion(stills(12, last=100), RULES).at == 130


def test_whole_cines_wait_for_the_short_quiet() -> None:
    assert completion(cines(1), RULES).at == 102


def test_one_still_among_cines_makes_the_wait_long() -> None:
    mixed = OpenSeries(instances=3, stills=1, expected=None, first_at=0, last_at=100)

    assert completion(mixed, RULES).at == 130


@pytest.mark.parametrize(("instances", "at"), [(1, 300), (7, 300), (8, 102), (9, 102)])
def test_a_promised_number_is_waited_for_and_then_makes_the_wait_short(instances: int, at: float) -> None:
    assert completion(stills(instances, expected=8, last=100), RULES).at == at


def test_the_wait_for_what_was_promised_ends_with_the_cap() -> None:
    decided = completion(stills(7, expected=8, first=0, last=850), RULES)

    assert (decided.at, decided.reason) == (900, "the cap was reached")


def test_what_came_with_earlier_revisions_counts_as_promised() -> None:
    rest = OpenSeries(instances=4, stills=4, expected=8, first_at=0, last_at=100, earlier=4)

    assert completion(rest, RULES).at == 102
    assert completion(replace(rest, earlier=3), RULES).at == 300


def test_single_frames_that_the_sender_asks_to_commit_wait_for_the_short_quiet_unless_more_are_promised() -> (
    None
):
    asked_for = replace(stills(12, last=100), asked_for=True)

    assert completion(asked_for, RULES).at == 102
    assert completion(replace(asked_for, expected=13), RULES).at == 300


def test_a_whole_cine_waits_for_no_others() -> None:
    assert completion(replace(cines(1), expected=3), RULES).at == 102


def test_a_sender_with_a_longer_quiet_is_waited_for_as_long() -> None:
    assert completion(stills(7, expected=8, last=100), RULES, 250).at == 350


def test_the_cap_ends_a_series_that_never_ends() -> None:
    decided = completion(stills(5000, first=0, last=899), RULES)

    assert decided.at == 900
    assert "cap" in decided.reason


def test_a_sender_may_have_its_own_quiet_that_also_bounds_the_short_one() -> None:
    assert completion(stills(3, last=100), RULES, 5).at == 105
    assert completion(cines(1), RULES, 1).at == 101


@given(
    instances=st.integers(1, 500),
    expected=st.none() | st.integers(1, 500),
    first=st.floats(0, 1e9),
    lasted=st.floats(0, 2000),
)
def test_another_instance_never_makes_a_series_complete_earlier_than_its_own_quiet(
    instances: int, expected: int | None, first: float, lasted: float
) -> None:
    series = stills(instances, expected=expected, first=first, last=first + lasted)

    at = completion(series, RULES).at

    assert at <= max(first + RULES.cap_seconds, series.last_at)
    assert at >= min(series.last_at + RULES.short_seconds, first + RULES.cap_seconds)
