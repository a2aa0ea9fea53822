"""Which clock of single frames is read, and how it passes midnight."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from pydicom.dataset import Dataset

from casgan_dicom.source.clocks import DAY_US, clocks_of, times_in_order
from tests.support.factories import xa_dataset

AROUND_MIDNIGHT = ["235959.8", "235959.9", "000000.0", "000000.1"]


def of_times(times: Sequence[str], *, day: str | None, element: str = "Acquisition") -> list[Dataset]:
    """Headers with these times and the same date, or none."""
    return [
        xa_dataset(
            **{"AcquisitionDate": None, "AcquisitionTime": None}
            | {f"{element}Date": day, f"{element}Time": time}
        )
        for time in times
    ]


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"AcquisitionTime": "235959.9"}, {"AcquisitionDate": "20240103", "AcquisitionTime": "000000.1"}),
        ({"AcquisitionTime": "100000.1"}, {"AcquisitionTime": "100000.300000"}),
        ({"AcquisitionTime": "10:00:00.1"}, {"AcquisitionTime": "100000,3"}),
        ({"AcquisitionTime": "100000.1"}, {"AcquisitionDate": None, "AcquisitionTime": "100000.3"}),
        ({"AcquisitionTime": "235959.9"}, {"AcquisitionTime": "000000.1"}),
        ({"AcquisitionDateTime": "20240102100000.1+0900"}, {"AcquisitionDateTime": "20240102100000.3+0900"}),
        ({"AcquisitionDateTime": "20240102235959.9"}, {"AcquisitionDateTime": "20240102000000.1"}),
        ({"AcquisitionDateTime": "20240102100000.1+0100"}, {"AcquisitionDateTime": "20240102110000.3+0200"}),
        ({"AcquisitionDateTime": "20240102233000.1-0100"}, {"AcquisitionDateTime": "20240103003000.3+0000"}),
        ({"AcquisitionDateTime": "2024.01.02 10:00:00.1"}, {"AcquisitionDateTime": "20240102100000.3"}),
        ({"AcquisitionDateTime": "2024-01-02T10:00:00.1"}, {"AcquisitionDateTime": "20240102T100000.3"}),
        ({"AcquisitionTime": "9:05:00.1"}, {"AcquisitionTime": "9:05:00,3"}),
        ({"AcquisitionTime": "9:5:0.1"}, {"AcquisitionTime": "090500.3"}),
        (
            {"AcquisitionDate": "2024-1-2", "AcquisitionTime": "235959.9"},
            {"AcquisitionDate": "2024/01/03", "AcquisitionTime": "0:00:00.1"},
        ),
    ],
)
def test_moments_of_two_frames_are_200_ms_apart(first: dict[str, object], second: dict[str, object]) -> None:
    clock = clocks_of([xa_dataset(**first), xa_dataset(**second)])[0]

    assert clock.times[1] - clock.times[0] == 200_000


@pytest.mark.parametrize("times", [["100000", ""], ["100000", "", ""], ["100001", "", "100000", "100002"]])
@pytest.mark.parametrize("numbers", [[], [1, 2, 3, 4]])
def test_frames_without_time_that_nothing_places_leave_no_clock(times: list[str], numbers: list[int]) -> None:
    assert clocks_of(of_times(times, day="20240102"), numbers[: len(times)]) == []


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize("unreadable", ["", "XX", "250000", "10:75"])
@pytest.mark.parametrize("missing", [0, 2, 5])
@pytest.mark.parametrize("turn", [1, -1])
def test_a_frame_without_time_is_placed_by_its_number(unreadable: str, missing: int, turn: int) -> None:
    times = [f"1000{k:02d}.5" for k in range(6)]
    times[missing] = unreadable
    numbers = [10, 20, 30, 40, 50, 60]

    (clock,) = clocks_of(of_times(times, day="20240102")[::turn], numbers[::turn])

    assert [b - a for a, b in pairwise(clock.times[::turn])] == [1_000_000] * 5
    assert clock.notes[0].startswith("AcquisitionTime (0008,0032) cannot be read in 1 of 6 frames")


@pytest.mark.parametrize("numbers", [[1, 2, 3, 4, 5, 5], [1, 2, 3, 4, 5, None], [1, 3, 2, 4, 5, 6]])
def test_a_frame_without_time_is_not_placed_by_numbers_that_cannot_be_right(
    numbers: list[int | None],
) -> None:
    times = [f"1000{k:02d}.5" for k in range(5)]

    assert clocks_of(of_times([*times, ""], day="20240102"), numbers) == []


def test_a_clock_that_all_frames_have_goes_before_one_with_gaps() -> None:
    headers = of_times(["100000", "100001", "100002", ""], day="20240102")
    for k, ds in enumerate(headers):
        ds.ContentTime = f"11000{k}"

    clocks = clocks_of(headers, [1, 2, 3, 4])

    assert [clock.source.split()[0] for clock in clocks] == ["ContentTime", "AcquisitionTime"]


def test_a_fine_clock_with_gaps_goes_before_one_that_hardly_tells_frames_apart() -> None:
    headers = of_times([f"10000{k // 3}" for k in range(6)], day="20240102")
    for k, ds in enumerate(headers):
        ds.ContentTime = "" if k == 2 else f"110000.{k}"

    clocks = clocks_of(headers, [1, 2, 3, 4, 5, 6])

    assert [clock.source.split()[0] for clock in clocks] == ["ContentTime", "AcquisitionTime"]
    assert [b - a for a, b in pairwise(clocks[0].times)] == [100_000] * 5


@pytest.mark.parametrize("late", [-2, -1, 1, 2])
def test_a_date_that_changes_at_another_frame_than_the_clock(late: int) -> None:
    times = ["235959.7", "235959.8", "235959.9", "000000.0", "000000.1", "000000.2"]
    headers = [
        xa_dataset(AcquisitionDate="20240102" if k < 3 + late else "20240103", AcquisitionTime=time)
        for k, time in enumerate(times)
    ]

    (clock,) = clocks_of(headers, [1, 2, 3, 4, 5, 6])

    assert [b - a for a, b in pairwise(clock.times)] == [100_000] * 5
    assert "its date changes at another frame" in clock.notes[0]


def test_dates_are_believed_whose_clock_passes_no_midnight_and_whose_numbers_fall() -> None:
    dates = ("20240101", "20240102", "20240102")
    headers = [
        xa_dataset(AcquisitionDate=day, AcquisitionTime=time)
        for day, time in zip(dates, ("101500", "101501", "101502"), strict=True)
    ]

    (clock,) = clocks_of(headers, [3, 2, 1])

    assert [b - a for a, b in pairwise(clock.times)] == [DAY_US + 10**6, 10**6]
    assert clock.notes == ()


def test_a_morning_and_the_night_of_the_next_day_stay_apart() -> None:
    days = ["20240102", "20240102", "20240103", "20240103"]
    headers = of_times(["000000.0", "000000.1", "235959.8", "235959.9"], day=None)
    for ds, day in zip(headers, days, strict=True):
        ds.AcquisitionDate = day

    (clock,) = clocks_of(headers, [1, 2, 3, 4])

    assert clock.times[2] - clock.times[1] > DAY_US
    assert clock.notes == ()


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize("day", ["20240102", "", None, "20249999"])
@pytest.mark.parametrize("element", ["Acquisition", "Content"])
@pytest.mark.parametrize("numbers", [[1, 2, 3, 4], [None] * 4, [7] * 4, []])
def test_a_clock_goes_on_after_midnight_without_another_date(
    day: str | None, element: str, numbers: list[int | None]
) -> None:
    (clock,) = clocks_of(of_times(AROUND_MIDNIGHT, day=day, element=element), numbers)

    assert [b - a for a, b in pairwise(clock.times)] == [100_000] * 3
    assert "passes midnight" in clock.notes[0]
    assert "2 frames" in clock.notes[0]


def test_the_instance_numbers_tell_a_morning_and_a_night_from_a_midnight() -> None:
    headers = of_times(["000000.0", "000000.1", "235959.8", "235959.9"], day="20240102")

    (same_day,) = clocks_of(headers, [1, 2, 3, 4])
    (next_day,) = clocks_of(headers, [3, 4, 1, 2])

    assert same_day.times[2] > same_day.times[1]
    assert same_day.notes == ()
    assert next_day.times[2] < next_day.times[0]


def test_hours_apart_without_numbers_are_the_same_day() -> None:
    (clock,) = clocks_of(of_times(["080000", "080001", "220000", "220001"], day="20240102"))

    assert clock.times[3] - clock.times[0] == (14 * 3600 + 1) * 10**6


def test_dates_that_tell_are_believed() -> None:
    headers = [
        xa_dataset(AcquisitionDate=day, AcquisitionTime=time)
        for day, time in (("20240102", "000001"), ("20240103", "235959"))
    ]

    (clock,) = clocks_of(headers, [2, 1])

    assert clock.times[1] - clock.times[0] == 2 * DAY_US - 2 * 10**6
    assert clock.notes == ()


@pytest.mark.parametrize(("run", "frame"), [("Acquisition", "Content"), ("Content", "Acquisition")])
def test_the_clock_that_counts_frames_goes_before_that_of_the_run(run: str, frame: str) -> None:
    headers = [
        xa_dataset(**{f"{run}Time": f"10{k // 5:02d}00", f"{frame}Time": f"1000{k:02d}"}) for k in range(10)
    ]

    clocks = clocks_of(headers)

    assert [clock.source.split()[0] for clock in clocks] == [f"{frame}Time", f"{run}Time"]


def test_a_clock_of_whole_seconds_goes_behind_a_finer_one() -> None:
    headers = [
        xa_dataset(AcquisitionTime=f"1000{k // 15:02d}", ContentTime=f"1000{k / 15:09.6f}") for k in range(60)
    ]

    assert clocks_of(headers)[0].source == "ContentTime (0008,0033)"


def test_moments_of_one_object_go_on_after_midnight() -> None:
    times, passed = times_in_order([f"20240102{time}" for time in AROUND_MIDNIGHT])
    right, said = times_in_order(["20240102235959.9", "20240103000000.0", ""])

    assert [b - a for a, b in pairwise(times) if a is not None and b is not None] == [100_000] * 3
    assert passed
    assert right[0] is not None
    assert right[1:] == [right[0] + 100_000, None]
    assert not said
