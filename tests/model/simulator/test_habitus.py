"""The map from a patient to the CT: it can be undone, never folds, and makes people differ."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from casgan_dicom.model.simulator.ct import fit_heart
from casgan_dicom.model.simulator.habitus import Habitus
from casgan_dicom.model.simulator.heart import Heart

Array = npt.NDArray[np.float64]


def body_points(count: int = 3000) -> Array:
    """Points of the part of a chest that a picture can show, (count, 3)."""
    return np.random.default_rng(0).uniform((-110, -90, -110), (110, 110, 110), (count, 3))


def heart_points(count: int = 2000) -> Array:
    """Points that fill a heart evenly, (count, 3)."""
    rng = np.random.default_rng(1)
    unit = rng.standard_normal((count, 3))
    unit *= rng.random((count, 1)) ** (1 / 3) / np.linalg.norm(unit, axis=1, keepdims=True)
    return Heart().to_patient(unit)


@pytest.mark.parametrize("seed", range(12))
def test_way_back_undoes_the_way_there(seed: int) -> None:
    habitus = Habitus.sample(np.random.default_rng(seed))
    points = body_points()

    np.testing.assert_allclose(habitus.to_patient(habitus.to_ct(points)), points, atol=0.1)


@pytest.mark.parametrize("seed", range(40))
def test_no_body_is_folded(seed: int) -> None:
    """The Jacobian's determinant, by differences of half a millimetre, stays well above zero."""
    habitus, points = Habitus.sample(np.random.default_rng(seed)), body_points()
    columns = [habitus.to_ct(points + 0.25 * e) - habitus.to_ct(points - 0.25 * e) for e in np.eye(3)]

    volume = np.linalg.det(np.stack(columns, axis=-1) / 0.5)

    assert volume.min() > 0.15
    assert volume.max() < 4.0


def test_heart_ends_in_the_isocentre() -> None:
    points = heart_points() + np.array([3.0, -5.0, 2.0])

    habitus = Habitus.sample(np.random.default_rng(3)).centred(points)

    np.testing.assert_allclose(habitus.to_patient(points).mean(axis=0), 0.0, atol=0.3)


def test_bodies_differ_in_more_than_a_stretch() -> None:
    """After the best affine map from one body to another, points are still millimetres off."""
    points = body_points(800)
    homogeneous = np.append(points, np.ones((len(points), 1)), axis=1)
    left_over = []
    for seed in range(8):
        moved = Habitus.sample(np.random.default_rng(seed)).to_ct(points)
        fit, *_ = np.linalg.lstsq(homogeneous, moved, rcond=None)
        left_over.append(np.sqrt(((homogeneous @ fit - moved) ** 2).sum(axis=1).mean()))

    assert min(left_over) > 2.0
    assert np.ptp(left_over) > 1.0


def test_heart_and_chest_vary_apart_from_each_other() -> None:
    """The heart's share of the chest's width differs by a quarter between bodies."""
    inside, across = heart_points(), np.array([[-120.0, 0.0, 40.0], [120.0, 0.0, 40.0]])
    shares = []
    for seed in range(16):
        habitus = Habitus.sample(np.random.default_rng(seed))
        chest = np.linalg.norm(np.diff(habitus.to_patient(across), axis=0))
        shares.append(habitus.to_patient(inside)[:, 0].std() / chest)

    assert max(shares) / min(shares) > 1.25


@pytest.mark.parametrize("seed", range(8))
def test_fitted_ellipsoid_holds_the_bent_heart(seed: int) -> None:
    """The coronary tree grows on the ellipsoid: the heart that the picture shows must lie in it."""
    inside = heart_points()
    habitus = Habitus.sample(np.random.default_rng(seed)).centred(inside)
    bent = habitus.to_patient(inside)

    heart = fit_heart(bent)

    depth = (((bent @ heart.axes.T) / heart.semi_axes_mm) ** 2).sum(axis=1)
    assert (depth < 1.0).mean() > 0.9
    assert (depth < 1.25).all()
