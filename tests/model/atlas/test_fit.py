"""Which tree, and where: the oracle is a tree of the library that was posed in a known place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from casgan_dicom.model.atlas.cues import GRID
from casgan_dicom.model.atlas.fit import Evidence, choose
from casgan_dicom.model.atlas.library import UnitTree
from casgan_dicom.model.atlas.posing import Pose, warped
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart
from tests.model.atlas.readings import small_library

POSE = Pose(View(30.0, 15.0, GRID, 190.0), Heart())
LEFT = [small_library().trees[k] for k in small_library().numbers("LCA")]
PHASES = np.array([0.0, 0.5, 1.0])
NO_MAP = np.zeros((3, GRID, GRID), dtype=np.float32)


def evidence_of(tree: UnitTree, moved: Array) -> Evidence:
    """What is seen of a tree that lies `moved` pixels (2,) beside its pose; the tip on its ostium."""
    places = np.stack([POSE.project(tree.landmarks, a) for a in PHASES]) + moved
    return Evidence(
        contraction=PHASES,
        shift=np.zeros((3, 2)),
        landmarks=np.nan_to_num(places),
        spread=np.where(np.isfinite(places[..., 0]), 2.0, 50.0),
        tips=places[:, 0],
        tip_sure=np.ones(3),
        vessel=NO_MAP,
    )


def map_of(tree: UnitTree) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    seen = np.zeros((3, GRID, GRID), dtype=np.float32)
    for frame, a in zip(seen, PHASES, strict=True):
        column, row = np.rint(POSE.project(tree.points[2 * tree.radius > 1], a)).astype(int).T
        frame[row, column] = 1.0
    return seen


@pytest.mark.parametrize("number", [0, 3, 6])
def test_landmarks_find_their_own_tree_and_where_it_was_moved(number: int) -> None:
    moved = np.array([5.0, -3.0])
    fitted = choose(LEFT, POSE, evidence_of(LEFT[number], moved), "1.2")
    assert fitted.place == number
    pixels = POSE.project(LEFT[number].landmarks[:3], 0.0)
    np.testing.assert_allclose(warped(pixels, fitted.centre, fitted.warp) - pixels, [moved] * 3, atol=0.8)


@pytest.mark.parametrize("number", [1, 4])
def test_the_map_of_vessels_chooses_where_landmarks_say_nothing(number: int) -> None:
    seen = evidence_of(LEFT[number], np.zeros(2))
    blind = replace(seen, spread=np.full_like(seen.spread, 1e4), vessel=map_of(LEFT[number]))
    assert choose(LEFT, POSE, blind, "1.2").place == number


def test_a_series_always_gets_the_same_tree_and_series_differ() -> None:
    seen = evidence_of(LEFT[0], np.zeros(2))
    nothing = replace(seen, spread=np.full_like(seen.spread, 1e6), tip_sure=np.zeros(3))
    places = [choose(LEFT, POSE, nothing, f"1.2.{k}").place for k in range(12)]
    assert places == [choose(LEFT, POSE, nothing, f"1.2.{k}").place for k in range(12)]
    assert len(set(places)) > 3


def test_a_tip_deep_in_the_artery_does_not_pull_the_ostium_to_itself() -> None:
    tree = LEFT[2]
    arc = np.linalg.norm(np.diff(POSE.heart.to_patient(tree.points), axis=0), axis=1).cumsum()
    deep = tree.points[int(np.searchsorted(arc, 7.0)) + 1]
    seen = evidence_of(tree, np.zeros(2))
    tips = np.stack([POSE.project(deep, a) for a in PHASES])
    fitted = choose([tree], POSE, replace(seen, tips=tips), "")
    ostium = POSE.project(tree.landmarks[0], 0.0)
    assert np.linalg.norm(tips[0] - ostium) > 2.5
    assert np.linalg.norm(warped(ostium, fitted.centre, fitted.warp) - ostium) < 0.7


def test_a_sure_tip_beside_the_ostium_draws_the_artery_to_itself() -> None:
    tree = LEFT[2]
    seen = evidence_of(tree, np.zeros(2))
    loose = replace(seen, spread=np.full_like(seen.spread, 10.0), tips=seen.tips - 4.0)
    fitted = choose([tree], POSE, loose, "")
    ostium = POSE.project(tree.landmarks[0], 0.0)
    assert np.linalg.norm(warped(ostium, fitted.centre, fitted.warp) - loose.tips[0]) < 2.5
    unsure = choose([tree], POSE, replace(loose, tip_sure=np.zeros(3)), "")
    assert np.linalg.norm(warped(ostium, unsure.centre, unsure.warp) - ostium) < 0.5


def test_a_tip_far_from_where_the_landmarks_agree_has_to_be_sure() -> None:
    """A tip that was taken for something else lies anywhere; a sure one is where the artery begins."""
    tree = LEFT[2]
    seen = evidence_of(tree, np.zeros(2))
    ostium = POSE.project(tree.landmarks[0], 0.0)
    ways = []
    for sure in (0.5, 0.95):
        far = replace(seen, tips=seen.tips + 12.0, tip_sure=np.full(3, sure), spread=seen.spread + 2.0)
        fitted = choose([tree], POSE, far, "")
        ways.append(np.linalg.norm(warped(ostium, fitted.centre, fitted.warp) - ostium))
    assert ways[0] < 5
    assert ways[1] > 2 * ways[0]


def test_no_evidence_leaves_the_pose_as_it_is() -> None:
    seen = evidence_of(LEFT[0], np.zeros(2))
    nothing = replace(seen, spread=np.full_like(seen.spread, 1e6), tip_sure=np.zeros(3))
    np.testing.assert_allclose(choose(LEFT, POSE, nothing, "").warp, 0.0, atol=1e-6)
