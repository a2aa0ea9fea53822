"""Wandering noise, and branches that are marched side by side."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.growth import Sprouts, grow, heart_direction, lay_trunk, resample, wander
from casgan_dicom.model.simulator.heart import Heart

HEART = Heart()
SEMI = np.asarray(HEART.semi_axes_mm)


def sprouts(count: int = 2, *, turn_deg: float = 60.0, inward: float = 0.0, depth: float = 1.0) -> Sprouts:
    """Branches in the middle of the free wall that leave a vessel running along the heart's axis."""
    return Sprouts(
        start=np.tile([0.0, SEMI[1], 0.0], (count, 1)),
        along=np.tile([0.0, 0.0, 1.0], (count, 1)),
        turn_rad=np.full(count, np.deg2rad(turn_deg)),
        turn_mm=np.full(count, 5.0),
        towards=np.zeros((count, 3)),
        length_mm=np.linspace(20.0, 40.0, count),
        swing_rad=np.zeros((count, 2)),
        wavelength_mm=np.full((count, 2), 10.0),
        inward=np.full(count, inward),
        depth=np.full(count, depth),
    )


def grown(branches: Sprouts) -> list[Array]:
    return grow(HEART, branches, np.random.default_rng(0))


@pytest.mark.parametrize("wavelength", [8.0, 30.0])
def test_noise_has_the_wavelength_and_deviation_asked_for(wavelength: float) -> None:
    noise = wander(np.random.default_rng(1), 4096, np.full(8, wavelength), np.full(8, 0.3))
    assert noise.std() == pytest.approx(0.3, rel=0.1)
    power = (np.abs(np.fft.rfft(noise, axis=1)) ** 2).mean(axis=0)
    strongest = 4096 / np.argmax(np.convolve(power, np.ones(9), mode="same"))
    assert strongest == pytest.approx(wavelength, rel=0.5)


def test_branches_have_their_lengths_and_even_points() -> None:
    for path, length in zip(grown(sprouts(3)), (20.0, 30.0, 40.0), strict=True):
        steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
        assert len(path) == 2 * length + 1
        np.testing.assert_allclose(steps, 0.5, atol=0.03)


@pytest.mark.parametrize("turn_deg", [-70.0, 40.0])
def test_a_branch_turns_by_its_angle_after_leaving_along_its_parent(turn_deg: float) -> None:
    path = grown(sprouts(1, turn_deg=turn_deg))[0]
    directions = np.diff(path, axis=0) / np.linalg.norm(np.diff(path, axis=0), axis=1, keepdims=True)
    assert np.rad2deg(np.arccos(directions[0, 2])) < abs(turn_deg) / 2
    # along the surface the heading is kept, so the angle to the long axis stays for the next few mm
    assert np.rad2deg(np.arccos(directions[12, 2])) == pytest.approx(abs(turn_deg), abs=8)
    assert np.sign(directions[12, 0]) == np.sign(turn_deg)  # to the left seen from outside is up here


def test_branches_stay_on_the_epicardium_come_to_their_depth_or_go_inward() -> None:
    def end(branches: Sprouts) -> float:
        return float(np.linalg.norm(grown(branches)[0][-1] / SEMI))

    assert end(sprouts(1)) == pytest.approx(1.0, abs=1e-6)
    assert end(sprouts(1, depth=1.1)) == pytest.approx(1.1, abs=0.03)
    assert end(sprouts(1, inward=1.0)) < 0.85


def test_a_trunk_runs_through_its_guide_and_leaves_its_parent_in_its_direction() -> None:
    azimuth, height = np.array([0.0, 20.0, 45.0, 60.0]), np.array([-0.3, -0.1, 0.1, 0.4])
    guide = heart_direction(azimuth, height) * SEMI
    leaving = np.cross(guide[0], guide[1] - guide[0])
    leaving /= np.linalg.norm(leaving)
    path = lay_trunk(HEART, guide, np.ones(4), leaving=leaving)
    for point in guide:
        assert np.linalg.norm(path - point, axis=1).min() < 0.6
    first = resample(path, 0.1)
    assert (first[1] - first[0]) @ leaving / np.linalg.norm(first[1] - first[0]) > 0.9
