"""Sizes, shapes and laws of the networks."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.model.networks.attention import VesselDecoder, compose
from casgan_dicom.model.networks.choices import InitKind, Upsampling
from casgan_dicom.model.networks.init import init_weights
from casgan_dicom.model.networks.patchgan import PatchGAN
from casgan_dicom.model.networks.predictor import Predictor
from casgan_dicom.model.networks.resnet import Decoder, Encoder, ReflectConv2d
from casgan_dicom.model.networks.unet import UNet


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def conv(inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> int:
    return inputs * outputs * kernel**2 + (outputs if bias else 0)


def resblocks(n: int, channels: int) -> int:
    return n * 2 * conv(channels, channels, 3)


ENCODER = conv(1, 64, 7) + conv(64, 128, 3) + conv(128, 256, 3) + resblocks(4, 256)
DECODER = resblocks(4, 256) + conv(256, 128, 3) + conv(128, 64, 3) + conv(64, 1, 7)


def unet_parameters(base: int) -> int:
    widths = [base * 2**k for k in range(5)]
    total = conv(base, 1, 1)
    for inputs, outputs in pairwise([1, *widths]):
        total += conv(inputs, outputs, 3, bias=False) + conv(outputs, outputs, 3, bias=False) + 4 * outputs
    for low, high in pairwise(widths):
        total += conv(high, low, 2) + conv(high, low, 3, bias=False) + conv(low, low, 3, bias=False) + 4 * low
    return total


def test_parameter_counts_at_full_size_are_the_published_layers() -> None:
    """Golden numbers, and beside them the sum over the layers written out by hand."""
    with torch.device("meta"):
        counted = {
            "encoder": parameters(Encoder()),
            "decoder": parameters(Decoder()),
            "resize decoder": parameters(Decoder(upsampling="resize")),
            "M": parameters(Predictor(256)),
            "M, pixel_mlp": parameters(Predictor(256, "pixel_mlp")),
            "D": parameters(PatchGAN()),
        }
    assert counted == {
        "encoder": 5_092_864,
        "decoder": 5_092_609,
        "resize decoder": 5_092_609,
        "M": 1_245_952,
        "M, pixel_mlp": 525_568,
        "D": 2_762_689,
    }
    assert (counted["encoder"], counted["decoder"]) == (ENCODER, DECODER)


@pytest.mark.parametrize(("base", "golden"), [(64, 31_036_481), (32, 7_762_465), (16, 1_942_289)])
def test_unet_parameter_counts(base: int, golden: int) -> None:
    with torch.device("meta"):
        counted = parameters(UNet(base))
    assert counted == golden == unet_parameters(base)


def test_shared_trunk_saves_one_trunk_of_residual_blocks() -> None:
    with torch.device("meta"):
        own, shared = parameters(VesselDecoder()), parameters(VesselDecoder(share_trunk=True))
    assert own == 2 * DECODER
    assert own - shared == resblocks(4, 256)


@pytest.mark.parametrize("upsampling", ["transpose", "resize"])
def test_decoder_undoes_the_encoders_shape_and_stays_in_range(upsampling: Upsampling) -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 1, 24, 40) * 2 - 1

    z = Encoder(4, 1)(image)
    tanh = Decoder(4, 1, upsampling=upsampling)(50 * z)
    sigmoid = Decoder(4, 1, activation="sigmoid", upsampling=upsampling)(50 * z)

    assert z.shape == (2, 16, 6, 10)
    assert tanh.shape == sigmoid.shape == image.shape
    assert tanh.min() < 0
    assert tanh.abs().max() <= 1
    assert sigmoid.min() >= 0
    assert sigmoid.max() <= 1


@pytest.mark.parametrize(
    "net",
    [Encoder(4, 1), PatchGAN(4), UNet(4).eval(), nn.Sequential(Encoder(4, 1), Predictor(16))],
    ids=["encoder", "patchgan", "unet", "predictor"],
)
def test_a_sample_does_not_depend_on_the_batch_it_travels_in(net: nn.Module) -> None:
    images = torch.rand(3, 1, 64, 64)
    alone = torch.cat([net(image[None]) for image in images])
    # float32 sums over up to 64 channels in another order
    torch.testing.assert_close(net(images), alone, rtol=1e-4, atol=1e-4)


def test_patchgan_judges_patches_of_seventy_pixels() -> None:
    """Oracle of the receptive field: which input pixels one score depends on, by gradient.

    InstanceNorm looks at the whole map, so it is taken out.
    """
    net = PatchGAN(4)
    convolutions = nn.Sequential(*(m for m in net.layers if not isinstance(m, nn.InstanceNorm2d)))
    image = torch.zeros(1, 1, 256, 256, requires_grad=True)

    score = convolutions(image)
    score[0, 0, 15, 15].backward()

    assert image.grad is not None
    rows, columns = image.grad[0, 0].nonzero(as_tuple=True)
    assert score.shape == net(image).shape == (1, 1, 30, 30)
    assert int(rows.max() - rows.min()) + 1 == 70
    assert int(columns.max() - columns.min()) + 1 == 70


def test_pixel_mlp_looks_at_one_position_only_and_conv_does_not() -> None:
    torch.manual_seed(0)
    z = torch.randn(1, 8, 6, 6)
    moved = z.clone()
    moved[0, :, 0, 0] += 1
    changed = {}
    for kind in ("pixel_mlp", "conv"):
        net = Predictor(8, kind)
        changed[kind] = int(((net(z) - net(moved)).abs().amax(1) > 0).sum())
    assert changed["pixel_mlp"] == 1
    assert changed["conv"] > 1


def test_reflect_convolution_mirrors_the_border() -> None:
    layer = ReflectConv2d(1, 1, 3)
    image = torch.rand(1, 1, 5, 7)
    mirrored = torch.cat([image[..., 1:2], image, image[..., -2:-1]], dim=-1)
    mirrored = torch.cat([mirrored[..., 1:2, :], mirrored, mirrored[..., -2:-1, :]], dim=-2)
    expected = nn.functional.conv2d(mirrored, layer.conv.weight, layer.conv.bias)
    torch.testing.assert_close(layer(image), expected)


def test_no_attention_returns_the_input_bit_for_bit() -> None:
    x, context = torch.rand(2, 1, 9, 9) * 2 - 1, torch.rand(2, 1, 9, 9) * 2 - 1
    assert torch.equal(compose(x, context, torch.zeros_like(x)), x)
    assert torch.equal(compose(x, context, torch.ones_like(x)), context)


def test_composition_lies_between_input_and_context() -> None:
    x, context, attention = (torch.rand(1, 1, 9, 9, dtype=torch.float64) for _ in range(3))
    composed = compose(x, context, attention)
    expected = torch.tensor(
        [
            [float(x[0, 0, i, j] + attention[0, 0, i, j] * (context - x)[0, 0, i, j]) for j in range(9)]
            for i in range(9)
        ],
        dtype=torch.float64,
    )
    torch.testing.assert_close(composed[0, 0], expected)


@pytest.mark.parametrize("odd", [(2, 1, 9, 1), (1, 1, 9, 9), (9, 9), (2, 1, 1, 1)])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_compose_refuses_to_broadcast(odd: tuple[int, ...], place: int) -> None:
    parts: list[Tensor] = [torch.zeros(2, 1, 9, 9) for _ in range(3)]
    parts[place] = torch.zeros(odd)
    with pytest.raises(ValueError, match="three equal shapes"):
        compose(*parts)


def test_initial_weights_are_normal_with_the_given_gain_and_repeat_with_the_seed() -> None:
    first, second = Encoder(16, 2), Encoder(16, 2)
    for net in (first, second):
        init_weights(net, "normal", 0.02, torch.Generator().manual_seed(3))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    big = dict(first.named_parameters())["trunk.0.body.0.conv.weight"].detach()
    # 36,864 draws: the standard error of mean and deviation is 1e-4 and 7e-5
    assert abs(float(big.mean())) < 5e-4
    assert float(big.std()) == pytest.approx(0.02, abs=4e-4)
    assert all(not p.any() for name, p in first.named_parameters() if name.endswith("bias"))


def test_unet_gives_logits_and_its_soft_mask_probabilities() -> None:
    net = UNet(4).eval()
    image = torch.rand(1, 1, 32, 48)
    torch.testing.assert_close(torch.logit(net.soft_mask(image)), net(image), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "spread"),
    [("xavier", 0.5 * math.sqrt(2 / (64 * 9 + 32 * 9))), ("kaiming", math.sqrt(2 / (64 * 9)))],
)
def test_other_initial_weights_spread_as_their_papers_say(kind: InitKind, spread: float) -> None:
    """Glorot and Bengio: variance 2 / (fan in + fan out), times the gain; He et al.: 2 / fan in."""
    layer, linear = nn.Conv2d(64, 32, 3), nn.Linear(64 * 9, 32 * 9)
    draws = torch.Generator().manual_seed(3)
    for module in (layer, linear):
        init_weights(module, kind, 0.5, draws)
        # 18,432 and more draws: the standard error of a deviation is 0.5 %
        assert float(module.weight.detach().std()) == pytest.approx(spread, rel=0.02)
        assert module.bias is not None
        assert not module.bias.any()
