"""What simulated pairs ask of the guided generator; batches are those of data/guided_sampler.py."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.casgan import BACKGROUND_WEIGHT
from casgan_dicom.model.methods.segment_then_paint import truth as pair_of
from casgan_dicom.model.networks.guided import CELL, REACH_PX

_SEEN_DEPTH = 0.02
"""Optical depth from which a guide shows a vessel."""
_DARKEST, _DEEPEST = 0.05, 1.5
"""Display value below which a darkening cannot be measured, and the most that is taken for one."""


def l1_term(image: Tensor, batch: Batch) -> Tensor:
    """L1 of y_g against the twin, weighted on vessels, where the guide is the patient's own tree."""
    twin, mask = pair_of(batch)
    weight = batch.truth["own"][:, :, None, None] * (mask + BACKGROUND_WEIGHT * (1 - mask))
    return (weight * (image - twin).abs()).sum() / weight.sum().clamp_min(1)


def depth_term(depth: Tensor, batch: Batch) -> Tensor:
    """L1 of T' against the darkening of the twin inside the vessels, both over 3 x 3 pixels."""
    truth, (_, mask) = batch.truth, pair_of(batch)
    plain, twin, drawn = (
        F.avg_pool2d(image, 3, 1, 1, count_include_pad=False)
        for image in (truth["shown"], truth["twin_shown"], depth)
    )
    wanted = torch.log(plain.clamp_min(_DARKEST) / twin.clamp_min(_DARKEST)).clamp(0, _DEEPEST)
    weight = mask * truth["own"][:, :, None, None] * plain
    return (weight * (drawn - wanted).abs()).sum() / weight.sum().clamp_min(1)


def where_term(off: Tensor, batch: Batch) -> Tensor:
    """L1 in pixels of d against what moves the guide back, near its vessels."""
    truth = batch.truth
    near = F.max_pool2d((truth["guide"] > _SEEN_DEPTH).float(), CELL)
    wanted = (-truth["off"]).clamp(-REACH_PX, REACH_PX)
    away = (off - wanted).abs().mean(dim=1, keepdim=True)
    return (near * away).sum() / near.sum().clamp_min(1)
