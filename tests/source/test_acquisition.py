"""What a header tells of view, scale, clock and heart beat; what it does not tell stays unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.tag import Tag

from casgan_dicom.source.acquisition import Acquisition, acquisition_of
from casgan_dicom.source.series import find_series
from tests.support.enhanced_factory import STEP_S, write_enhanced
from tests.support.factories import moving_frames, write_xa, write_xa_single_frames


def read(folder: Path, frames: int = 4, /, **header: Any) -> Acquisition:  # noqa: ANN401 - any element
    """What one multi-frame object of 64 × 80 with this header tells."""
    path = write_xa(folder / "a.dcm", moving_frames(frames), **header)
    return acquisition_of(find_series([path]).cines[0])


def read_enhanced(folder: Path, frames: int = 4, /, **macros: Any) -> Acquisition:  # noqa: ANN401 - as the factory
    """The same of an Enhanced object."""
    path = write_enhanced(folder / "a.dcm", moving_frames(frames), **macros)
    return acquisition_of(find_series([path]).cines[0])


def test_a_full_classic_header_is_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        PositionerPrimaryAngle=-28.5,
        PositionerSecondaryAngle=19,
        DistanceSourceToDetector=1180,
        DistanceSourceToPatient=765,
        ImagerPixelSpacing=[2.5, 2.5],
        FrameTime=40,
        RWavePointer=[1, 4],
        AveragePulseWidth=6.5,
    )

    assert found.pulse_ms == 6.5
    assert found.angles_deg == (-28.5, 19)
    assert (found.source_detector_mm, found.source_patient_mm, found.pixel_mm) == (1180, 765, 2.5)
    assert found.times_s == pytest.approx((0, 0.04, 0.08, 0.12))
    assert found.r_waves_s == ()  # 120 ms from beat to beat is no heart


def test_an_empty_header_tells_nothing(tmp_path: Path) -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        ("PositionerPrimaryAngle", "PositionerSecondaryAngle", "FrameTime", "FrameIncrementPointer")
    )
    assert read(tmp_path, **nothing) == Acquisition()


@pytest.mark.parametrize(
    "wrong",
    [
        {"PositionerPrimaryAngle": 400},
        {"PositionerSecondaryAngle": -91},
        {"PositionerSecondaryAngle": None},
        {"PositionerMotion": "DYNAMIC"},
        {"PositionerMotion": "DYNAMIC", "PositionerPrimaryAngleIncrement": 2},
        {"PositionerMotion": "DYNAMIC", "PositionerPrimaryAngleIncrement": [0, 2, 2, 2]},
        {"PositionerMotion": "DYNAMIC", "PositionerSecondaryAngleIncrement": [0, 3, 6, 9]},
    ],
)
def test_angles_that_no_one_view_can_have_are_unknown(tmp_path: Path, wrong: dict[str, Any]) -> None:
    assert read(tmp_path, **wrong).angles_deg is None


def test_a_positioner_that_hardly_moves_stands_still(tmp_path: Path) -> None:
    moved: dict[str, Any] = {
        "PositionerMotion": "DYNAMIC",
        "PositionerPrimaryAngleIncrement": [0, 0.5, 0.5, 0],
    }
    assert read(tmp_path, **moved).angles_deg == (-30, 0)


@pytest.mark.parametrize(
    ("detector", "patient", "told"),
    [
        (1100, 750, (1100, 750)),
        (1100, None, (1100, None)),
        (0, 750, (None, 750)),
        (110, 75, (None, None)),  # centimetres
        (900, 1000, (None, None)),
    ],
)
def test_distances_that_no_c_arm_has_are_unknown(
    tmp_path: Path, detector: float, patient: float | None, told: tuple[float | None, float | None]
) -> None:
    found = read(tmp_path, DistanceSourceToDetector=detector, DistanceSourceToPatient=patient)
    assert (found.source_detector_mm, found.source_patient_mm) == told


@pytest.mark.parametrize("spacing", [[2.5, 2.6], [0.1, 0.1], [25, 25], [-2, -2], None])
def test_a_spacing_that_no_detector_has_is_unknown(tmp_path: Path, spacing: list[float] | None) -> None:
    assert read(tmp_path, ImagerPixelSpacing=spacing).pixel_mm is None


@pytest.mark.parametrize(
    "timing",
    [
        {"FrameTime": None, "FrameIncrementPointer": None, "RecommendedDisplayFrameRate": 15},
        {"FrameTime": 5000},
    ],
)
def test_a_rate_at_which_nothing_was_taken_is_no_clock(tmp_path: Path, timing: dict[str, Any]) -> None:
    found = read(tmp_path, RWavePointer=[1], **timing)
    assert found.times_s == found.r_waves_s == ()


def test_irregular_times_are_added_up(tmp_path: Path) -> None:
    vector: dict[str, Any] = {
        "FrameTimeVector": [0, 30, 60, 30],
        "FrameIncrementPointer": Tag("FrameTimeVector"),
    }
    assert read(tmp_path, FrameTime=None, **vector).times_s == pytest.approx((0, 0.03, 0.09, 0.12))


@pytest.mark.parametrize(
    ("pointer", "waves"),
    [([2, 14, 26], (0.066, 0.858, 1.65)), ([9], (0.528,)), ([0, 12], ()), ([5, 31], ()), ([14, 2], ())],
)
def test_r_waves_are_pointed_at_by_frames_from_1(
    tmp_path: Path, pointer: list[int], waves: tuple[float, ...]
) -> None:
    assert read(tmp_path, 30, FrameTime=66, RWavePointer=pointer).r_waves_s == pytest.approx(waves)


def test_a_vector_of_r_waves_is_taken_only_within_the_run(tmp_path: Path) -> None:
    assert read(tmp_path, 30, FrameTime=66, RWaveTimeVector=[100, 900]).r_waves_s == (0.1, 0.9)
    assert read(tmp_path / "late", 30, FrameTime=66, RWaveTimeVector=[100, 5000]).r_waves_s == ()


def test_trigger_times_of_single_frames_tell_the_r_waves(tmp_path: Path) -> None:
    """R waves 50 ms before the first frame and 850 ms after it, ten frames a second."""
    delays = [50, 150, 250, 350, 450, 550, 650, 750, 850, 50, 150, 250]
    paths = write_xa_single_frames(tmp_path, moving_frames(len(delays)))
    cine = find_series([tmp_path]).cines[0]
    for ds, delay in zip(cine.headers, delays, strict=True):
        ds.TriggerTime = delay

    found = acquisition_of(cine)

    assert len(paths) == len(found.times_s) == 12
    assert found.r_waves_s == pytest.approx((-0.05, 0.85))


def test_a_trigger_time_that_is_0_in_every_frame_tells_no_beat(tmp_path: Path) -> None:
    write_xa_single_frames(tmp_path, moving_frames(6), TriggerTime=0)
    assert acquisition_of(find_series([tmp_path]).cines[0]).r_waves_s == ()


def test_an_enhanced_header_is_read_from_its_groups(tmp_path: Path) -> None:
    found = read_enhanced(
        tmp_path, 4, shared={"FramePixelDataPropertiesSequence": {"ImagerPixelSpacing": [2.0, 2.0]}}
    )

    assert found.angles_deg == (-30, 20)
    assert (found.source_detector_mm, found.source_patient_mm, found.pixel_mm) == (1200, 750, 2.0)
    assert found.times_s == pytest.approx([k * STEP_S for k in range(4)])


@pytest.mark.parametrize(("step", "told"), [(1.0, (-28.5, 20)), (10.0, None)])
def test_angles_of_enhanced_frames_are_one_view_or_none(
    tmp_path: Path, step: float, told: tuple[float, float] | None
) -> None:
    def position(k: int) -> dict[str, dict[str, float]]:
        angles = {"PositionerPrimaryAngle": -30 + step * k, "PositionerSecondaryAngle": 20.0}
        return {"PositionerPositionSequence": angles}

    assert read_enhanced(tmp_path, 4, per_frame=position).angles_deg == told


def test_a_spacing_that_differs_between_enhanced_frames_is_unknown(tmp_path: Path) -> None:
    def properties(k: int) -> dict[str, dict[str, list[float]]]:
        return {"FramePixelDataPropertiesSequence": {"ImagerPixelSpacing": [2.0 + k, 2.0 + k]}}

    assert read_enhanced(tmp_path, 4, per_frame=properties).pixel_mm is None


def test_trigger_delays_of_enhanced_frames_tell_the_r_waves(tmp_path: Path) -> None:
    """A wave 20 ms before the first frame, one 780 ms after it."""

    def gated(k: int) -> dict[str, dict[str, float]]:
        delay = 1000 * k * STEP_S + 20
        word = "ActualCardiacTriggerDelayTime" if k else "NominalCardiacTriggerDelayTime"
        return {"CardiacSynchronizationSequence": {word: delay if delay < 800 else delay - 800}}

    found = read_enhanced(tmp_path, 14, per_frame=gated)

    assert found.r_waves_s == pytest.approx((-0.02, 0.78))
