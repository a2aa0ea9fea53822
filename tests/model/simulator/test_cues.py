"""What an empty coronary artery leaves in the picture."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.cues import LUMEN_PER_MM, Cues
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.render import FloatImage, Tubes, make_tubes, path_length
from casgan_dicom.model.simulator.tree import System, grow_tree

VIEW = View(primary_deg=-30.0, size=128)


def tubes(system: System) -> Tubes:
    tree = grow_tree(np.random.default_rng(2), Heart(), system, "right")
    return make_tubes([(s.points, s.radius, s.arc) for s in tree.segments], VIEW)


LEFT, RIGHT = tubes("LCA"), tubes("RCA")
LUMEN = path_length(LEFT, LEFT.points, VIEW)


def sampled(seed: int, strength: float = 1.0) -> Cues:
    return Cues.sample(np.random.default_rng(seed), strength, LEFT, RIGHT)


def trace(cues: Cues) -> FloatImage:
    return cues.attenuation(VIEW, (LUMEN, LEFT.points), RIGHT.points)


def test_zero_strength_leaves_nothing() -> None:
    assert not trace(sampled(0, 0.0)).any()


def test_trace_scales_with_strength() -> None:
    np.testing.assert_allclose(trace(sampled(1, 3.0)), 3 * trace(sampled(1)), rtol=1e-5)


def test_a_tree_without_calcium_and_residue_leaves_blood_against_fat() -> None:
    plain = next(c for c in map(sampled, range(20)) if not c.calcium.any() and c.residue == 0)
    expected = LUMEN_PER_MM * (LUMEN + path_length(RIGHT, RIGHT.points, VIEW))
    np.testing.assert_allclose(trace(plain), expected, rtol=1e-5)
    # 0.0025/mm over the 2-20 mm that crossing and end-on vessels are deep
    assert 0.005 < trace(plain).max() < 0.08


def test_three_of_ten_trees_are_calcified_near_the_ostium() -> None:
    calcified = [c for c in map(sampled, range(200)) if c.calcium.any()]
    assert len(calcified) / 200 == pytest.approx(0.3, abs=0.1)  # three standard deviations
    assert all(LEFT.arc[c.calcium > 0].max() < 80 for c in calcified)
    assert all(LEFT.radius[c.calcium > 0].min() > 0.7 for c in calcified)


def test_few_runs_hold_residue_and_little_of_it() -> None:
    residues = np.array([sampled(seed).residue for seed in range(200)])
    assert 0.05 < (residues > 0).mean() < 0.2
    assert residues.max() <= 0.04
