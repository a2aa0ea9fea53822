"""Training the segmentor."""

from __future__ import annotations

import pytest
import torch

from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.segment import train_unet
from tests.model.toys import tiny_sampler, tiny_settings


def trained(steps: int, log: list[tuple[int, float]]) -> UNet:
    sampler, draws = tiny_sampler(tiny_settings()), torch.Generator().manual_seed(1)
    torch.manual_seed(0)
    return train_unet(
        UNet(4),
        lambda: sampler.labelled(2, draws),
        steps=steps,
        lr=1e-2,
        log=lambda step, loss: log.append((step, loss)),
    )


@pytest.mark.train
def test_a_segmentor_learns_the_stripe_and_comes_back_frozen() -> None:
    log: list[tuple[int, float]] = []

    net = trained(60, log)

    image, mask = tiny_sampler(tiny_settings()).labelled(4, torch.Generator().manual_seed(99))
    found = net.soft_mask(image) > 0.5
    dice = float(2 * (found * mask).sum() / (found.sum() + mask.sum()))
    assert dice > 0.6  # the stripe is 6 of 64 columns: drawing all gives 0.17, nothing 0
    assert [step for step, _ in log] == [0, 50]
    assert not net.training
    assert not any(p.requires_grad for p in net.parameters())


@pytest.mark.parametrize("steps", [0, 1])
def test_very_short_training_is_possible(steps: int) -> None:
    assert not trained(steps, []).training
