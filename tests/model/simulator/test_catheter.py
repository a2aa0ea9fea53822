"""The catheter: its course and its motion."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.catheter import Catheter
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.tree import CoronaryTree, System, grow_tree

HEART = Heart()
VIEW = View(primary_deg=-30.0, size=128)


def laid(system: System, seed: int = 0) -> tuple[CoronaryTree, Catheter]:
    rng = np.random.default_rng(seed)
    tree = grow_tree(rng, HEART, system, "right")
    return tree, Catheter.lay(rng, HEART, tree, VIEW)


@pytest.mark.parametrize("system", ["LCA", "RCA"])
@pytest.mark.parametrize("seed", range(5))
def test_tip_is_engaged_and_the_shaft_comes_from_above(system: System, seed: int) -> None:
    tree, catheter = laid(system, seed)
    assert np.linalg.norm(catheter.tip - tree.ostium) < 2.0
    assert catheter.outer.points[:, 2].max() > tree.ostium[2] + 50


def test_shaft_is_six_french_of_wall_around_a_lumen() -> None:
    _, catheter = laid("LCA")
    wall, lumen = catheter.path_length(VIEW, np.zeros(3))
    assert (wall >= 0).all()
    # Pixels of 1.07 mm smear the shaft; its volume remains: wall over lumen is (1 - 0.86²) / 0.86².
    assert wall.sum() / lumen.sum() == pytest.approx((1 - 0.86**2) / 0.86**2, rel=0.02)


def test_tip_follows_the_ostium_and_the_far_shaft_stays() -> None:
    _, catheter = laid("RCA")
    share = catheter.outer.arc
    assert share[0] == pytest.approx(1.0, abs=0.02)
    assert share[-1] < 0.1
    assert (np.diff(share) <= 0).all()


def test_cloud_is_soft_and_scales_with_concentration() -> None:
    _, catheter = laid("LCA")
    weak, strong = (catheter.cloud_length(VIEW, np.zeros(3), c) for c in (0.1, 0.2))
    np.testing.assert_allclose(strong, 2 * weak, rtol=1e-5)
    assert not catheter.cloud_length(VIEW, np.zeros(3), 0.0).any()
