"""Vessel scores against values counted by hand, loops over pixels, and what anchors must score."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from casgan_dicom.model.metrics.centreline import skeleton
from casgan_dicom.model.metrics.vessels import (
    LEAST_CONTRAST,
    Truth,
    VesselScores,
    contrast_ratio,
    dice,
    score_frame,
)

Mask = npt.NDArray[np.bool_]
NOTHING = np.zeros((64, 64), dtype=bool)


def made_up_truth(seed: int = 0) -> Truth:
    """A textured frame with two bars of vessel, 3 px and 9 px wide, that absorb two fifths."""
    rng = np.random.default_rng(seed)
    plain = ndimage.gaussian_filter(rng.uniform(0.2, 1, (64, 64)), 1).astype(np.float32)
    vessel, line, heart = NOTHING.copy(), NOTHING.copy(), NOTHING.copy()
    vessel[20:23, 8:56], line[21, 8:56] = True, True
    vessel[40:49, 8:56], line[44, 12:52] = True, True
    heart[:, :32] = True
    contrast = np.where(vessel, np.float32(0.6) * plain, plain)
    return Truth(plain, contrast, vessel, line, heart)


def values(scores: VesselScores) -> tuple[float, ...]:
    return tuple(vars(scores).values())


def test_dice_counts_overlap() -> None:
    a, b = np.zeros((2, 8, 8), dtype=bool)
    a[:4], b[2:6] = True, True
    assert dice(a, b) == pytest.approx(2 * 16 / 64)


def test_dice_of_two_empty_masks_is_one_and_of_one_empty_mask_zero() -> None:
    assert dice(NOTHING, NOTHING) == 1
    assert dice(NOTHING, ~NOTHING) == 0


@given(a=arrays(np.bool_, (5, 6)), b=arrays(np.bool_, (5, 6)))
def test_dice_agrees_with_sets_of_pixels(a: Mask, b: Mask) -> None:
    one, two = ({tuple(p) for p in np.argwhere(mask)} for mask in (a, b))
    expected = 2 * len(one & two) / (len(one) + len(two)) if one or two else 1.0
    assert dice(a, b) == pytest.approx(expected)


def test_the_truth_scores_full_marks() -> None:
    truth = made_up_truth()
    attention = np.where(truth.vessel, 0.8, 0.1).astype(np.float32)

    scores = score_frame(truth.contrast, truth.vessel, attention, truth)

    assert scores.dice == scores.cldice == scores.recall == scores.precision == 1
    assert scores.recall_middle == scores.recall_thick == 1
    assert scores.hallucination == 0
    assert scores.contrast_ratio == pytest.approx(1, abs=1e-6)
    assert scores.vessel_psnr == scores.background_psnr == math.inf
    assert scores.vessel_ssim == pytest.approx(1, abs=1e-12)
    assert scores.background_ssim == pytest.approx(1, abs=1e-12)
    assert scores.cover == pytest.approx(12 * 48 / 64**2)
    assert scores.on_heart == pytest.approx(0.5)
    assert scores.attention_inside == pytest.approx(0.8)
    assert scores.attention_outside == pytest.approx(0.1)


def test_the_input_itself_keeps_the_background_and_draws_nothing() -> None:
    truth = made_up_truth()

    scores = score_frame(truth.plain, NOTHING, None, truth)

    assert scores.contrast_ratio == 0
    assert math.copysign(1, scores.contrast_ratio) == 1, "not written as -0.000"
    assert scores.dice == scores.cldice == scores.recall == scores.precision == scores.cover == 0
    assert scores.background_psnr == math.inf
    assert scores.background_ssim == pytest.approx(1, abs=1e-12)
    assert scores.vessel_psnr < 20
    assert scores.vessel_ssim < 0.9
    for undefined in ("hallucination", "on_heart", "attention_inside", "attention_outside"):
        assert math.isnan(getattr(scores, undefined)), undefined


def test_a_change_of_the_background_leaves_the_vessel_scores_alone() -> None:
    truth = made_up_truth()
    elsewhere = truth.contrast.copy()
    elsewhere[:9] = 1 - elsewhere[:9]  # 11 px above the upper vessel: out of reach of its SSIM windows

    scores = score_frame(elsewhere, truth.vessel, None, truth)

    assert scores.vessel_psnr == math.inf
    assert scores.vessel_ssim == pytest.approx(1, abs=1e-12)
    assert scores.background_psnr < 20
    assert scores.background_ssim < 0.95


def test_the_background_is_compared_with_the_input_and_not_with_the_twin() -> None:
    truth = made_up_truth()
    veiled = np.random.default_rng(1).normal(0, 0.1, (64, 64)).astype(np.float32) + truth.contrast

    scores = score_frame(truth.plain, NOTHING, None, replace(truth, contrast=veiled))

    assert scores.background_psnr == math.inf
    assert scores.background_ssim == pytest.approx(1, abs=1e-12)


def test_half_a_branch_costs_recall_and_a_stray_line_costs_precision() -> None:
    """Drawn: all of the thin branch, half of the middle one, nothing of the thick one, and a stray line."""
    truth = made_up_truth()
    vessel, line, drawn = truth.vessel.copy(), truth.centreline.copy(), NOTHING.copy()
    vessel[4, 8:56] = line[4, 8:56] = True
    line[21, [8, 55]] = False  # at a bar's end the border is near: its last pixel counts as thin
    drawn[4, 8:56] = drawn[21, 8:32] = drawn[58, 8:32] = True

    scores = score_frame(truth.plain, drawn, None, replace(truth, vessel=vessel, centreline=line))

    assert scores.recall_thin == 1
    assert scores.recall_middle == pytest.approx(25 / 46)  # and two pixels of tolerance
    assert scores.recall_thick == 0
    assert scores.recall == pytest.approx((48 + 25) / (48 + 46 + 40))
    assert scores.precision == pytest.approx((48 + 24) / (48 + 24 + 24))
    assert scores.hallucination == pytest.approx(24 / 96)
    assert scores.dice == pytest.approx(2 * 72 / (96 + 48 + 12 * 48))
    true_line = skeleton(vessel)
    on_vessel, on_drawn = 72 / 96, np.count_nonzero(drawn & true_line) / np.count_nonzero(true_line)
    assert scores.cldice == pytest.approx(2 * on_vessel * on_drawn / (on_vessel + on_drawn))


@pytest.mark.parametrize("away", range(1, 7))
def test_the_regions_meet_three_pixels_from_the_vessel(away: int) -> None:
    truth = made_up_truth()
    still = replace(truth, contrast=truth.plain)
    image = truth.plain.copy()
    image[20 - away, 30] += 0.1  # so far above the upper vessel

    scores = score_frame(image, NOTHING, None, still)

    assert math.isfinite(scores.vessel_psnr) == (away <= 3)
    assert math.isfinite(scores.background_psnr) == (away > 3)


@settings(max_examples=40)
@given(drawn=arrays(np.bool_, (64, 64), elements=st.booleans(), fill=st.just(value=False)))
def test_hallucination_is_the_share_of_drawn_pixels_far_from_every_vessel(drawn: Mask) -> None:
    truth = made_up_truth()
    true = np.argwhere(truth.vessel)
    far = [np.hypot(*(true - p).T).min() > 3 for p in np.argwhere(drawn)]

    scores = score_frame(truth.plain, drawn, None, truth)

    if far:
        assert scores.hallucination == pytest.approx(np.mean(far))
    else:
        assert math.isnan(scores.hallucination)


def test_everything_drawn_is_hallucinated_where_there_is_no_vessel() -> None:
    truth = made_up_truth()
    none = replace(truth, vessel=NOTHING, centreline=NOTHING, contrast=truth.plain)

    scores = score_frame(truth.contrast, truth.vessel, truth.plain, none)

    assert scores.hallucination == 1
    assert scores.dice == scores.cldice == scores.recall == scores.precision == 0
    for undefined in ("contrast_ratio", "vessel_psnr", "vessel_ssim", "recall_thin", "attention_inside"):
        assert math.isnan(getattr(scores, undefined)), undefined
    assert scores.background_psnr < 40


@given(strength=st.floats(-1, 3))
def test_contrast_ratio_is_the_strength_of_what_is_drawn(strength: float) -> None:
    truth = made_up_truth()
    image = (truth.plain + np.float32(strength) * (truth.contrast - truth.plain)).astype(np.float32)
    assert contrast_ratio(image, truth) == pytest.approx(strength, abs=1e-5)  # float32 images


def test_contrast_ratio_is_that_of_sums_over_vessel_pixels() -> None:
    truth = made_up_truth()
    image = np.random.default_rng(5).uniform(0, 1, (64, 64)).astype(np.float32)
    drawn = true = 0.0
    for r, c in np.argwhere(truth.vessel):
        drawn += float(image[r, c]) - float(truth.plain[r, c])
        true += float(truth.contrast[r, c]) - float(truth.plain[r, c])
    assert contrast_ratio(image, truth) == pytest.approx(drawn / true)


@pytest.mark.parametrize(("contrast", "defined"), [(1.1, True), (0.9, False), (0.0, False)])
def test_a_twin_that_hardly_differs_has_no_contrast_to_compare_with(contrast: float, defined: bool) -> None:
    truth = made_up_truth()
    faint = np.where(truth.vessel, truth.plain - np.float32(contrast * LEAST_CONTRAST), truth.plain)
    ratio = contrast_ratio(faint, replace(truth, contrast=faint))
    assert math.isfinite(ratio) == defined


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_scores_do_not_depend_on_how_the_frame_is_turned(turns: int) -> None:
    truth = made_up_truth()
    image = np.clip(truth.contrast + np.float32(0.05), 0, 1)
    turned = Truth(*(np.rot90(a, turns).copy() for a in vars(truth).values()))

    one = score_frame(image, truth.centreline, None, truth)
    two = score_frame(np.rot90(image, turns), np.rot90(truth.centreline, turns), None, turned)

    # The skeleton of a bar bends at its ends, and not to the same side when turned.
    assert one.cldice == pytest.approx(two.cldice, abs=0.02)
    one, two = replace(one, cldice=0.0), replace(two, cldice=0.0)
    assert values(one) == pytest.approx(values(two), nan_ok=True, abs=1e-9)
