"""Loss terms against sums written out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from casgan_dicom.model.methods.losses import adversarial, soft_dice_loss, weighted_l1


@pytest.mark.parametrize("real", [True, False])
def test_least_squares_loss_is_the_mean_squared_distance_from_the_target(real: bool) -> None:
    score = torch.tensor([[-1.0, 0.5], [2.0, 0.0]])
    target = 1.0 if real else 0.0
    expected = sum((value - target) ** 2 for value in (-1.0, 0.5, 2.0, 0.0)) / 4
    assert float(adversarial(score, real=real)) == pytest.approx(expected)


@pytest.mark.parametrize("real", [True, False])
def test_vanilla_loss_is_the_negative_log_likelihood(real: bool) -> None:
    scores = (-1.0, 0.5, 2.0, 0.0)
    likelihood = [1 / (1 + math.exp(-s)) if real else 1 - 1 / (1 + math.exp(-s)) for s in scores]
    expected = -sum(map(math.log, likelihood)) / 4
    assert float(adversarial(torch.tensor(scores), real=real, kind="vanilla")) == pytest.approx(expected)


def test_a_score_of_several_scales_costs_the_sum_of_each() -> None:
    scales = [torch.tensor([0.8, 1.2]), torch.tensor([0.5])]
    assert float(adversarial(scales, real=True)) == pytest.approx((0.04 + 0.04) / 2 + 0.25)


def test_soft_dice_is_averaged_over_samples_not_pooled() -> None:
    probability, target = torch.rand(3, 1, 5, 4), (torch.rand(3, 1, 5, 4) > 0.7).float()
    expected = 0.0
    for p, t in zip(probability, target, strict=True):
        overlap = sum(float(a * b) for a, b in zip(p.flatten(), t.flatten(), strict=True))
        total = float(p.sum() + t.sum())
        expected += (1 - (2 * overlap + 1) / (total + 1)) / 3
    assert float(soft_dice_loss(probability, target)) == pytest.approx(expected, rel=1e-5)


def test_soft_dice_of_the_mask_itself_and_of_nothing_on_nothing_is_zero() -> None:
    mask = torch.zeros(1, 1, 4, 4)
    assert float(soft_dice_loss(mask, mask)) == 0
    mask[..., :2] = 1
    assert float(soft_dice_loss(mask, mask)) == pytest.approx(0, abs=1e-7)
    assert float(soft_dice_loss(1 - mask, mask)) > 0.9


def test_weighted_l1_ignores_pixels_of_weight_zero() -> None:
    target, weight = torch.zeros(1, 1, 2, 2), torch.tensor([[[[0.0, 1.0], [3.0, 0.0]]]])
    prediction = torch.tensor([[[[9.0, 2.0], [-1.0, 9.0]]]])
    assert float(weighted_l1(prediction, target, weight)) == pytest.approx((1 * 2 + 3 * 1) / 4)
