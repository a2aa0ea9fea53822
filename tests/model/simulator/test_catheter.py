"""The catheter: its seat in the ostium, its way through the aorta, its make, its shadow, its motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from casgan_dicom.model.simulator.aorta import Aorta, rounded
from casgan_dicom.model.simulator.catheter import Catheter, Make
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.motion import Motion
from casgan_dicom.model.simulator.strand import Course, Strand
from casgan_dicom.model.simulator.tree import CoronaryTree, System, grow_tree

HEART = Heart()
VIEW = View(primary_deg=-30.0, size=128)
MOTION = Motion()
TREES: dict[System, CoronaryTree] = {
    "LCA": grow_tree(np.random.default_rng(0), HEART, "LCA", "right"),
    "RCA": grow_tree(np.random.default_rng(0), HEART, "RCA", "right"),
}
SEEDS = range(60)


def laid(system: System, seed: int = 0, view: View = VIEW) -> tuple[Aorta, Catheter]:
    rng = np.random.default_rng(seed)
    aorta = Aorta.sample(rng, TREES[system])
    return aorta, Catheter.lay(rng, aorta, TREES[system], view)


def seen(system: System, view: View = VIEW) -> tuple[Aorta, Catheter]:
    """The first catheter that lies in its ostium and is not absent."""
    for seed in SEEDS:
        aorta, catheter = laid(system, seed, view)
        if catheter.present and off_artery(system, catheter) < 1.5:
            return aorta, catheter
    raise AssertionError("no seed has a catheter in its ostium")


def off_artery(system: System, catheter: Catheter) -> float:
    """Distance of the tip from the artery's first segment in mm."""
    points = TREES[system].segments[0].points
    return float(np.linalg.norm(points - catheter.course.points[0], axis=1).min())


def at_rest(catheter: Catheter) -> Array:
    return catheter.outer.tubes.points


@pytest.mark.parametrize("system", ["LCA", "RCA"])
def test_tip_sits_on_the_ostium_up_to_15_mm_deep_or_beside_it(system: System) -> None:
    tips = [laid(system, seed)[1] for seed in SEEDS]
    off = np.array([off_artery(system, catheter) for catheter in tips])
    deep = np.array([np.linalg.norm(c.course.points[0] - TREES[system].ostium) for c in tips])

    assert 0.7 < (off < 1.0).mean() < 0.95
    assert off.max() < 20.0  # beside it, but still in the root
    assert deep[off < 1.0].max() <= 15.5
    assert (deep[off < 1.0] > 4.5).any()
    assert (deep[off < 1.0] < 4.0).mean() > 0.5


@pytest.mark.parametrize("system", ["LCA", "RCA"])
def test_limb_stays_between_the_walls_of_the_aorta(system: System) -> None:
    """Outside of the artery and below the arch no point may leave the lumen."""
    for seed in SEEDS:
        aorta, catheter = laid(system, seed)
        across, _, up = ((catheter.course.points - aorta.ostium) @ aorta.axes.T).T
        above_tip = np.arange(len(up)) > 35  # 17 mm: out of the artery
        chosen = above_tip & (up < 40.0) & (np.cumsum(up > 42.0) == 0)
        assert across[chosen].min() > -3.0, seed
        assert across[chosen].max() < aorta.width + 3.0, seed


def test_shaft_comes_from_the_wrist_above_or_up_the_descending_aorta() -> None:
    ends = np.array([laid("LCA", seed)[1].course.points[-1] for seed in SEEDS])
    femoral = ends[:, 2] < -100.0

    assert 0.2 < femoral.mean() < 0.7
    assert (ends[femoral, 1] > 30.0).all()  # behind the heart
    assert (ends[~femoral, 2] > 60.0).all()
    assert (ends[~femoral, 0] < 0).mean() > 0.5  # mostly the right wrist


def test_catheters_are_four_to_eight_french_with_walls_of_several_kinds() -> None:
    makes = [Make.sample(np.random.default_rng(seed)) for seed in range(200)]
    french = np.array([2 * make.radius * 3 for make in makes])
    ratio = np.array([make.lumen / make.radius for make in makes])

    assert set(np.rint(french)) == {4, 5, 6, 7, 8}
    assert (np.abs(french - np.rint(french)) < 1e-9).all()
    assert (ratio < 0.55).any()  # solid
    assert (ratio > 0.6).any()  # braided
    assert 0.1 < np.mean([make.filling > 0 for make in makes]) < 0.4


def test_every_catheter_is_plain_to_the_eye() -> None:
    """Line integral over its own width, which scatter dilutes by a third to 0.1 to 0.3 on the display."""
    depths = []
    for seed in range(30):
        _, catheter = laid("RCA", seed, replace(VIEW, size=256))
        wall, lumen = catheter.path_length(replace(VIEW, size=256), at_rest(catheter))
        shaft = wall > 0.05
        if catheter.present:
            depths.append(np.median(catheter.attenuation(wall, lumen)[shaft]))

    assert min(depths) > 0.09
    assert max(depths) < 0.7
    assert 0.15 < np.median(depths) < 0.35


def test_wall_and_lumen_have_the_volumes_of_a_pipe() -> None:
    _, catheter = seen("LCA")
    catheter = replace(catheter, outer=replace(catheter.outer, density=np.ones_like(catheter.outer.density)))
    wall, lumen = catheter.path_length(VIEW, at_rest(catheter))

    assert (wall >= 0).all()
    outer, inner = catheter.make.radius**2, catheter.make.lumen**2
    # Coarse pixels smear the shaft; its volume remains.
    assert wall.sum() / lumen.sum() == pytest.approx((outer - inner) / inner, rel=0.05)


def straight(*points: tuple[float, float, float], ratio: float = 0.7) -> Catheter:
    """A catheter of 2 mm along a polyline in the plane of the picture, seen from the front."""
    view = View(0.0, 0.0, size=512, field_mm=100.0)
    way = rounded(np.array(points), 0.5)
    course = Course(way, np.ones(len(way)), np.zeros_like(way))
    ones = np.ones(len(way))
    _, catheter = seen("LCA", view)
    return replace(
        catheter,
        make=Make(1.0, ratio, 0.2, 0.0),
        course=course,
        outer=Strand.cut(course, ones, ones, view),
        inner=Strand.cut(course, ratio * ones, ones, view).tubes,
    )


def test_walls_are_darker_than_the_middle() -> None:
    view = View(0.0, 0.0, size=512, field_mm=100.0)
    catheter = straight((0.0, 0.0, -40.0), (0.0, 0.0, 40.0))
    wall, _ = catheter.path_length(view, at_rest(catheter))

    profile = wall[250:262].mean(axis=0)
    middle = float(profile[254:258].mean())
    assert middle == pytest.approx(2 * (1.0 - 0.7), abs=0.05)
    assert profile.max() > 1.8 * middle


def test_limb_and_shaft_add_where_they_cross() -> None:
    view = View(0.0, 0.0, size=512, field_mm=100.0)
    across = [(-20.0, 0.0, 0.0), (20.0, 0.0, 0.0)]
    catheter = straight(*across, (20.0, 0.0, 20.0), (0.0, 0.0, 20.0), (0.0, 0.0, -20.0))
    wall, lumen = catheter.path_length(view, at_rest(catheter))
    total = wall + lumen

    alone = total[256, 180]
    assert total[256, 256] == pytest.approx(2 * alone, rel=0.03)


def test_tip_follows_its_artery_and_the_far_shaft_stays() -> None:
    _, catheter = seen("RCA")
    rest = at_rest(catheter)
    moved = catheter.outer.moved(MOTION, HEART, 0.36, 0.0)

    artery = MOTION.move(HEART, TREES["RCA"].segments[0].points, 0.36)
    assert np.linalg.norm(moved[0] - rest[0]) > 5.0
    assert np.linalg.norm(artery - moved[0], axis=1).min() < 1.5
    assert np.linalg.norm(moved[-1] - rest[-1]) < 0.2


def test_shaft_whips_by_itself() -> None:
    """A heart that stands still at both phases leaves only the catheter's own swing."""
    still = Motion(radial=0.0, twist_deg=0.0, long_axis_mm=0.0)
    swings = []
    for seed in range(20):
        outer = laid("LCA", seed)[1].outer
        moments = [outer.moved(still, HEART, phase, 0.0) for phase in (0.1, 0.35, 0.6, 0.85)]
        swings.append(np.linalg.norm(np.ptp(moments, axis=0), axis=1).max())

    assert max(swings) > 1.0
    assert max(swings) < 12.0


def test_tip_beside_the_ostium_moves_less_than_the_heart() -> None:
    shares = [
        catheter.course.share[0]
        for catheter in (laid("LCA", seed)[1] for seed in SEEDS)
        if off_artery("LCA", catheter) > 3.0
    ]
    assert shares
    assert max(shares) < 0.95


def test_some_runs_have_no_catheter_in_the_picture() -> None:
    view = replace(VIEW, size=32)
    absent = [c for c in (laid("RCA", seed, view)[1] for seed in range(150)) if not c.present]

    assert 4 <= len(absent) <= 24
    wall, lumen = absent[0].path_length(view, at_rest(absent[0]))
    assert not absent[0].attenuation(wall, lumen).any()
    assert np.isnan(absent[0].tip(view, at_rest(absent[0]))).all()


def test_tip_in_pixels_is_where_the_shaft_ends() -> None:
    view = View(0.0, 0.0, size=512, field_mm=100.0)
    catheter = straight((0.0, 0.0, 0.0), (0.0, 0.0, 40.0))
    wall, _ = catheter.path_length(view, at_rest(catheter))
    column, row = catheter.tip(view, at_rest(catheter))

    end = np.flatnonzero(wall[:, 255] > 0.1).max()
    radius = 1.0 * view.magnification / view.pixel_mm
    assert column == pytest.approx(255.5, abs=0.1)
    assert 0.0 <= end - row <= radius + 1.0  # a disc around the end's middle


def test_some_tips_are_soft_or_carry_a_marker_and_the_shaft_is_even() -> None:
    catheters = [laid("LCA", seed)[1] for seed in SEEDS]
    near = [c.outer.density[c.outer.tubes.arc < 7.5] for c in catheters]

    assert any(density.min() < 0.85 for density in near)
    assert any(density.max() > 1.5 for density in near)
    assert sum(np.ptp(density) == 0 for density in near) > len(near) / 3
    for catheter in catheters:
        assert (catheter.outer.density[catheter.outer.tubes.arc > 8.0] == 1.0).all()


def test_bends_are_soft_and_ends_stay() -> None:
    knots = np.array([[0.0, 0.0, 0.0], [20.0, 0.0, 0.0], [20.0, 0.0, 20.0]])
    way = rounded(knots, 3.0)

    np.testing.assert_allclose(way[[0, -1]], knots[[0, -1]], atol=1e-9)
    assert 1.0 < cKDTree(way).query(knots[1])[0] < 4.0  # the corner is cut
    turn = np.diff(way, axis=0)
    turn /= np.linalg.norm(turn, axis=1, keepdims=True)
    assert np.rad2deg(np.arccos(np.clip((turn[1:] * turn[:-1]).sum(axis=1), -1, 1))).max() < 10.0
