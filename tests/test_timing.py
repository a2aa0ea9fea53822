"""When frames were taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.tag import Tag

from casgan_dicom.series import find_series
from casgan_dicom.timing import moments, timing_of_instance, timing_of_moments
from tests.factories import moving_frames, write_xa, xa_dataset


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
    assert bool(timing.notes) == (source == "default")


def test_a_frame_time_of_zero_is_none() -> None:
    assert timing_of_instance(xa_dataset(FrameTime=0, CineRate=20), 4).frame_time_ms == 50.0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"AcquisitionTime": "235959.9"}, {"AcquisitionDate": "20240103", "AcquisitionTime": "000000.1"}),
        ({"AcquisitionTime": "100000.1"}, {"AcquisitionTime": "100000.300000"}),
        ({"AcquisitionDateTime": "20240102100000.1+0900"}, {"AcquisitionDateTime": "20240102100000.3+0900"}),
    ],
)
def test_moments_of_two_frames_are_200_ms_apart(first: dict[str, object], second: dict[str, object]) -> None:
    times, _ = moments([xa_dataset(**first), xa_dataset(**second)])

    assert times[1] - times[0] == 200_000


def test_a_frame_without_time_leaves_no_moments() -> None:
    assert moments([xa_dataset(), xa_dataset(AcquisitionTime=None)]) == ((), "")


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
