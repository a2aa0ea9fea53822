"""Figures of trees whose shape is known."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.branching import branch_count, unevenness, windings
from casgan_dicom.model.simulator.tree import CoronaryTree, Segment

ARC = np.arange(0.0, 60.0, 0.5)


def vessel(points: np.ndarray, radius: np.ndarray | float) -> Segment:
    return Segment("LAD", -1, points, np.broadcast_to(radius, len(points)).copy(), ARC[: len(points)])


def tree(*segments: Segment) -> CoronaryTree:
    return CoronaryTree("LCA", "right", segments)


def straight() -> np.ndarray:
    return np.stack([ARC, 0 * ARC, 0 * ARC], axis=1)


def circle(diameter_mm: float) -> np.ndarray:
    turn = 2 * ARC / diameter_mm
    return np.stack([np.cos(turn), np.sin(turn), 0 * ARC], axis=1) * diameter_mm / 2


def test_a_straight_vessel_has_no_winding_and_half_a_circle_pi_over_two() -> None:
    half = circle(40 / np.pi)  # 20 mm are half a turn
    np.testing.assert_allclose(windings(tree(vessel(straight(), 1.5)), 1.0, np.inf), 1.0)
    np.testing.assert_allclose(windings(tree(vessel(half, 1.5)), 1.0, np.inf), np.pi / 2, rtol=1e-3)


def test_windings_are_told_apart_by_calibre() -> None:
    both = tree(vessel(straight(), 1.5), vessel(circle(15.0), 0.4))
    assert windings(both, 1.0, np.inf).max() == pytest.approx(1.0)
    assert windings(both, 0.0, 0.6).min() > 1.2
    assert not len(windings(both, 0.8, 0.9))


def test_branches_too_thin_to_be_seen_are_not_counted() -> None:
    assert branch_count(tree(vessel(straight(), 1.5), vessel(straight(), 0.36), vessel(straight(), 0.3))) == 2


def test_taper_is_even_and_a_ragged_wall_is_not() -> None:
    taper = 2.0 * np.exp(-ARC / 80)
    rough = taper * np.exp(np.random.default_rng(0).normal(0.0, 0.06, len(ARC)))
    assert unevenness(tree(vessel(straight(), taper))) < 0.5
    assert unevenness(tree(vessel(straight(), rough))) == pytest.approx(6.0, rel=0.25)
    assert np.isnan(unevenness(tree(vessel(straight(), 0.3))))
