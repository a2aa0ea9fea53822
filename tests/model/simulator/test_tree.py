"""The coronary tree: anatomy, continuity, radii."""

from __future__ import annotations

import re

import numpy as np
import pytest

from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.tree import (
    SMALLEST_RADIUS_MM,
    CoronaryTree,
    Dominance,
    Growth,
    Segment,
    System,
    draw_dominance,
    grow_tree,
)

HEART = Heart()
SYSTEMS: tuple[System, ...] = ("LCA", "RCA")
TRUNKS = ("LM", "LAD", "LCx", "RI", "RCA", "PDA", "PLV")


def tree(system: System, seed: int = 0, dominance: Dominance = "right") -> CoronaryTree:
    return grow_tree(np.random.default_rng(seed), HEART, system, dominance)


def named(grown: CoronaryTree, name: str) -> Segment:
    return next(s for s in grown.segments if s.name == name)


def heights(points: Array) -> Array:
    """Position along the long axis, -1 base, +1 apex."""
    return np.asarray(points @ HEART.axes[2] / HEART.semi_axes_mm[2])


def depths(points: Array) -> Array:
    """1 on the epicardium, less inside."""
    return np.asarray(np.linalg.norm(points @ HEART.axes.T / np.asarray(HEART.semi_axes_mm), axis=1))


def test_same_seed_grows_the_same_tree() -> None:
    one, two = tree("LCA", 3), tree("LCA", 3)
    for a, b in zip(one.segments, two.segments, strict=True):
        assert a.name == b.name
        np.testing.assert_array_equal(a.points, b.points)
        np.testing.assert_array_equal(a.radius, b.radius)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("seed", range(4))
def test_every_branch_begins_on_its_parent(system: System, seed: int) -> None:
    grown = tree(system, seed)
    for segment in grown.segments[1:]:
        parent = grown.segments[segment.parent]
        gap = np.linalg.norm(parent.points - segment.points[0], axis=1)
        assert gap.min() < 0.5, f"{segment.name} starts {gap.min():.2f} mm off {parent.name}"


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("seed", range(4))
def test_points_are_evenly_spaced_and_arc_length_runs_on_from_the_parent(system: System, seed: int) -> None:
    grown = tree(system, seed)
    for segment in grown.segments:
        steps = np.linalg.norm(np.diff(segment.points, axis=0), axis=1)
        assert steps.max() < 0.75
        np.testing.assert_allclose(np.diff(segment.arc), steps, atol=1e-9)
        if segment.parent >= 0:
            parent = grown.segments[segment.parent]
            assert parent.arc[0] <= segment.arc[0] <= parent.arc[-1]


def turns(segment: Segment) -> Array:
    """Change of direction at each inner point, in radians over 0.5 mm."""
    tangent = np.diff(segment.points, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    return np.asarray(np.arccos(np.clip((tangent[1:] * tangent[:-1]).sum(axis=1), -1, 1)))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("seed", range(6))
def test_no_vessel_has_a_corner(system: System, seed: int) -> None:
    """A trunk's curvature radius stays above 1.2 mm, a corkscrew's above 0.8 mm."""
    for segment in tree(system, seed).segments:
        tightest = 1.2 if segment.name in TRUNKS else 0.8
        assert turns(segment).max() < 0.5 / tightest, segment.name


@pytest.mark.parametrize("seed", range(8))
def test_branches_leave_their_parent_along_it(seed: int) -> None:
    """Branch and parent part by less than 60° where they part and turn away within a few mm."""
    for system in SYSTEMS:
        grown = tree(system, seed)
        for segment in grown.segments[1:]:
            if segment.name in TRUNKS:
                continue
            parent = grown.segments[segment.parent]
            at = int(np.argmin(np.linalg.norm(parent.points - segment.points[0], axis=1)))
            along = parent.points[min(at + 3, len(parent.points) - 1)] - parent.points[max(at - 3, 0)]
            leaving = segment.points[2] - segment.points[0]
            cosine = along @ leaving / np.linalg.norm(along) / np.linalg.norm(leaving)
            assert cosine > np.cos(np.deg2rad(60)), segment.name


def test_trunks_go_on_from_their_parent_without_a_corner() -> None:
    """Angle between the parent's last 2 mm and the child's first 1.5 mm."""
    angles = []
    for seed in range(12):
        for system in SYSTEMS:
            grown = tree(system, seed)
            for child in grown.segments:
                if child.name in ("LAD", "LCx", "PLV"):
                    parent = grown.segments[child.parent]
                    a, b = parent.points[-1] - parent.points[-5], child.points[3] - child.points[0]
                    angles.append(np.rad2deg(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))))
    assert np.median(angles) < 35
    assert max(angles) < 90


def test_thin_vessels_wander_more_than_thick_ones() -> None:
    """Mean curvature, by the radius at the origin."""
    thin, thick = [], []
    for seed in range(8):
        for system in SYSTEMS:
            for segment in tree(system, seed).segments:
                if segment.radius[0] < 0.5:
                    thin.append(turns(segment).mean())
                elif segment.radius[0] > 1.2:
                    thick.append(turns(segment).mean())
    assert np.mean(thin) > 2 * np.mean(thick)


def test_trees_hold_many_fine_branches_that_thin_out_to_nothing() -> None:
    for system in SYSTEMS:
        counts = [len(tree(system, seed).segments) for seed in range(12)]
        assert np.mean(counts) > 30
        fine = [s for s in tree(system, 0).segments if s.radius[0] < 0.3]
        assert len(fine) > 5
        assert all(s.radius[-1] < 1.2 * SMALLEST_RADIUS_MM for s in fine)


def test_side_branches_differ_in_their_directions() -> None:
    """No brooms: the branches of one kind spread by more than 20° at their middles."""
    spread = []
    for seed in range(16):
        for kind in ("D", "OM"):
            own = [
                s for s in tree("LCA", seed).segments if s.name.startswith(kind) and s.name[-2:-1] not in "bt"
            ]
            middles = [s.points[len(s.points) // 2 + 6] - s.points[len(s.points) // 2 - 6] for s in own]
            unit = np.array(middles) / np.linalg.norm(middles, axis=1, keepdims=True)
            pairs = unit @ unit.T
            if len(own) > 1:
                spread.append(np.rad2deg(np.arccos(np.clip(pairs.min(), -1, 1))))
    assert np.median(spread) > 20


@pytest.mark.parametrize("system", SYSTEMS)
def test_trunks_lie_on_the_epicardium_and_septals_leave_it(system: System) -> None:
    for seed in range(4):
        for segment in tree(system, seed).segments:
            depth = depths(segment.points)
            assert depth.max() < 1.26  # the right ventricle lifts its branches off the ellipsoid
            if re.fullmatch(r"(S|IS)[0-9]+", segment.name):
                assert depth[-1] < 0.99
            elif segment.name in TRUNKS and segment.name != "LM":
                assert depth.max() < 1.05
                assert depth[len(depth) // 2 :].min() > 0.85


def test_lad_ends_from_short_of_the_apex_to_beyond_it_and_circumflex_stays_in_the_groove() -> None:
    reached, turned = [], []
    for seed in range(24):
        grown = tree("LCA", seed)
        lad = heights(named(grown, "LAD").points)
        reached.append(lad.max())
        turned.append(lad.max() - lad[-1] > 0.1)
        groove = heights(named(grown, "LCx").points)
        assert groove.min() > -0.65
        assert groove.max() < -0.05
    assert min(reached) > 0.55
    assert np.mean(np.array(reached) > 0.8) > 0.7
    assert 0.25 < np.mean(turned) < 0.85  # wraps around the apex


def test_courses_differ_between_patients() -> None:
    """The middles of a trunk scatter by more than 3 mm from patient to patient."""
    trunks: dict[System, tuple[str, str]] = {"LCA": ("LAD", "LCx"), "RCA": ("RCA", "PDA")}
    for system, names in trunks.items():
        grown = [tree(system, seed) for seed in range(16)]
        for name in names:
            middles = np.array([named(t, name).points[len(named(t, name).points) // 2] for t in grown])
            assert np.linalg.norm(middles.std(axis=0)) > 3, name


def test_posterior_descending_artery_may_spring_before_the_crux() -> None:
    shares = []
    for seed in range(24):
        grown = tree("RCA", seed)
        rca, pda = named(grown, "RCA"), named(grown, "PDA")
        shares.append(pda.arc[0] / rca.arc[-1])
    assert min(shares) < 0.95
    assert np.mean(np.array(shares) > 0.999) > 0.4


@pytest.mark.parametrize("system", SYSTEMS)
def test_growth_can_leave_out_lesions_and_bound_the_calibre(system: System) -> None:
    stem = named(tree(system, 0), "LM" if system == "LCA" else "RCA").name
    mean = 2.2 if system == "LCA" else 1.9
    growth = Growth(stenoses=False, calibre=(0.8, 0.9))
    for seed in range(12):
        grown = grow_tree(np.random.default_rng(seed), HEART, system, "right", growth)
        assert grown.stenoses == ()
        # the wall varies by up to 15 %
        assert 0.8 * mean * 0.85 <= named(grown, stem).radius[0] <= 0.9 * mean * 1.15
        for segment in grown.segments:
            if segment.name in TRUNKS:
                behind = np.maximum.accumulate(segment.radius[::-1])[::-1]
                # a branching narrows for good, a lesion does not
                assert (behind / segment.radius).max() < 1.08 / 0.92 + 1e-9, (
                    f"{segment.name} narrows and widens again"
                )


def test_right_coronary_is_a_c_in_the_left_anterior_oblique_view() -> None:
    """Seen from LAO 45°, the C opens to the viewer's right: its middle lies left of both its ends."""
    right = np.array([np.sqrt(0.5), np.sqrt(0.5), 0.0])  # the picture's right at LAO 45°
    for seed in range(8):
        rca = named(tree("RCA", seed), "RCA").points
        across, down = rca @ right, -rca[:, 2]
        assert across[len(rca) // 2] < min(across[0], across[-1]) - 10
        assert down[-1] > down[0] + 30


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("seed", range(4))
def test_children_obey_murray_and_are_thinner_than_their_parent(system: System, seed: int) -> None:
    grown = tree(system, seed)
    narrowed = {s.segment for s in grown.stenoses}
    for index, segment in enumerate(grown.segments):
        assert segment.radius.max() <= 2.2 * 1.25 * 1.15  # the wall varies by up to 15 %
        if segment.parent < 0 or {index, segment.parent} & narrowed:
            continue
        parent = grown.segments[segment.parent]
        assert segment.radius[0] < parent.radius[int(np.argmin(abs(parent.arc - segment.arc[0])))] + 0.35
        assert segment.radius.min() >= SMALLEST_RADIUS_MM * 0.99


def test_a_stenosis_narrows_by_its_severity() -> None:
    found = 0
    for seed in range(12):
        grown = tree("LCA", seed)
        for stenosis in grown.stenoses:
            others = [s for s in grown.stenoses if s is not stenosis and s.segment == stenosis.segment]
            if others:
                continue
            segment = grown.segments[stenosis.segment]
            along = segment.arc - segment.arc[0]
            throat = segment.radius[int(np.argmin(abs(along - stenosis.at_mm)))]
            edges = np.interp(
                [stenosis.at_mm - stenosis.length_mm / 2, stenosis.at_mm + stenosis.length_mm / 2],
                along,
                segment.radius,
            )
            # the vessel tapers and branches across the narrowing, hence the tolerance
            assert throat / edges.mean() == pytest.approx(1 - stenosis.severity, abs=0.15)
            found += 1
    assert found > 3


def test_dominance_decides_who_feeds_the_posterior_descending_artery() -> None:
    for dominance, left, right in (("right", False, True), ("left", True, False), ("co", False, True)):
        names = {
            system: [s.name for s in tree(system, 1, dominance).segments]  # type: ignore[arg-type]
            for system in SYSTEMS
        }
        assert ("PDA" in names["LCA"]) is left
        assert ("PDA" in names["RCA"]) is right


def test_dominance_is_drawn_as_in_the_population() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_dominance(rng) for _ in range(4000)]
    # three standard deviations of a binomial of 4000
    assert drawn.count("right") / 4000 == pytest.approx(0.85, abs=0.017)
    assert drawn.count("left") / 4000 == pytest.approx(0.08, abs=0.013)
