"""Which single frames of a series make which run, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from casgan_dicom.source.cine import Cine
from casgan_dicom.source.series import find_series
from tests.support.enhanced_factory import write_enhanced
from tests.support.factories import moving_frames, uid, write_xa

Elements = Callable[[int], Mapping[str, object]]
SINGLE: dict[str, object] = {"NumberOfFrames": None, "FrameTime": None, "FrameIncrementPointer": None}


def clock(seconds: float) -> str:
    """A TM so many seconds after ten, of the next day where that is more than a day."""
    total = (36_000 + seconds) % 86_400
    return f"{int(total // 3600):02d}{int(total // 60 % 60):02d}{total % 60:09.6f}"


def cines_of(folder: Path, frames: int, elements: Elements) -> tuple[Cine, ...]:
    """The cines of so many single frames of one series, each with the elements of its place."""
    for k, frame in enumerate(moving_frames(frames)):
        own = SINGLE | {"SOPInstanceUID": f"1.2.{k + 1}", "InstanceNumber": k + 1}
        write_xa(folder / uid(str(k)), frame[None], **(own | dict(elements(k))))
    return find_series([folder]).cines


def places(cine: Cine) -> list[int]:
    """The places of the frames of a cine, in its order."""
    return [int(instance.sop_instance_uid.split(".")[-1]) - 1 for instance in cine.instances]


@pytest.mark.parametrize("day", ["20240102", None])
@pytest.mark.parametrize("element", ["Acquisition", "Content"])
def test_a_run_over_midnight_is_in_order(tmp_path: Path, day: str | None, element: str) -> None:
    other = "Content" if element == "Acquisition" else "Acquisition"
    (cine,) = cines_of(
        tmp_path,
        6,
        lambda k: {
            f"{element}Date": day,
            f"{element}Time": clock(50_400 - 0.2 + k / 15),
            f"{other}Time": None,
        },
    )

    assert places(cine) == [0, 1, 2, 3, 4, 5]
    assert cine.timing.frame_time_ms == pytest.approx(66.667, abs=1e-3)
    assert cine.timing.vector_ms is None
    assert [note for note in cine.notes if "passes midnight" in note]


def test_frames_of_an_enhanced_object_over_midnight_keep_their_times(tmp_path: Path) -> None:
    path = write_enhanced(
        tmp_path / "e",
        moving_frames(4),
        per_frame=lambda k: {
            "FrameContentSequence": {"FrameAcquisitionDateTime": f"20240102{clock(50_400 - 0.2 + k / 10)}"}
        },
    )

    (cine,) = find_series([path]).cines

    assert cine.timing.frame_time_ms == pytest.approx(100.0)
    assert any("passes midnight" in note for note in cine.notes)


RUN_CLOCKS: dict[str, Elements] = {
    "acquisition time of the run": lambda k: {
        "AcquisitionTime": clock(0 if k < 5 else 120),
        "ContentTime": clock((0 if k < 5 else 120) + k / 10),
    },
    "content time of the run": lambda k: {
        "ContentTime": clock(0 if k < 5 else 120),
        "AcquisitionTime": clock((0 if k < 5 else 120) + k / 10),
    },
    "one clock": lambda k: {"AcquisitionTime": clock((0 if k < 5 else 120) + k / 10)},
}


@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize("clocks", RUN_CLOCKS.values(), ids=RUN_CLOCKS.keys())
def test_two_acquisitions_of_a_series_are_two_runs(tmp_path: Path, clocks: Elements, numbered: bool) -> None:
    cines = cines_of(
        tmp_path, 10, lambda k: {**clocks(k), "AcquisitionNumber": 1 + k // 5 if numbered else None}
    )

    assert [places(cine) for cine in cines] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    for cine in cines:
        assert cine.timing.frame_time_ms == pytest.approx(100.0)
        (note,) = cine.notes
        assert note.startswith("5 of 10 single-frame images of the series")
        assert ("AcquisitionNumber (0020,0012)" in note) is numbered


def test_acquisitions_are_told_apart_although_their_clocks_and_numbers_overlap(tmp_path: Path) -> None:
    cines = cines_of(
        tmp_path,
        8,
        lambda k: {
            "AcquisitionNumber": 1 + k % 2,
            "AcquisitionTime": clock(k // 2 / 10),
            "InstanceNumber": 1 + k // 2,
        },
    )

    assert sorted(map(places, cines)) == [[0, 2, 4, 6], [1, 3, 5, 7]]


@pytest.mark.parametrize("number", [lambda k: k + 1, lambda k: None if k == 2 else 7])
def test_acquisition_numbers_that_count_frames_or_are_missing_part_nothing(
    tmp_path: Path, number: Callable[[int], int | None]
) -> None:
    (cine,) = cines_of(
        tmp_path, 6, lambda k: {"AcquisitionNumber": number(k), "AcquisitionTime": clock(k / 10)}
    )

    assert places(cine) == [0, 1, 2, 3, 4, 5]


def test_a_clock_of_whole_seconds_beside_a_fine_one_is_no_second_run(tmp_path: Path) -> None:
    (cine,) = cines_of(
        tmp_path,
        12,
        lambda k: {"AcquisitionTime": clock(int(k / 4)), "ContentTime": clock(k / 4 + (0.5 if k > 7 else 0))},
    )

    assert places(cine) == list(range(12))


def test_a_short_gap_is_no_second_run(tmp_path: Path) -> None:
    (cine,) = cines_of(tmp_path, 6, lambda k: {"AcquisitionTime": clock(k / 10 + (1 if k > 2 else 0))})

    assert cine.timing.vector_ms is not None
    assert any("gaps in AcquisitionTime" in note for note in cine.notes)


def test_acquisitions_whose_clocks_only_tell_the_run_are_no_cine_of_minutes_a_frame(tmp_path: Path) -> None:
    cines = cines_of(tmp_path, 10, lambda k: {"AcquisitionTime": clock(0 if k < 5 else 120)})

    assert [cine.frames for cine in cines] == [1] * 10
    assert all("times do not increase" in note for cine in cines for note in cine.notes[1:])


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (lambda k: 10 * k + 10, None),
        (lambda k: 2 * k + 1, None),
        (lambda k: k + (4 if k > 2 else 1), "leaves out 3 numbers"),
        (lambda k: 5, "is that of another frame in 5 of 6 frames"),
        (lambda k: 1 + k // 2, "is that of another frame in 3 of 6 frames"),
        (lambda k: None, "is absent in 6 of 6 frames"),
        (lambda k: None if k == 3 else k + 1, "is absent in 1 of 6 frames"),
        (lambda k: 6 - k, "goes back 5 times in the order of AcquisitionTime (0008,0032)"),
    ],
)
def test_the_clock_orders_whatever_the_numbers_are(
    tmp_path: Path, number: Callable[[int], int | None], said: str | None
) -> None:
    (cine,) = cines_of(tmp_path, 6, lambda k: {"InstanceNumber": number(k), "AcquisitionTime": clock(k / 10)})

    assert places(cine) == [0, 1, 2, 3, 4, 5]
    notes = [note for note in cine.notes if "InstanceNumber (0020,0013)" in note]
    assert any(said in note for note in notes) if said else notes == []


@pytest.mark.parametrize("number", [lambda k: k + 1, lambda k: None])
def test_frames_that_share_a_moment_are_in_the_order_of_number_or_uid(
    tmp_path: Path, number: Callable[[int], int | None]
) -> None:
    """A clock of whole seconds, as in RF; UIDs count, and 1.2.9 comes before 1.2.10."""
    (cine,) = cines_of(
        tmp_path, 12, lambda k: {"InstanceNumber": number(k), "AcquisitionTime": clock(k // 4)}
    )

    assert places(cine) == list(range(12))
    assert any("their order cannot be told" in note for note in cine.notes) is (number(0) is None)


@pytest.mark.parametrize("number", [lambda k: 1 + k // 2, lambda k: k + 1])
def test_planes_that_nothing_tells_apart_are_no_run(tmp_path: Path, number: Callable[[int], int]) -> None:
    cines = cines_of(
        tmp_path, 8, lambda k: {"InstanceNumber": number(k), "AcquisitionTime": clock(k // 2 / 10)}
    )

    assert [cine.frames for cine in cines] == [1] * 8
    assert all("planes" in cine.notes[0] for cine in cines)


@pytest.mark.parametrize(
    "plane",
    [
        lambda k: {"ImageType": ["ORIGINAL", "PRIMARY", f"BIPLANE {'AB'[k % 2]}"]},
        lambda k: {"ImageType": ["ORIGINAL", "PRIMARY", "BIPLANE", "AB"[k % 2]]},
        lambda k: {"PositionerPrimaryAngle": (-30, 60)[k % 2]},
    ],
)
@pytest.mark.parametrize("number", [lambda k: 1 + k // 2, lambda k: k + 1])
def test_two_planes_of_a_series_are_two_runs(
    tmp_path: Path, plane: Elements, number: Callable[[int], int]
) -> None:
    cines = cines_of(
        tmp_path,
        8,
        lambda k: {**plane(k), "InstanceNumber": number(k), "AcquisitionTime": clock(k // 2 / 10)},
    )

    assert sorted(map(places, cines)) == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert not any("InstanceNumber" in note for cine in cines for note in cine.notes)


@pytest.mark.parametrize(
    ("rate", "source"),
    [
        ({"FrameTime": 66.667}, "FrameTime (0018,1063)"),
        ({"CineRate": 15}, "CineRate (0018,0040)"),
        ({"RecommendedDisplayFrameRate": 15}, "RecommendedDisplayFrameRate (0008,2144)"),
    ],
)
def test_a_clock_of_whole_seconds_leaves_the_rate_to_the_headers(
    tmp_path: Path, rate: dict[str, object], source: str
) -> None:
    (cine,) = cines_of(tmp_path, 30, lambda k: {"AcquisitionTime": clock(k // 15), **rate})

    assert cine.timing.frame_time_ms == pytest.approx(66.667, abs=1e-3)
    assert cine.timing.source == source
    assert "AcquisitionTime (0008,0032) is too coarse to tell the frames apart" in " ".join(cine.notes)


@pytest.mark.parametrize(
    "rate",
    [
        lambda _: {},
        lambda _: {"CineRate": 100},  # the clock contradicts it
        lambda k: {"CineRate": 15 + k % 2},
        lambda _: {"CineRate": 0},
    ],
)
def test_a_rate_that_cannot_be_right_leaves_the_mean_of_the_clock(tmp_path: Path, rate: Elements) -> None:
    cines = cines_of(tmp_path, 60, lambda k: {"AcquisitionTime": clock(k // 15), **rate(k)})

    assert [cine.timing.source for cine in cines] == ["AcquisitionTime (0008,0032)"]


def test_a_clock_that_tells_frames_apart_goes_before_any_rate(tmp_path: Path) -> None:
    (cine,) = cines_of(tmp_path, 6, lambda k: {"AcquisitionTime": clock(k / 10), "CineRate": 15})

    assert (cine.timing.frame_time_ms, cine.timing.source) == (100.0, "AcquisitionTime (0008,0032)")
