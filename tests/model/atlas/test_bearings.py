"""Artery, view and scale: header against picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from casgan_dicom.model.atlas.bearings import take_bearings
from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.model.atlas.cues import GRID, Cues
from tests.model.atlas.readings import oracle_cues, patient

CUES = oracle_cues(patient(4))


def showing(primary: float, secondary: float, cues: Cues = CUES) -> Cues:
    return replace(cues, angles_deg=np.tile([primary, secondary], (len(cues.right), 1)))


def scaled(field_mm: float) -> Cues:
    return replace(CUES, field_mm=np.full(len(CUES.right), field_mm))


def test_the_header_is_followed_where_the_picture_agrees() -> None:
    bearings = take_bearings(showing(-22.0, 9.0), RunContext(angles_deg=(-32.0, 2.0)))
    assert (bearings.view.primary_deg, bearings.view.secondary_deg) == (-32.0, 2.0)
    assert bearings.angles_source == "header"
    assert bearings.angles_seen_deg == (-22.0, 9.0)
    assert bearings.notes == ()


def test_a_flipped_primary_sign_is_mended_and_said() -> None:
    bearings = take_bearings(showing(30.0, 4.0), RunContext(angles_deg=(-32.0, 2.0)))
    assert (bearings.view.primary_deg, bearings.view.secondary_deg) == (32.0, 2.0)
    assert bearings.angles_source == "header, primary sign flipped"
    (note,) = bearings.notes
    said = "the header's primary angle is -32, the picture shows about 30: the sign was taken as flipped"
    assert note == said


def test_a_header_that_fits_in_neither_sign_is_set_aside() -> None:
    bearings = take_bearings(showing(30.0, 25.0), RunContext(angles_deg=(-32.0, -30.0)))
    assert (bearings.view.primary_deg, bearings.view.secondary_deg) == (30.0, 25.0)
    assert bearings.angles_source == "picture"
    assert "-32 and -30" in bearings.notes[0]


def test_a_header_that_is_somewhat_off_is_followed_and_the_contradiction_said() -> None:
    bearings = take_bearings(showing(-2.0, 20.0), RunContext(angles_deg=(-32.0, 2.0)))
    assert (bearings.view.primary_deg, bearings.angles_source) == (-32.0, "header")
    (note,) = bearings.notes
    assert note.endswith("the picture shows about -2 and 20: the header was followed")


def test_an_angle_that_is_next_to_nothing_has_no_sign_to_flip() -> None:
    bearings = take_bearings(showing(-20.0, -10.0), RunContext(angles_deg=(4.0, -30.0)))
    assert (bearings.view.primary_deg, bearings.angles_source) == (4.0, "header")


def test_angles_of_the_caller_stand_whatever_the_picture_shows() -> None:
    context = RunContext(angles_deg=(-60.0, 0.0), angles_given=True)
    bearings = take_bearings(showing(30.0, 0.0), context)
    assert bearings.view.primary_deg == -60.0
    assert bearings.angles_source == "given"
    assert len(bearings.notes) == 1


def test_without_a_header_the_picture_tells_the_angles() -> None:
    bearings = take_bearings(showing(12.0, -7.0), RunContext())
    assert (bearings.view.primary_deg, bearings.angles_source) == (12.0, "picture")


def test_the_artery_is_the_pictures_unless_one_is_asked_for() -> None:
    right = replace(CUES, right=np.full(len(CUES.right), 2.0))
    seen = take_bearings(right, RunContext())
    assert (seen.artery, seen.notes) == ("RCA", ())
    assert seen.artery_sure == pytest.approx(1 / (1 + np.exp(-2)))
    asked = take_bearings(right, RunContext(artery="LCA"))
    assert asked.artery == "LCA"
    assert asked.artery_sure == pytest.approx(1 - seen.artery_sure)
    assert "LCA was asked for" in asked.notes[0]


def test_scale_is_the_headers_spacing_times_the_longer_side() -> None:
    context = RunContext(pixel_mm=0.3, shape=(512, 600))
    bearings = take_bearings(scaled(200.0), context)
    assert bearings.view.field_mm == pytest.approx(180.0)
    assert bearings.scale_source == "header"


def test_distances_of_the_header_enlarge_the_heart_as_they_do_in_the_room() -> None:
    """What the picture shows of the scale is mm in the heart per pixel; that is kept at any distance."""
    context = RunContext(source_detector_mm=1200.0, source_patient_mm=700.0)
    view = take_bearings(scaled(200.0), context).view
    usual = take_bearings(scaled(200.0), RunContext()).view
    assert view.magnification == pytest.approx(12 / 7)
    assert view.pixel_mm / view.magnification == pytest.approx(usual.pixel_mm / usual.magnification)


def test_impossible_scales_and_distances_are_set_aside_and_said() -> None:
    context = RunContext(pixel_mm=0.01, shape=(512, 512), source_detector_mm=700.0, source_patient_mm=900.0)
    bearings = take_bearings(scaled(200.0), context)
    assert bearings.view.field_mm == pytest.approx(200.0)
    assert bearings.view.source_detector_mm == 1100.0
    assert bearings.scale_source == "picture"
    assert len(bearings.notes) == 2


def test_a_scale_far_from_the_pictures_is_followed_and_said() -> None:
    bearings = take_bearings(scaled(120.0), RunContext(pixel_mm=0.5, shape=(512, 512)))
    assert bearings.view.field_mm == pytest.approx(256.0)
    assert "256 mm" in bearings.notes[0]


def test_the_isocentre_falls_where_the_picture_shows_it() -> None:
    cues = replace(CUES, isocentre=np.tile([10.0, -6.0], (len(CUES.right), 1)))
    view = take_bearings(cues, RunContext(pixel_mm=0.4, shape=(512, 512))).view
    place, _ = view.project(np.zeros(3))
    np.testing.assert_allclose(place, (GRID - 1) / 2 + np.array([10.0, -6.0]))


def test_notes_are_plain_ascii() -> None:
    odd = RunContext(angles_deg=(-80.0, 40.0), artery="LCA", pixel_mm=2.0, shape=(512, 512))
    far = replace(odd, source_detector_mm=5000.0, source_patient_mm=700.0)
    notes = take_bearings(replace(CUES, right=np.full(len(CUES.right), 3.0)), far).notes
    assert len(notes) == 4
    assert all(note.isascii() for note in notes)
