"""Trees in the picture; the oracle is the simulator's motion and projection."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.atlas.cues import GRID
from casgan_dicom.model.atlas.posing import Pose, heart_of, phase_of, warped
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.motion import contraction
from tests.model.atlas.readings import small_library


@pytest.mark.parametrize("contracted", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_phase_of_a_contraction_has_that_contraction(contracted: float) -> None:
    assert float(contraction(phase_of(contracted))) == pytest.approx(contracted, abs=1e-4)


def test_a_heart_from_its_apex_is_the_simulators() -> None:
    usual = Heart()
    heart = heart_of(3 * usual.axes[2], np.array(usual.semi_axes_mm))
    np.testing.assert_allclose(heart.axes, usual.axes, atol=1e-12)
    assert heart.semi_axes_mm == usual.semi_axes_mm


def test_a_heart_at_rest_is_projected_as_it_stands_and_contracts_towards_its_apex() -> None:
    tree = small_library().trees[0]
    pose = Pose(View(30.0, 20.0, GRID, 180.0), Heart())
    rest, systole = pose.project(tree.points, 0.0), pose.project(tree.points, 1.0)
    np.testing.assert_allclose(rest, pose.view.project(pose.heart.to_patient(tree.points))[0], atol=1e-9)
    apex = pose.project(np.array([0.0, 0.0, 1.0]), 0.0)
    assert np.linalg.norm(systole[0] - apex) < np.linalg.norm(rest[0] - apex) - 3


def test_pixels_per_mm_is_what_two_points_in_the_isocentre_are_apart() -> None:
    pose = Pose(View(0.0, 0.0, GRID, 180.0), Heart())
    pixels, _ = pose.view.project(np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0]]))
    assert pose.pixels_per_mm == pytest.approx(np.linalg.norm(pixels[1] - pixels[0]) / 10)


def test_a_warp_of_nothing_but_a_shift_moves_every_pixel_alike() -> None:
    pixels = np.array([[1.0, 2.0], [30.0, 40.0]])
    moved = warped(pixels, np.array([5.0, 5.0]), np.array([[0.0, 0.0], [0.0, 0.0], [2.0, -1.0]]))
    np.testing.assert_allclose(moved - pixels, [[2.0, -1.0]] * 2)
