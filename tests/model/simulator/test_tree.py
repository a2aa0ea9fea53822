"""The coronary tree: anatomy, continuity, radii."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.tree import (
    SMALLEST_RADIUS_MM,
    CoronaryTree,
    Dominance,
    Segment,
    System,
    draw_dominance,
    grow_tree,
)

HEART = Heart()
SYSTEMS: tuple[System, ...] = ("LCA", "RCA")


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


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("seed", range(6))
def test_vessels_turn_smoothly(system: System, seed: int) -> None:
    """A curvature radius below 1.5 mm would be a kink; the trees are catheterised, not cut."""
    for segment in tree(system, seed).segments:
        tangent = np.diff(segment.points[6:], axis=0)  # the first 3 mm turn away from the parent
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        turn = np.arccos(np.clip((tangent[1:] * tangent[:-1]).sum(axis=1), -1, 1))
        assert turn.max() < 0.5 / 1.5, f"{segment.name} turns {np.rad2deg(turn.max()):.0f} degrees in 0.5 mm"


@pytest.mark.parametrize("system", SYSTEMS)
def test_trunks_lie_on_the_epicardium_and_septals_leave_it(system: System) -> None:
    for seed in range(4):
        for segment in tree(system, seed).segments:
            depth = depths(segment.points)
            assert depth.max() < 1.06
            if segment.name.startswith(("S", "IS")) and segment.name != "SN1":
                assert depth[-1] < 0.99
            elif segment.name in ("LAD", "PDA"):
                assert depth[len(depth) // 2 :].min() > 0.9


def test_lad_runs_to_the_apex_and_circumflex_stays_in_the_groove() -> None:
    for seed in range(8):
        grown = tree("LCA", seed)
        assert heights(named(grown, "LAD").points).max() > 0.8
        groove = heights(named(grown, "LCx").points)
        assert groove.min() > -0.6
        assert groove.max() < -0.1


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
        assert segment.radius.max() <= 2.2 * 1.25 + 1e-9
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
