"""The made-up chest: it beats, breathes, agrees with its own heart, and is the same for the same seed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from casgan_dicom.model.simulator.background import Background
from casgan_dicom.model.simulator.chest import Chest
from casgan_dicom.model.simulator.detector import FIELD_STOP
from casgan_dicom.model.simulator.drr import line_integrals
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds

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
    (coarse,), (fine,) = (line_integrals(grid, View(0.0, 0.0, size=size), np.eye(3)) for size in (48, 96))

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

    air = np.asarray(grid.values[0, slice_, row, column], dtype=np.float32)
    assert (air < 0.005).mean() > 0.97  # dents reach a few millimetres in
