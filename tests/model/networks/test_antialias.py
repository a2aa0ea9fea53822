"""Blurred halving and smooth doubling against loops; taps and sizes of the networks built of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.model.networks.antialias import (
    AntialiasedGenerator,
    AntialiasedPatchGAN,
    BlurPool,
    SmoothDouble,
    tap_widths,
)


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3)) * 2 - 1


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 6), (7, 11)])
def test_halving_is_every_second_pixel_of_a_blurred_mirrored_image(height: int, width: int) -> None:
    image = noise(2, 3, height, width)
    padded = np.pad(image.numpy().astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    taps = (1, 2, 1)
    expected = np.zeros((2, 3, -(-height // 2), -(-width // 2)))
    for i in range(expected.shape[2]):
        for j in range(expected.shape[3]):
            for a, wa in enumerate(taps):
                for b, wb in enumerate(taps):
                    expected[:, :, i, j] += wa * wb / 16 * padded[:, :, 2 * i + a, 2 * j + b]

    np.testing.assert_allclose(BlurPool(3)(image).numpy(), expected, atol=1e-6)


def test_doubling_is_1_3_3_1_over_zeros_between_the_pixels() -> None:
    """The official form: repeat the border, put zeros between, filter, cut the border off."""
    image = noise(1, 2, 5, 6)
    padded = np.pad(image.numpy().astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    spread = np.zeros((1, 2, 2 * 7, 2 * 8))
    spread[:, :, ::2, ::2] = padded
    expected = np.zeros((1, 2, 10, 12))
    for i in range(10):
        for j in range(12):
            for a, wa in enumerate((1, 3, 3, 1)):
                for b, wb in enumerate((1, 3, 3, 1)):
                    expected[:, :, i, j] += wa * wb / 16 * spread[:, :, i + a, j + b]

    np.testing.assert_allclose(SmoothDouble()(image).numpy(), expected, atol=1e-6)


def test_full_size_networks_have_as_many_parameters_as_the_official_ones() -> None:
    with torch.device("meta"):
        generator, discriminator = AntialiasedGenerator(), AntialiasedPatchGAN()
    assert parameters(generator) == 11_365_633
    assert parameters(discriminator) == 2_762_689


def test_taps_have_the_shapes_of_the_table_and_the_values_of_the_layers() -> None:
    net, image = AntialiasedGenerator(4, n_blocks=2), noise(2, 1, 32, 24)

    drawn, taps = net(image, ("input", "down1", "down2", "block1", "block2"))

    assert drawn is not None
    assert drawn.shape == image.shape
    assert float(drawn.detach().abs().max()) <= 1
    shapes = {name: tuple(h.shape) for name, h in taps.items()}
    assert shapes == {
        "input": (2, 1, 38, 30),
        "down1": (2, 8, 32, 24),
        "down2": (2, 16, 16, 12),
        "block1": (2, 16, 8, 6),
        "block2": (2, 16, 8, 6),
    }
    assert {name: shape[1] for name, shape in shapes.items()} == tap_widths(4, 2)
    np.testing.assert_array_equal(
        taps["input"].numpy(), np.pad(image.numpy(), ((0, 0), (0, 0), (3, 3), (3, 3)), mode="reflect")
    )
    # Taps are convolution results, before the norm and not spoilt by the ReLU in place that follows.
    assert float(taps["down1"].detach().mean((2, 3)).abs().max()) > 1e-4
    assert float(taps["down2"].detach().min()) < 0
    torch.testing.assert_close(taps["block2"], net.stages["block2"](taps["block1"]))


class Untouchable(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        raise AssertionError("a stage behind the last tap ran")


def test_without_drawing_nothing_behind_the_last_tap_runs() -> None:
    net, image = AntialiasedGenerator(4, n_blocks=3), noise(1, 1, 16, 16)
    _, expected = net(image, ("down1", "block1"))
    net.stages["block2"] = Untouchable()

    drawn, taps = net(image, ("down1", "block1"), draw=False)

    assert drawn is None
    assert taps.keys() == expected.keys() == {"down1", "block1"}
    assert all(torch.equal(taps[name], h) for name, h in expected.items())
    with pytest.raises(AssertionError, match="behind"):
        net(image, ("down1", "block1"))


def test_the_kernel_is_no_weight_of_a_checkpoint() -> None:
    assert not [key for key in AntialiasedGenerator(4, 1).state_dict() if "kernel" in key]
    assert not [key for key in AntialiasedPatchGAN(4).state_dict() if "kernel" in key]


@pytest.mark.parametrize(("side", "score"), [(256, 30), (64, 6)])
def test_the_discriminator_scores_as_many_patches_as_patchgan(side: int, score: int) -> None:
    assert AntialiasedPatchGAN(2)(noise(1, 1, side, side)).shape == (1, 1, score, score)


def test_a_shift_by_one_pixel_moves_the_result_less_than_with_strides() -> None:
    """What it is for: with stride 2 every second shift of a fine pattern changes the halved map wholly."""
    stripes = torch.zeros(1, 1, 32, 32)
    stripes[..., ::2] = 1  # the finest pattern there is
    shifted = stripes.roll(1, dims=3)
    blurred = [BlurPool(1)(image)[..., 1:-1] for image in (stripes, shifted)]
    assert float((stripes[..., ::2, ::2] - shifted[..., ::2, ::2]).abs().max()) == 1
    torch.testing.assert_close(blurred[0], blurred[1])
