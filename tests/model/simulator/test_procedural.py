"""The made-up chest: it beats, breathes, agrees with its own heart, and is the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from casgan_dicom.model.simulator.background import Background
from casgan_dicom.model.simulator.chest import Chest
from casgan_dicom.model.simulator.detector import FIELD_STOP
from casgan_dicom.model.simulator.drr import line_integrals, straight
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.lungs import Ellipsoid
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds
from casgan_dicom.model.simulator.skeleton import Thorax, draw_ribs, draw_spine
from casgan_dicom.model.simulator.solids import Rays
from casgan_dicom.model.simulator.wall import draw_breasts

VIEW = View(-30.0, 10.0, size=96)
SYSTOLE = 0.36


def patient(seed: int, view: View = VIEW) -> Background:
    return ProceduralBackgrounds().background(np.random.default_rng(seed), view)


def epicardium(heart: Heart, count: int = 4000) -> npt.NDArray[np.float64]:
    """Random points of the ellipsoid's surface, (count, 3)."""
    unit = np.random.default_rng(0).standard_normal((count, 3))
    return heart.to_patient(unit / np.linalg.norm(unit, axis=1, keepdims=True))


def test_same_seed_makes_the_same_patient() -> None:
    first, second = patient(3), patient(3)

    np.testing.assert_array_equal(first.attenuation(0.2, 4.0), second.attenuation(0.2, 4.0))
    np.testing.assert_array_equal(first.field_mask(), second.field_mask())


def test_another_seed_makes_another_patient() -> None:
    assert np.abs(patient(3).attenuation(0.0, 0.0) - patient(4).attenuation(0.0, 0.0)).mean() > 0.05


@pytest.mark.parametrize("seed", range(6))
def test_line_integrals_are_those_of_a_chest(seed: int) -> None:
    """150 to 400 mm of tissue with air in it, at 0.02 per mm; nothing is negative or undefined."""
    background = patient(seed)
    attenuation = background.attenuation(0.0, 0.0)
    inside = attenuation[background.field_mask()]

    assert attenuation.dtype == np.float32
    assert attenuation.shape == (96, 96)
    assert np.isfinite(attenuation).all()
    assert inside.min() > 0.5
    assert 2.5 < np.median(inside) < 7.0
    assert inside.max() < 9.0


@pytest.mark.parametrize("seed", range(6))
def test_field_is_open_in_the_middle_and_dark_outside(seed: int) -> None:
    background = patient(seed)
    field, attenuation = background.field_mask(), background.attenuation(0.0, 0.0)

    assert field[48, 48]
    assert field.mean() > 0.5
    if not field.all():
        assert np.median(attenuation[~field]) > np.median(attenuation[field]) + 1.5
    assert (field & (attenuation >= FIELD_STOP)).sum() == 0


def test_heart_mask_is_the_projection_of_the_heart() -> None:
    """The oracle projects points of the surface; the mask comes from rays through the solid."""
    background = patient(1)
    pixels, _ = VIEW.project(epicardium(background.heart))
    column, row = np.rint(pixels).astype(int).T
    seen = (column >= 1) & (column < 95) & (row >= 1) & (row < 95)
    column, row = column[seen], row[seen]
    mask = background.heart_mask(0.0)
    grown = mask | np.roll(mask, 1, 0) | np.roll(mask, -1, 0) | np.roll(mask, 1, 1) | np.roll(mask, -1, 1)

    assert grown[row, column].all()
    assert mask.sum() > 0
    rows, columns = np.nonzero(mask)
    assert rows.min() >= row.min() - 1
    assert rows.max() <= max(row.max(), 94) + 1
    assert columns.min() >= column.min() - 1
    assert columns.max() <= max(column.max(), 94) + 1


def test_heart_is_smaller_at_end_systole() -> None:
    background = patient(2)

    assert background.heart_mask(SYSTOLE).sum() < 0.95 * background.heart_mask(0.0).sum()


def test_lung_comes_in_where_the_heart_draws_back() -> None:
    """At end-systole there is less tissue in the rim that the heart has left."""
    background = patient(0)
    rim = background.heart_mask(0.0) & ~background.heart_mask(SYSTOLE) & background.field_mask()
    rim[60:] = False  # away from the diaphragm

    change = background.attenuation(SYSTOLE, 0.0) - background.attenuation(0.0, 0.0)

    assert rim.sum() > 30
    assert change[rim].mean() < -0.02


def test_breath_brings_air_where_the_diaphragm_was() -> None:
    """Breathing in moves the dome towards the feet: the picture gets brighter under its old top."""
    view = View(0.0, 0.0, size=96, shift_mm=(0.0, -45.0))  # looks below the heart
    background = patient(5, view)

    change = background.attenuation(0.0, 14.0) - background.attenuation(0.0, 0.0)
    lower = change[48:][background.field_mask()[48:]]

    assert lower.mean() < -0.01
    assert np.percentile(lower, 2) < -0.1


def test_a_heart_beat_ends_where_it_began() -> None:
    background = patient(1)

    np.testing.assert_array_equal(background.attenuation(0.0, 0.0), background.attenuation(1.0, 0.0))
    assert np.abs(background.attenuation(0.999, 0.0) - background.attenuation(0.0, 0.0)).max() < 0.02


def test_resolution_does_not_change_the_lungs() -> None:
    """The air is drawn in millimetres: half the pixels see the same outline."""
    chest, heart = Chest.sample(np.random.default_rng(1)), Heart()
    grid = chest.air(np.random.default_rng(2), heart)
    (coarse,), (fine,) = (line_integrals(grid, View(0.0, 0.0, size=size), straight) for size in (48, 96))

    blocks = fine.reshape(48, 2, 48, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(
        coarse, blocks, atol=0.08
    )  # a pixel's centre against its mean, at steep borders


def test_heart_lies_in_the_chest_without_air() -> None:
    """The voxels of the made-up lungs leave the heart's ellipsoid free."""
    chest, heart = Chest.sample(np.random.default_rng(4)), Heart()
    grid = chest.air(np.random.default_rng(2), heart)
    points = 0.85 * epicardium(heart)
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    column, row, slice_ = np.rint(homogeneous @ np.linalg.inv(grid.voxel_to_isocentre).T).astype(int)[:, :3].T

    air = np.asarray(grid.values[slice_, row, column, 0], dtype=np.float32)
    assert (air < 0.005).mean() > 0.97  # dents reach a few millimetres in


@pytest.mark.parametrize(("primary", "secondary"), [(50.0, 40.0), (-50.0, -40.0), (50.0, -40.0)])
def test_steep_and_tight_views_are_filled(primary: float, secondary: float) -> None:
    view = View(primary, secondary, size=64, field_mm=110.0, shift_mm=(30.0, -25.0))

    background = patient(2, view)
    inside = background.attenuation(0.2, 5.0)[background.field_mask()]

    assert np.isfinite(inside).all()
    assert inside.min() > 1.0
    assert np.ptp(inside) > 0.3


def test_lung_is_bright_beside_a_dark_spine() -> None:
    """Half of a left oblique view is lung, half is spine: at least a factor of four in intensity."""
    view = View(45.0, 0.0, size=48, field_mm=200.0)
    ranges = []
    for seed in range(3):
        background = patient(seed, view)
        inside = background.attenuation(0.0, 0.0)[background.field_mask()]
        ranges.append(np.ptp(np.percentile(inside, (2, 98))))

    assert min(ranges) > 1.4


def test_gas_brightens_what_lies_under_the_diaphragm_only() -> None:
    chest, heart = Chest.sample(np.random.default_rng(3)), Heart()
    view = View(0.0, 0.0, size=96, shift_mm=(0.0, -45.0))
    dome = chest.domes[1]
    top = float(dome.centre[2] + dome.semi[2])
    bubble = Ellipsoid(np.array([dome.centre[0], dome.centre[1], top - 34.0]), np.array([20.0, 20.0, 16.0]))
    full, empty = (
        line_integrals(replace(chest, gas=gas).air(np.random.default_rng(2), heart), view, straight)[0]
        for gas in ((bubble,), ())
    )

    gained = full - empty
    (column, row), _ = view.project(bubble.centre)
    assert gained[int(row), int(column)] == pytest.approx(0.0205 * 40.0, rel=0.15)
    _, row = view.project(np.array([dome.centre[0], dome.centre[1], top + 6.0]))[0]
    assert np.abs(gained[: int(row)]).max() < 0.02


def test_diaphragm_has_a_second_contour_behind_and_below() -> None:
    for seed in range(6):
        right, left, right_slip, left_slip = Chest.sample(np.random.default_rng(seed)).domes
        for dome, slip in ((right, right_slip), (left, left_slip)):
            assert slip.centre[1] > dome.centre[1] + 10
            assert slip.centre[2] + slip.semi[2] < dome.centre[2] + 1.1 * dome.semi[2]


def test_vertebrae_stand_at_the_spines_pitch() -> None:
    """Seen from the side, the profile along the spine repeats at the pitch, magnified."""
    thorax, view = Thorax(pitch=26.0, bow=0.0), View(90.0, 0.0, size=256)

    image = draw_spine(np.random.default_rng(0), view, thorax, 0.7)

    pixels, scale = view.project(np.array([thorax.midline, thorax.spine, 0.0]))
    column = int(np.clip(pixels[0], 10, 245))
    profile = image[:, column - 6 : column + 7].mean(axis=1)
    profile = profile - profile.mean()
    correlation = np.correlate(profile, profile, mode="full")[256:]
    expected = 26.0 * float(scale)
    found = 10 + int(np.argmax(correlation[10 : int(1.5 * expected)]))
    assert found == pytest.approx(expected, abs=4.0)


def test_spine_runs_along_its_own_tangent() -> None:
    thorax = Thorax(lean=0.07, bow=6.0)
    for z in (-80.0, 0.0, 55.0):
        (below, _), (above, _), (_, along) = (thorax.spine_at(z + step) for step in (-0.5, 0.5, 0.0))

        np.testing.assert_allclose((above - below) / np.linalg.norm(above - below), along, atol=1e-4)


def test_ribs_slope_down_to_the_front() -> None:
    """Seen from the side, what lies in front stands lower: the picture is shifted down towards the front."""
    view, thorax = View(90.0, 0.0, size=128, field_mm=300.0), Thorax(density=3.0)
    image = draw_ribs(np.random.default_rng(0), view, thorax, 0.5)
    (back, _), (front, _) = (view.project(np.array([0.0, y, 0.0]))[0] for y in (60.0, -40.0))

    def profile(column: float) -> npt.NDArray[np.float64]:
        line = image[:, int(column) - 1 : int(column) + 2].mean(axis=1).astype(np.float64)
        return np.asarray(line - line.mean())

    pitch_px = thorax.pitch * view.magnification / view.pixel_mm
    lags = np.arange(int(0.5 * pitch_px), int(3.5 * pitch_px))
    down = [profile(back)[: 128 - lag] @ profile(front)[lag:] for lag in lags]
    assert max(down) > 0.3 * np.linalg.norm(profile(back)) * np.linalg.norm(profile(front))
    assert image.min() >= 0.0


def test_breasts_are_seen_in_some_patients_and_fade_out() -> None:
    view = View(0.0, 0.0, size=64, field_mm=300.0)
    rays = Rays.of(view)
    shadows = [draw_breasts(np.random.default_rng(seed), rays, -22.0, -100.0, 1.0) for seed in range(40)]

    seen = [shadow for shadow in shadows if shadow.any()]
    assert 10 < len(seen) < 30
    for shadow in seen:
        assert 0.05 < shadow.max() < 0.8
        assert np.abs(np.diff(shadow, axis=1)).max() < 0.3 * shadow.max()


def test_lung_vessels_near_the_heart_move_with_the_beat() -> None:
    """Fine structure of the lung beside the heart changes between diastole and systole."""
    background = patient(7)
    rim = ndimage.binary_dilation(background.heart_mask(0.0), iterations=10) & ~background.heart_mask(0.0)
    change = background.attenuation(SYSTOLE, 0.0) - background.attenuation(0.0, 0.0)
    fine = change - ndimage.gaussian_filter(change, 3.0)

    assert fine[rim & background.field_mask()].std() > 0.004
