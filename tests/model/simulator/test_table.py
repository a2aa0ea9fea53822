"""The table that is panned under the patient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from casgan_dicom.model.simulator.cine import CineSettings, simulate_cine
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.layered import LayeredBackground
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds
from casgan_dicom.model.simulator.run import Run, draw_run, draw_table, draw_view, stream
from casgan_dicom.model.simulator.studio import Studio
from casgan_dicom.model.simulator.table import Pan, Table

FIELD_MM = 160.0
PAN = Pan(start_s=0.5, duration_s=1.0, way_mm=(-12.0, -9.0))


def test_a_pan_begins_and_ends_softly_and_arrives() -> None:
    table = Table((PAN,))
    way = np.stack([table.shift_mm(t) for t in np.linspace(0.0, 2.0, 201)])
    step = np.linalg.norm(np.diff(way, axis=0), axis=1)
    np.testing.assert_allclose(way[:50], 0.0, atol=1e-9)
    np.testing.assert_allclose(way[-1], PAN.way_mm)
    assert step[52] < 0.02 * step.max()
    assert step.argmax() in range(95, 106)


def test_the_first_frame_is_where_the_patient_lies_even_when_the_pan_was_begun() -> None:
    table = Table((replace(PAN, start_s=-0.5),))
    np.testing.assert_allclose(table.shift_mm(0.0), 0.0)
    assert np.linalg.norm(table.shift_mm(1.0)) == pytest.approx(7.5)  # half of 15 mm was made before


def test_operators_pan_in_a_share_of_the_runs_by_up_to_60_pixels() -> None:
    tables = [Table.sample(np.random.default_rng(seed), FIELD_MM) for seed in range(400)]
    ways = [np.stack([table.shift_mm(t) for t in np.linspace(0, 8, 60)]) for table in tables]
    furthest = np.array([np.linalg.norm(way, axis=1).max() for way in ways]) * 512 / FIELD_MM
    assert 0.2 < (furthest > 8).mean() < 0.5
    assert furthest.max() < 70  # a nudge may come on top
    assert (furthest > 40).mean() > 0.05
    far = np.stack([way[-1] for way, px in zip(ways, furthest, strict=True) if px > 20])
    assert (far < 1.0).all(axis=1).mean() > 0.5  # up and left: the distal artery comes in


def panned_run() -> tuple[Run, Studio]:
    """A procedural patient of 96 pixels on a table that goes 12 mm to the left and 9 mm up."""
    settings = CineSettings(size=96, frames=30, field_mm=FIELD_MM, lead_in_s=(5.0, 5.0))
    view = View(-30.0, 0.0, 96, FIELD_MM, margin_px=8)
    background = ProceduralBackgrounds().background(stream(3, "background"), view)
    run = replace(draw_run(3, settings, background.heart), view=view, table=Table((PAN,)))
    still = replace(run.motion, heart_rate_bpm=1e-6, breath_amplitude_mm=0.0, coughs_s=())
    run = replace(run, motion=still)
    return run, Studio.build(3, run, background)


def test_everything_but_the_field_moves_with_the_table() -> None:
    """Artery and background must move alike: the pan is measured on each."""
    run, studio = panned_run()
    before, after = studio.frame(0), studio.frame(29)
    column, row = np.rint(run.pan_px(29 / 15)).astype(int)
    assert (column, row) == (-7, -5)

    for name in ("tree_mask", "catheter_mask", "heart_mask"):
        moved = np.roll(getattr(before, name), (row, column), axis=(0, 1))[12:-12, 12:-12]
        there = getattr(after, name)[12:-12, 12:-12]
        assert (moved & there).sum() > 0.75 * there.sum() > 0, name
    background, pan = studio.background, np.array([column, row], dtype=np.float64)
    assert isinstance(background, LayeredBackground)
    blades = background.collimator.attenuation  # filters in the field as well as its stop; they stay
    rest, shifted = (background.attenuation(0.1, 0.0, way) - blades for way in (None, pan))
    inner = studio.field[20:-20, 20:-20]
    difference = (np.roll(rest, (row, column), axis=(0, 1)) - shifted)[20:-20, 20:-20][inner]
    assert np.abs(difference).max() < 1e-3
    stop = ~studio.field
    np.testing.assert_array_equal((shifted + blades)[stop] > 20.0, (rest + blades)[stop] > 20.0)


def test_what_the_table_brings_in_is_the_patient_and_no_copy_of_the_border() -> None:
    """The oracle is a picture taken from where the pan ends."""
    view = View(-30.0, 0.0, 96, FIELD_MM, margin_px=8)
    pan = np.array([-8.0, 8.0])
    way = pan * view.pixel_mm
    wide = replace(view, size=112, field_mm=view.pixel_mm * 112, margin_px=0)
    there = replace(wide, shift_mm=(float(way[0]), float(way[1])))
    heart = ProceduralBackgrounds().background(stream(3, "background"), view).heart_mask(0.0, pan)
    expected = ProceduralBackgrounds().background(stream(3, "background"), there).heart_mask(0.0)

    np.testing.assert_array_equal(heart, expected[8:-8, 8:-8])
    assert heart.any()
    assert not heart.all()


def test_a_run_that_is_not_panned_needs_no_margin() -> None:
    settings = CineSettings(size=512)
    margins = {seed: draw_view(seed, settings)[1].margin_px for seed in range(40)}
    for seed, margin in margins.items():
        _, view = draw_view(seed, settings)
        ways = [np.abs(draw_table(seed, view).shift_mm(t)).max() for t in np.linspace(0, 10, 40)]
        assert margin >= max(ways) / view.pixel_mm
        assert (margin == 0) == (max(ways) == 0)
    assert 0 < sum(margin > 0 for margin in margins.values()) < 30
    assert max(margins.values()) < 80


def test_known_motion_contains_the_pan() -> None:
    settings = CineSettings(size=64, frames=30, field_mm=FIELD_MM)
    cine = simulate_cine(3, settings, ProceduralBackgrounds(), indices=(0, 29))
    still = replace(cine.run, table=Table())
    panned = replace(cine.run, table=Table((PAN,)))
    way = replace(cine, run=panned).vessel_tracks() - replace(cine, run=still).vessel_tracks()
    np.testing.assert_allclose(way[0], 0.0, atol=1e-9)
    np.testing.assert_allclose(way[1], np.broadcast_to([-4.8, -3.6], way[1].shape), atol=1e-6)
