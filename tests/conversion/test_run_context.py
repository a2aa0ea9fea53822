"""What a plan is told of a run: header and shutters, and what the caller overrules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from casgan_dicom.conversion.artery import Artery
from casgan_dicom.conversion.options import InjectionChoice, ViewChoice
from casgan_dicom.conversion.run_context import run_context
from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.pixels.display import Display
from casgan_dicom.source.series import find_series
from tests.support.factories import moving_frames, uid, write_xa

SHUTTER = {
    "ShutterShape": "RECTANGULAR",
    "ShutterLeftVerticalEdge": 11,
    "ShutterRightVerticalEdge": 80,
    "ShutterUpperHorizontalEdge": 1,
    "ShutterLowerHorizontalEdge": 64,
}


def context_of(
    folder: Path,
    artery: Artery = "auto",
    view: str = "auto",
    injection: str = "none",
    /,
    **header: Any,  # noqa: ANN401 - any element
) -> RunContext:
    """The context of a run of 30 frames of 64 × 80."""
    path = write_xa(folder / "a.dcm", moving_frames(30), **header)
    cine = find_series([path]).cines[0]
    return run_context(cine, Display.of(cine), artery, ViewChoice(view), InjectionChoice(injection))


def test_header_and_shutters_are_told(tmp_path: Path) -> None:
    told = context_of(
        tmp_path,
        **SHUTTER,
        PositionerPrimaryAngle=-28,
        PositionerSecondaryAngle=19,
        DistanceSourceToDetector=1180,
        DistanceSourceToPatient=765,
        ImagerPixelSpacing=[2.5, 2.5],
        RWavePointer=[3, 15],
        FrameTime=60,
        AveragePulseWidth=8,
    )

    assert told.pulse_ms == 8
    assert (told.angles_deg, told.angles_given, told.artery) == ((-28, 19), False, None)
    assert (told.frames, told.key) == (30, uid("series"))
    assert (told.source_detector_mm, told.source_patient_mm, told.pixel_mm) == (1180, 765, 2.5)
    assert told.times_s == pytest.approx(np.arange(30) * 0.06)
    assert told.r_waves_s == pytest.approx((0.12, 0.84))
    assert told.visible is not None
    assert told.visible.shape == (64, 80)
    assert not told.visible[:, :10].any()
    assert told.visible[:, 10:].all()


def test_a_view_of_the_callers_replaces_that_of_the_header(tmp_path: Path) -> None:
    told = context_of(tmp_path, "auto", "LAO45 CAU10", PositionerPrimaryAngle=-28)
    assert (told.angles_deg, told.angles_given) == ((45, -10), True)


@pytest.mark.parametrize(("artery", "system"), [("auto", None), ("left", "LCA"), ("right", "RCA")])
def test_the_artery_is_told_by_its_name_in_the_model(
    tmp_path: Path, artery: Artery, system: str | None
) -> None:
    assert context_of(tmp_path, artery).artery == system


def test_what_no_header_says_is_unknown(tmp_path: Path) -> None:
    gone = dict.fromkeys(("PositionerPrimaryAngle", "PositionerSecondaryAngle", "FrameTime"))
    told = context_of(tmp_path, FrameIncrementPointer=None, **gone)

    assert (told.angles_deg, told.times_s, told.r_waves_s) == (None, (), ())
    assert (told.source_detector_mm, told.source_patient_mm, told.pixel_mm) == (None, None, None)


def test_an_injection_is_told_where_it_is_asked_for(tmp_path: Path) -> None:
    assert context_of(tmp_path / "a").injection_s is None
    assert context_of(tmp_path / "b", "auto", "auto", "0.5,2").injection_s == (0.5, 2)
