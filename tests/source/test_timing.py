"""When frames were taken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.tag import Tag

from casgan_dicom.source.series import find_series
from casgan_dicom.source.timing import FrameTiming, timing_of_instance, timing_of_moments
from tests.support.factories import moving_frames, write_xa, xa_dataset


def test_frame_time_is_read() -> None:
    timing = timing_of_instance(xa_dataset(FrameTime="33"), 4)

    assert timing.frame_time_ms == 33.0
    assert timing.cine_rate == pytest.approx(1000 / 33)
    assert timing.source == "FrameTime (0018,1063)"


def test_the_frame_increment_pointer_chooses_the_vector() -> None:
    ds = xa_dataset(
        FrameTime=50, FrameTimeVector=[0, 40, 80, 40], FrameIncrementPointer=Tag("FrameTimeVector")
    )

    timing = timing_of_instance(ds, 4)

    assert timing.vector_ms == (0.0, 40.0, 80.0, 40.0)
    assert timing.frame_time_ms == 40.0


@pytest.mark.parametrize(
    ("pointers", "vector"),
    [
        (["FrameTime", "FrameTimeVector"], None),
        (["FrameTimeVector", "FrameTime"], (0.0, 40.0, 80.0, 40.0)),
        (["PositionerPrimaryAngle", "FrameTimeVector"], (0.0, 40.0, 80.0, 40.0)),
        (["PositionerPrimaryAngle"], None),
    ],
)
def test_the_first_that_the_pointer_names_counts(
    pointers: list[str], vector: tuple[float, ...] | None
) -> None:
    named = [Tag(pointer) for pointer in pointers]
    ds = xa_dataset(FrameTime=50, FrameTimeVector=[0, 40, 80, 40], FrameIncrementPointer=named)

    assert timing_of_instance(ds, 4).vector_ms == vector


@pytest.mark.parametrize("keyword", ["CineRate", "RecommendedDisplayFrameRate"])
@pytest.mark.parametrize("rate", [0, -15])
def test_a_rate_that_is_none_is_said(keyword: str, rate: int) -> None:
    ds = xa_dataset(FrameTime=None, FrameIncrementPointer=None, **{keyword: rate})

    timing = timing_of_instance(ds, 4)

    assert timing.notes == (
        f"{keyword} {Tag(keyword)} is no number above 0 and was not used",
        "no timing in the header that can be used, 15 frames per second assumed",
    )


@pytest.mark.parametrize("vector", [[0, 40, 40], [0, 40, 0, 40], [0, 40, -1, 40]])
def test_a_vector_that_cannot_be_right_is_noted_and_not_used(vector: list[float]) -> None:
    ds = xa_dataset(FrameTime=50, FrameTimeVector=vector, FrameIncrementPointer=Tag("FrameTimeVector"))

    timing = timing_of_instance(ds, 4)

    assert timing.vector_ms is None
    assert timing.frame_time_ms == 50.0
    assert "FrameTimeVector (0018,1065)" in timing.notes[0]


@pytest.mark.parametrize(
    ("written", "vector"),
    [
        (b"0\\    \\66.6\\66.6", None),
        (b"0\\11.1\\66.6\\nan ", None),
        (b"    \\11.1\\66.6", (0.0, 11.1, 66.6)),
    ],
)
def test_a_blank_value_in_a_vector_never_raises(
    tmp_path: Path, written: bytes, vector: tuple[float, ...] | None
) -> None:
    frames = written.count(b"\\") + 1
    legal = b"0\\11.1\\66.6\\66.6" if frames == 4 else b"0000\\11.1\\66.6"
    steps = legal.decode().split("\\")
    path = write_xa(tmp_path / "a", moving_frames(frames), FrameTimeVector=steps, FrameTime=None)
    content = path.read_bytes()
    assert content.count(legal) == 1
    path.write_bytes(content.replace(legal, written))

    (cine,) = find_series([path]).cines

    assert cine.timing.vector_ms == vector
    assert cine.timing.source == ("FrameTimeVector (0018,1065)" if vector else "default")
    assert any("times that do not pass" in note for note in cine.notes) is (vector is None)


@pytest.mark.parametrize(
    ("header", "frame_time_ms", "source"),
    [
        ({"CineRate": 25, "RecommendedDisplayFrameRate": 10}, 40.0, "CineRate (0018,0040)"),
        (
            {"CineRate": 0, "RecommendedDisplayFrameRate": 10},
            100.0,
            "RecommendedDisplayFrameRate (0008,2144)",
        ),
        ({}, 1000 / 15, "default"),
    ],
)
def test_without_a_frame_time_the_rates_speak(
    header: dict[str, object], frame_time_ms: float, source: str
) -> None:
    timing = timing_of_instance(xa_dataset(**({"FrameTime": None} | header)), 4)

    assert timing.frame_time_ms == pytest.approx(frame_time_ms)
    assert timing.source == source
    assert bool(timing.notes) == (source == "default" or 0 in header.values())


def test_a_frame_time_of_zero_is_none() -> None:
    assert timing_of_instance(xa_dataset(FrameTime=0, CineRate=20), 4).frame_time_ms == 50.0


def test_a_gap_is_noted_and_its_vector_kept() -> None:
    timing = timing_of_moments([0, 100_000, 200_000, 500_000], "AcquisitionTime (0008,0032)")

    assert timing.frame_time_ms == 100.0
    assert timing.vector_ms == (0.0, 100.0, 100.0, 300.0)
    assert timing.notes[0].startswith("1 gaps")


def test_a_clock_of_whole_seconds_gives_the_mean_rate() -> None:
    times = [1_000_000 * (k // 10) for k in range(31)]

    timing = timing_of_moments(times, "ContentTime (0008,0033)")

    assert timing.frame_time_ms == pytest.approx(100.0)
    assert timing.vector_ms is None
    assert timing.notes[0].startswith("27 of 31 frames")


REGULAR = FrameTiming(66.7, None, "FrameTime (0018,1063)", ("a note",))
UNEVEN = FrameTiming(50.0, (0.0, 50.0, 40.0, 120.0, 50.0), "FrameTimeVector (0018,1065)")


@pytest.mark.parametrize("indices", [range(5), range(3, 9), [2, 3]])
def test_adjacent_frames_of_a_regular_run_keep_its_rate(indices: Sequence[int]) -> None:
    assert REGULAR.subset(indices) == REGULAR


def test_every_other_frame_of_a_regular_run_has_twice_the_frame_time() -> None:
    timing = REGULAR.subset([1, 3, 5, 7])

    assert timing.frame_time_ms == pytest.approx(133.4)
    assert timing.vector_ms is None


def test_a_gap_in_a_selection_lasts_as_long_as_it_did() -> None:
    timing = REGULAR.subset([0, 1, 2, 10, 11])

    assert timing.vector_ms == pytest.approx((0.0, 66.7, 66.7, 8 * 66.7, 66.7))
    assert timing.frame_time_ms == pytest.approx(66.7)
    assert (timing.source, timing.notes) == (REGULAR.source, REGULAR.notes)


def test_a_selection_of_an_uneven_run_has_the_times_between_its_frames() -> None:
    timing = UNEVEN.subset([1, 3, 4])

    assert timing.vector_ms == (0.0, 160.0, 50.0)
    assert timing.frame_time_ms == 105.0


def test_an_even_part_of_an_uneven_run_has_a_rate() -> None:
    uneven = FrameTiming(40.0, (0.0, 40.0, 40.0, 90.0), "FrameTimeVector (0018,1065)")

    assert uneven.subset([0, 1, 2]).vector_ms is None
    assert uneven.subset([0, 1, 2]).frame_time_ms == 40.0
    assert uneven.subset(range(4)) == uneven


def test_one_frame_has_the_frame_time_of_its_run() -> None:
    assert UNEVEN.subset([3]) == FrameTiming(50.0, None, UNEVEN.source)


@pytest.mark.parametrize("indices", [[], [1, 1], [2, 1], [-1, 0], [3, 5]])
def test_what_is_no_selection_is_refused(indices: list[int]) -> None:
    with pytest.raises(ValueError, match="do not rise within the run"):
        UNEVEN.subset(indices)


@given(
    steps=st.lists(st.floats(1, 500), min_size=1, max_size=30),
    data=st.data(),
)
def test_a_selection_lasts_from_its_first_frame_to_its_last(steps: list[float], data: st.DataObject) -> None:
    whole = FrameTiming(40.0, (0.0, *steps), "FrameTimeVector (0018,1065)")
    numbers = st.sets(st.integers(0, len(steps)), min_size=2)
    chosen = sorted(data.draw(numbers))

    part = whole.subset(chosen)

    lasts = sum(part.vector_ms) if part.vector_ms else part.frame_time_ms * (len(chosen) - 1)
    assert lasts == pytest.approx(sum(steps[chosen[0] : chosen[-1]]))
