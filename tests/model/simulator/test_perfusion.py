"""Blush of the muscle and filling of the veins."""

from __future__ import annotations

import numpy as np

from casgan_dicom.model.simulator.contrast import Injection
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.perfusion import Perfusion
from casgan_dicom.model.simulator.render import FloatImage
from casgan_dicom.model.simulator.tree import System, grow_tree

VIEW = View(primary_deg=-30.0, size=96)
HEART = Heart()
INJECTION = Injection(start_s=0.4, duration_s=2.5, peak=0.8, speed_mm_s=250.0)


def drawn(seed: int, system: System = "LCA") -> Perfusion:
    tree = grow_tree(np.random.default_rng(0), HEART, system, "right")
    return Perfusion.sample(np.random.default_rng(seed), INJECTION, HEART, tree, VIEW)


def blushing(system: System = "LCA") -> Perfusion:
    return next(p for p in (drawn(s, system) for s in range(40)) if p.volume_mm3.any() and not p.vein_share)


def draining(system: System = "LCA") -> Perfusion:
    return next(p for p in (drawn(s, system) for s in range(40)) if p.vein_share and not p.volume_mm3.any())


def image(perfusion: Perfusion, time_s: float) -> FloatImage:
    return perfusion.path_length(VIEW, time_s, lambda points: points)


def test_muscle_darkens_after_the_arteries_and_pales_slowly() -> None:
    perfusion = blushing()
    amount = [float(image(perfusion, t).sum()) for t in (0.9, 2.0, 3.5, 6.0, 12.0)]
    assert amount[0] == 0
    assert 0 < amount[1] < amount[2]
    assert amount[4] < amount[3] < amount[2]


def test_blush_is_weak_and_soft() -> None:
    picture = image(blushing(), 3.5)
    assert 0.03 < picture.max() < 1.5
    steps = np.abs(np.diff(picture, axis=0)).max()
    assert steps < 0.15 * picture.max()  # pixels of 2 mm


def test_blush_lies_in_the_territory_of_the_injected_artery() -> None:
    def centre(system: System) -> np.ndarray:
        perfusion = blushing(system)
        return np.asarray(np.average(perfusion.muscle, axis=0, weights=perfusion.volume_mm3))

    assert np.linalg.norm(centre("LCA") - centre("RCA")) > 20


def test_veins_fill_seconds_later_and_end_in_the_coronary_sinus() -> None:
    perfusion = draining()
    assert not image(perfusion, 3.0).any()
    assert image(perfusion, 7.0).max() > 0.02
    filled = perfusion.venous(4.2)
    assert filled[0] > 0
    assert filled[-1] == 0  # the agent has not yet come to the sinus
    # the sinus lies behind and below the middle of the heart and is wider than the vein
    assert perfusion.veins.points[-1, 1] > 10
    assert perfusion.veins.radius[-1] > 3 * perfusion.veins.radius[0]


def test_runs_with_and_without_blush_and_veins_occur() -> None:
    runs = [drawn(seed) for seed in range(24)]
    for share in (np.mean([p.volume_mm3.any() for p in runs]), np.mean([p.vein_share > 0 for p in runs])):
        assert 0.2 < share < 0.8


def test_it_moves_with_the_heart() -> None:
    perfusion = blushing()
    shift = 20 * VIEW.axes()[0]
    there = perfusion.path_length(VIEW, 3.5, lambda points: points + shift).astype(np.float64)
    here = image(perfusion, 3.5).astype(np.float64)
    columns = np.arange(VIEW.size)
    way = (there.sum(axis=0) @ columns) / there.sum() - (here.sum(axis=0) @ columns) / here.sum()
    assert way > 5
