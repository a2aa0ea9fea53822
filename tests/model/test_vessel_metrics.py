"""Vessel scores against values counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from casgan_dicom.model.vessel_metrics import Truth, dice, psnr, score_frame, share_near


def _line(row: int, size: int = 32) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    mask = np.zeros((size, size), dtype=bool)
    mask[row, 4:28] = True
    return mask


def test_dice_counts_overlap() -> None:
    a, b = np.zeros((2, 8, 8), dtype=bool)
    a[:4], b[2:6] = True, True
    assert dice(a, b) == pytest.approx(2 * 16 / 64)


def test_dice_of_two_empty_masks_is_one_and_of_one_empty_mask_zero() -> None:
    empty = np.zeros((8, 8), dtype=bool)
    assert dice(empty, empty) == 1
    assert dice(empty, ~empty) == 0


@pytest.mark.parametrize(("shift", "share"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_a_line_counts_within_two_pixels_only(shift: int, share: float) -> None:
    assert share_near(_line(10), _line(10 + shift)) == share


def test_half_a_line_found_is_recall_one_half_and_precision_one() -> None:
    found = _line(10)
    found[:, 16:] = False
    assert share_near(_line(10), found, tolerance=0) == pytest.approx(0.5)
    assert share_near(found, _line(10), tolerance=0) == 1


def test_share_near_an_empty_line_is_zero_unless_both_are_empty() -> None:
    empty = np.zeros((32, 32), dtype=bool)
    assert share_near(_line(3), empty) == 0
    assert share_near(empty, _line(3)) == 0
    assert share_near(empty, empty) == 1


def test_psnr_of_a_constant_error() -> None:
    a = np.full((4, 4), 0.5, dtype=np.float32)
    assert psnr(a, a + np.float32(0.1)) == pytest.approx(20, abs=1e-3)
    assert psnr(a, a) == math.inf


def test_scores_of_a_perfect_drawing() -> None:
    vessel = np.zeros((32, 32), dtype=bool)
    vessel[9:12, 4:28] = True
    heart = np.zeros((32, 32), dtype=bool)
    heart[:, :16] = True
    plain = np.full((32, 32), 0.5, dtype=np.float32)
    image = np.where(vessel, 0.2, plain).astype(np.float32)
    attention = np.where(vessel, 0.8, 0.1).astype(np.float32)

    scores = score_frame(image, vessel, attention, Truth(plain, vessel, _line(10), heart))

    assert scores.dice == scores.precision == 1
    assert scores.recall == 1
    assert scores.cover == pytest.approx(72 / 1024)
    assert scores.on_heart == pytest.approx(0.5)
    assert scores.background_psnr == math.inf
    assert scores.attention_inside == pytest.approx(0.8)
    assert scores.attention_outside == pytest.approx(0.1)


def test_nothing_drawn_leaves_its_place_undefined() -> None:
    truth = Truth(np.zeros((32, 32), dtype=np.float32), _line(10), _line(10), _line(10))
    scores = score_frame(truth.plain, np.zeros((32, 32), dtype=bool), None, truth)
    assert math.isnan(scores.on_heart)
    assert math.isnan(scores.attention_inside)
    assert scores.dice == scores.recall == 0
