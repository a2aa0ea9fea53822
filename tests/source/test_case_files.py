"""Small files that went wrong once, read as they should be: cases of headers, clocks and shutters."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.conversion.inspection import InspectedCine, inspect


def only(folder: Path) -> InspectedCine:
    (cine,) = inspect([folder]).cines
    return cine


def test_different_pictures_under_one_uid_are_an_error(cases: Path) -> None:
    cine = only(cases / "06-one-uid-four-pictures")

    assert not cine.forceable
    assert "is that of 4 different instances" in cine.reasons[0].text


def test_a_window_with_a_decimal_comma_is_used(cases: Path) -> None:
    cine = only(cases / "09-window-second-value-zero")

    assert "window 2048/1000 LINEAR" in cine.shown.display
    assert [warning.split()[0] for warning in cine.warnings] == ["WindowCenter", "WindowWidth"]


def test_a_frame_time_with_a_decimal_comma_is_used(cases: Path) -> None:
    cine = only(cases / "09-frame-time-comma")

    assert (cine.shown.frame_time_ms, cine.shown.timing_source) == (66.667, "FrameTime (0018,1063)")
    assert "decimal comma" in cine.warnings[0]


def test_a_rotation_is_called_one(cases: Path) -> None:
    cine = only(cases / "13-rotation")

    assert cine.shown.view == "rotation"
    assert "moves by 200 degrees" in cine.warnings[0]


def test_frames_over_midnight_are_in_order(cases: Path) -> None:
    cine = only(cases / "15-over-midnight")

    assert [uid[-3:] for uid in cine.instances] == ["200", "201", "202", "203", "204", "205"]
    assert cine.shown.frame_time_ms == pytest.approx(66.667, abs=1e-3)
    assert not cine.shown.irregular
    assert "passes midnight" in cine.warnings[0]


def test_a_shutter_with_swapped_edges_is_ignored(cases: Path) -> None:
    cine = only(cases / "18-shutter-swapped")

    assert cine.shown.visible_share == 1.0
    assert "RECTANGULAR is ignored" in cine.warnings[0]
