"""The generator of the bridge: its condition, its taps, its fixed latents."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from casgan_dicom.model.networks.antialias import AntialiasedGenerator
from casgan_dicom.model.networks.bridge import BridgeGenerator, ConditionedBlock, step_code


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_a_block_scales_and_shifts_its_first_norm() -> None:
    block, h, condition = ConditionedBlock(4), noise(2, 4, 6, 5), noise(2, 4)
    inner = block.first(h)
    mean, std = (
        inner.mean((2, 3), keepdim=True),
        inner.var((2, 3), keepdim=True, unbiased=False).add(1e-5).sqrt(),
    )
    numbers = condition @ block.affine.weight.T + block.affine.bias
    scale, shift = numbers[:, :4, None, None], numbers[:, 4:, None, None]
    expected = h + block.norm(block.second(((inner - mean) / std * (1 + scale) + shift).clamp_min(0)))
    torch.testing.assert_close(block(h, condition), expected, rtol=1e-4, atol=1e-5)


def test_step_and_latent_change_what_is_drawn_and_every_sample_has_its_own() -> None:
    net, image = BridgeGenerator(4, 1), noise(2, 1, 16, 16)
    latents = noise(2, 16)
    drawn, _ = net(image, 0, latents)
    later, _ = net(image, 3, latents)
    swapped, _ = net(image, 0, latents.flip(0))
    alone, _ = net(image[1:], 0, latents[1:])
    assert drawn is not None
    assert later is not None
    assert not torch.allclose(drawn, later, atol=1e-4)
    assert not torch.allclose(drawn, swapped, atol=1e-4)
    torch.testing.assert_close(drawn[1:], alone, rtol=1e-4, atol=1e-5)


def test_a_step_is_told_by_sines_and_cosines() -> None:
    code = step_code(3, 8)[0].tolist()
    frequencies = [10_000 ** -(k / 3) for k in range(4)]
    assert code == pytest.approx(
        [math.sin(3 * f) for f in frequencies] + [math.cos(3 * f) for f in frequencies], abs=1e-6
    )


def test_taps_are_those_of_the_unconditioned_generator() -> None:
    names = ("input", "down1", "down2", "block1", "block2")
    image = noise(1, 1, 16, 16)
    _, ours = BridgeGenerator(4, 2)(image, 0, noise(1, 16), names, draw=False)
    _, plain = AntialiasedGenerator(4, 2)(image, names, draw=False)
    assert {name: h.shape for name, h in ours.items()} == {name: h.shape for name, h in plain.items()}


def test_fixed_latents_travel_with_the_weights() -> None:
    net = BridgeGenerator(4, 1, steps=3)
    assert net.state_dict()["fixed_latents"].shape == (3, 16)
    assert torch.equal(net.fixed_latents, BridgeGenerator(4, 1, steps=3).fixed_latents)
