"""Clutter: how often there is some, how much of the picture it covers, that nothing of it is regular."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from casgan_dicom.model.simulator import clutter
from casgan_dicom.model.simulator.clutter import FloatImage, pacing_clutter, still_clutter, surface_folds
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.implants import draw_graft_clips, draw_sternotomy, draw_valve, put_disc
from casgan_dicom.model.simulator.layered import CLUTTER_SEEN, LayeredBackground
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds

VIEW = View(0.0, 0.0, size=128)
FRONT = np.array([0.0, -1.0, 0.0])
STERNUM = np.array([-22.0, -90.0, 0.0])


def drawn(seed: int, view: View = VIEW) -> FloatImage:
    rng = np.random.default_rng(seed)
    return still_clutter(rng, view, -22.0, -108.0) + pacing_clutter(rng, view, Heart())


def test_half_of_the_runs_have_clutter_and_it_covers_little() -> None:
    cover = np.array([(drawn(seed) > CLUTTER_SEEN).mean() for seed in range(120)])

    assert 0.3 < (cover > 0.0005).mean() < 0.65
    assert np.median(cover[cover > 0.0005]) < 0.04
    assert np.percentile(cover, 97) < 0.09  # pixels of 1.6 mm widen what is thin


def test_same_seed_draws_the_same_clutter() -> None:
    seeds = [seed for seed in range(30) if drawn(seed).any()][:3]
    for seed in seeds:
        np.testing.assert_array_equal(drawn(seed), drawn(seed))


def test_disc_keeps_its_area_and_becomes_an_ellipse_at_a_slant() -> None:
    face_on, slanted = (np.zeros((128, 128), dtype=np.float32) for _ in range(2))
    put_disc(face_on, VIEW, (np.zeros(3), FRONT), 12.0, 0.3)
    put_disc(slanted, VIEW, (np.zeros(3), np.array([1.0, -1.0, 0.0])), 12.0, 0.3)
    radius = 12.0 * VIEW.magnification / VIEW.pixel_mm

    assert face_on.max() == pytest.approx(0.3, rel=0.01)
    assert face_on.sum() == pytest.approx(0.3 * np.pi * radius**2, rel=0.05)
    rows, columns = np.nonzero(slanted > 0.1)
    assert np.ptp(rows) == pytest.approx(2 * radius, abs=2.5)
    assert np.ptp(columns) == pytest.approx(2 * radius / np.sqrt(2), abs=2.5)
    assert slanted.max() > 1.2 * face_on.max()  # a longer way through it


@pytest.mark.parametrize("x", [-200.0, -70.0, 68.0])
def test_disc_at_the_edge_or_outside_does_not_fail(x: float) -> None:
    image = np.zeros((128, 128), dtype=np.float32)
    put_disc(image, VIEW, (np.array([x, 0.0, 0.0]), FRONT), 8.0, 0.3)
    assert (image > 0).any() == (x != -200.0)


def test_sternal_wires_are_unequal_and_unevenly_spaced() -> None:
    """Equal ellipses at even spacing were what gave the pictures away."""
    view = View(0.0, 0.0, size=512, field_mm=300.0)
    sizes, gaps = [], []
    for seed in range(6):
        image = np.zeros((512, 512), dtype=np.float32)
        draw_sternotomy(np.random.default_rng(seed), image, view, STERNUM)
        column = image[:, 150:290]
        parts, count = ndimage.label(ndimage.binary_dilation(column > 0.05, iterations=3))
        boxes = ndimage.find_objects(parts)
        large = [k for k in range(count) if (parts[boxes[k]] == k + 1).sum() > 120]
        sizes += [(parts[boxes[k]] == k + 1).sum() for k in large]
        rows = sorted((boxes[k][0].start + boxes[k][0].stop) / 2 for k in large)
        gaps += list(np.diff(rows))

    assert len(sizes) > 12
    assert np.std(sizes) > 0.25 * np.mean(sizes)
    assert np.std(gaps) > 0.2 * np.mean(gaps)


def test_clips_are_small_and_dark() -> None:
    view = View(-30.0, 0.0, size=512)
    for seed in range(4):
        image = np.zeros((512, 512), dtype=np.float32)
        draw_graft_clips(np.random.default_rng(seed), image, view, Heart())
        assert image.max() > 0.2
        assert 0.0 < (image > CLUTTER_SEEN).mean() < 0.02


def test_valves_come_in_kinds() -> None:
    images = []
    for seed in range(6):
        images.append(np.zeros((128, 128), dtype=np.float32))
        draw_valve(np.random.default_rng(seed), images[-1], View(-30.0, 0.0, size=128), Heart())
    cover = np.array([(image > CLUTTER_SEEN).mean() for image in images])

    assert (cover > 0.001).all()
    assert cover.max() < 0.05
    assert np.std(cover) > 0.15 * np.mean(cover)


def test_folds_are_faint_and_in_some_runs_only() -> None:
    folds = [surface_folds(np.random.default_rng(seed), VIEW) for seed in range(60)]
    with_some = [fold for fold in folds if fold.any()]

    assert 8 < len(with_some) < 32
    assert all((fold >= 0).all() and fold.max() < 0.35 for fold in with_some)
    assert np.median([fold.max() for fold in with_some]) > 0.02


@pytest.fixture(scope="module")
def patient() -> LayeredBackground:
    made = ProceduralBackgrounds().background(np.random.default_rng(1), VIEW)
    assert isinstance(made, LayeredBackground)
    return made


def test_clutter_mask_is_where_the_metal_is(patient: LayeredBackground) -> None:
    still, valve = (np.zeros((128, 128), dtype=np.float32) for _ in range(2))
    put_disc(still, VIEW, (np.array([30.0, -90.0, 20.0]), FRONT), 6.0, 0.5)
    put_disc(valve, VIEW, (np.array([-20.0, 0.0, 0.0]), FRONT), 6.0, 0.5)
    bare = replace(patient, clutter=0 * still, implants=0 * still)
    with_metal = replace(patient, clutter=still, implants=valve)

    rest, systole = with_metal.clutter_mask(0.0, 0.0), with_metal.clutter_mask(0.36, 0.0)

    assert not bare.clutter_mask(0.3, 2.0).any()
    np.testing.assert_array_equal(rest, (still + valve) > CLUTTER_SEEN)
    np.testing.assert_array_equal(systole & (still > CLUTTER_SEEN), still > CLUTTER_SEEN)  # the skin stays
    assert not np.array_equal(rest, systole)  # the valve beats
    darker = with_metal.attenuation(0.36, 0.0) - bare.attenuation(0.36, 0.0)
    np.testing.assert_array_equal(darker > CLUTTER_SEEN, systole)


def test_folds_are_no_clutter(patient: LayeredBackground, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_ECG", "_STERNOTOMY", "_TUBING", "_LEADS", "_VALVE", "_CLIPS"):
        monkeypatch.setattr(clutter, name, 0.0)
    monkeypatch.setattr(clutter, "_FOLDS", 1.0)

    made = ProceduralBackgrounds().background(np.random.default_rng(1), VIEW)

    assert not made.clutter_mask(0.0, 0.0).any()
