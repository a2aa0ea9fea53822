"""Loss terms that more than one method uses. Raw values: weights are applied by the trainer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from casgan_dicom.model.settings import GanKind


def adversarial(score: Tensor | Sequence[Tensor], *, real: bool, kind: GanKind = "lsgan") -> Tensor:
    """Distance of a discriminator's score map from its target, a scalar; summed over a sequence of scales.

    "lsgan": mean (score - target)² (Mao et al. 2017). "vanilla": binary cross-entropy of the score as a
    logit, so minimising it with ``real=True`` is the non-saturating generator loss (Goodfellow et al. 2014).
    """
    if not isinstance(score, Tensor):
        return torch.stack([adversarial(scale, real=real, kind=kind) for scale in score]).sum()
    target = torch.full_like(score, 1.0 if real else 0.0)
    if kind == "lsgan":
        return F.mse_loss(score, target)
    return F.binary_cross_entropy_with_logits(score, target)


def soft_dice_loss(probability: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - 2·Σpt / (Σp + Σt), averaged over the batch (Milletari et al. 2016, without the squares).

    `probability` in [0, 1] and `target` (0 or 1), both (B, 1, H, W). `smooth` is added above and below the
    fraction, so that an empty mask that is predicted empty costs nothing.
    """
    axes = (1, 2, 3)
    overlap = (probability * target).sum(axes)
    total = probability.sum(axes) + target.sum(axes)
    return (1 - (2 * overlap + smooth) / (total + smooth)).mean()


def weighted_l1(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Σ weight·abs(prediction - target) / Σ weight; all (B, 1, H, W)."""
    return (weight * (prediction - target).abs()).sum() / weight.sum()
