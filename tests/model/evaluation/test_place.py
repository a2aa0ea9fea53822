"""Place scores on made-up masks and plans whose answers are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from casgan_dicom.model.atlas.cues import GRID
from casgan_dicom.model.atlas.plan import RunPlan
from casgan_dicom.model.data.pose_truth import PoseTruth
from casgan_dicom.model.data.simulated import SimulatedRun
from casgan_dicom.model.evaluation.place import largest_part, place_scores
from casgan_dicom.model.evaluation.rows import Drawn
from tests.support.atlas import FACTS

SIDE = 128


def line(column: int) -> np.ndarray:
    mask = np.zeros((2, SIDE, SIDE), dtype=bool)
    mask[:, 20:100, column - 1 : column + 2] = True
    return mask


def run(*, right: bool = True) -> SimulatedRun:
    vessel = line(60)
    plain = np.full((2, SIDE, SIDE), 0.5, np.float32)
    middle = np.zeros_like(vessel)
    middle[:, 21:99, 60] = True
    pose = PoseTruth(
        right=right,
        angles_deg=(-27.0, 18.5),
        distances_mm=(750.0, 1100.0),
        pixel_mm=1.0,
        times_s=(0.0, 0.1, 0.2),
        numbers=(0, 2),
        sampled=(0, 1, 2),
        ostium=np.full((2, 2), 30.0),
        looked_at=np.concatenate([plain, plain[:1]]),
        looked_at_bare=np.concatenate([plain, plain[:1]]),
        **dict.fromkeys(("usual", "another", "bare"), plain),
    )
    return SimulatedRun(plain, plain, vessel, middle, np.ones_like(vessel), pose=pose)


def drawn(column: int, plan: RunPlan | None = None) -> Drawn:
    return Drawn(np.zeros((0, SIDE, SIDE), np.float32), line(column), plan=plan)


def plan_at(pixel: float) -> RunPlan:
    """A plan whose tree begins at this column and row of the measured frames, elsewhere in the other one."""
    grid = (pixel + 0.5) * GRID / SIDE - 0.5
    return RunPlan(FACTS, contraction=np.zeros(3), ostium=np.array([[grid, grid], [0.0, 0.0], [grid, grid]]))


def test_a_tree_in_its_place_has_all_of_it() -> None:
    scores = place_scores([drawn(60, plan_at(30.0))], [run()], [1.0], [0.25])

    assert scores.recall_wide == 1
    assert scores.cover_ratio == 1
    assert scores.largest == 1
    assert scores.less_another == 0.75
    assert scores.artery_right == 1
    assert scores.angle_error_deg == pytest.approx(0, abs=1e-5)
    assert scores.ostium_px == pytest.approx(0, abs=1e-6)
    assert scores.refused == 0


def test_a_tree_six_pixels_aside_is_about_there_and_one_twenty_aside_is_not() -> None:
    near, far = (place_scores([drawn(60 + aside)], [run()], [0.0], [0.0]) for aside in (6, 20))

    assert near.recall_wide == 1
    assert far.recall_wide == 0


def test_the_ostium_is_measured_in_pixels_of_256() -> None:
    scores = place_scores([drawn(60, plan_at(33.0))], [run()], [1.0], [1.0])

    assert scores.ostium_px == pytest.approx(3 * math.sqrt(2) * 256 / SIDE)


def test_the_other_artery_is_counted_as_wrong() -> None:
    both = place_scores([drawn(60, plan_at(30.0))] * 2, [run(), run(right=False)], [1.0] * 2, [0.0] * 2)

    assert both.artery_right == 0.5


def test_a_refused_plan_has_no_ostium() -> None:
    refused = replace(plan_at(30.0), refused="in doubt")
    scores = place_scores([drawn(60, refused)], [run()], [0.0], [0.0])

    assert math.isnan(scores.ostium_px)
    assert scores.refused == 1


def test_a_row_without_a_plan_says_nothing_of_artery_and_angles() -> None:
    scores = place_scores([drawn(60)] * 2, [run()] * 2, [0.5, 0.7], [0.1, 0.1])

    assert math.isnan(scores.artery_right)
    assert math.isnan(scores.angle_error_deg)
    assert math.isnan(scores.refused)
    assert scores.less_another_error == pytest.approx(0.1)


def test_the_largest_part_is_that_of_connected_pixels() -> None:
    mask = np.zeros((40, 40), dtype=bool)
    mask[5, 5:20] = mask[30, 5:10] = True

    assert largest_part(mask) == 0.75
    assert math.isnan(largest_part(np.zeros_like(mask)))
