"""Styles: AdaIN against loops and against torch's own norm, and MUNIT's golden sizes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.model.networks.adain import AdaIN, AdaInBlock, StyledDecoder, StyleEncoder, StyleMlp
from casgan_dicom.model.networks.vae import VaeEncoder


def draws(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("channels", "expected"), [(1, 15_007_369), (3, 15_026_187)])
def test_one_domain_of_munit_has_the_golden_number_of_parameters(channels: int, expected: int) -> None:
    with torch.device("meta"):
        nets = (
            VaeEncoder(in_channels=channels),
            StyleEncoder(in_channels=channels),
            StyledDecoder(out_channels=channels),
        )
    assert sum(map(parameters, nets)) == expected


def test_style_encoder_and_mlp_have_the_layers_written_out() -> None:
    with torch.device("meta"):
        style, mlp = StyleEncoder(), StyleMlp(8, 256, 4096)
    convs = (49 + 1) * 64 + (64 * 16 + 1) * 128 + (128 * 16 + 1) * 256 + 2 * (256 * 16 + 1) * 256
    assert parameters(style) == convs + (256 + 1) * 8 == 2_758_664
    assert parameters(mlp) == (8 + 1) * 256 + (256 + 1) * 256 + (256 + 1) * 4096


def test_adain_equals_its_equation_number_by_number() -> None:
    h = torch.randn(2, 3, 4, 5, generator=draws(1)) * 3 + 2
    affine = torch.randn(2, 2, 3, generator=draws(2))

    found = AdaIN(3)(h, affine)

    for k in range(2):
        for c in range(3):
            values = h[k, c].flatten().double().tolist()
            mean = sum(values) / 20
            variance = sum((v - mean) ** 2 for v in values) / 20
            shift, scale = float(affine[k, 0, c]), float(affine[k, 1, c])
            expected = [scale * (v - mean) / math.sqrt(variance + 1e-5) + shift for v in values]
            assert found[k, c].flatten().tolist() == pytest.approx(expected, abs=1e-5)


def test_a_block_is_two_convolutions_with_torchs_own_affine_norm() -> None:
    block = AdaInBlock(3)
    h, affine = torch.randn(1, 3, 8, 8, generator=draws(3)), torch.randn(1, 2, 2, 3, generator=draws(4))

    def styled(image: Tensor, layer: int) -> Tensor:
        conv = block.convs[layer].conv
        assert isinstance(conv, nn.Conv2d)
        padded = F.pad(image, (1, 1, 1, 1), mode="reflect")
        shift, scale = affine[0, layer]
        return F.instance_norm(F.conv2d(padded, conv.weight, conv.bias), weight=scale, bias=shift)

    torch.testing.assert_close(block(h, affine), h + styled(styled(h, 0).relu(), 1))


def test_the_mlp_is_its_three_layers() -> None:
    mlp, style = StyleMlp(3, 5, 7), torch.randn(2, 3, generator=draws(5))
    a, b, c = (layer for layer in mlp.layers if isinstance(layer, nn.Linear))
    hidden = (style @ a.weight.T + a.bias).clamp_min(0)
    hidden = (hidden @ b.weight.T + b.bias).clamp_min(0)
    torch.testing.assert_close(mlp(style), hidden @ c.weight.T + c.bias)


def test_every_block_has_numbers_of_its_own() -> None:
    """Each quarter of the MLP's last layer moves the image; that is 2 blocks of 2 norms."""
    decoder = StyledDecoder(ngf=2, n_blocks=2, style_dim=3, mlp_dim=4)
    content, style = torch.randn(1, 8, 4, 4, generator=draws(6)), torch.randn(1, 3, generator=draws(7))
    last = decoder.mlp.layers[-1]
    assert isinstance(last, nn.Linear)
    assert last.out_features == 2 * 2 * 2 * 8
    plain = decoder(content, style)
    for quarter in last.bias.data.chunk(4):
        quarter.add_(1)
        assert not torch.allclose(decoder(content, style), plain)
        quarter.sub_(1)


def test_one_style_serves_a_whole_batch() -> None:
    decoder = StyledDecoder(ngf=2, n_blocks=1)
    content, style = torch.randn(3, 8, 4, 4, generator=draws(8)), torch.randn(1, 8, generator=draws(9))
    torch.testing.assert_close(decoder(content, style), decoder(content, style.expand(3, 8)))


def test_a_style_is_one_vector_that_knows_contrast() -> None:
    """Without biases and norms the style of an image twice as strong is twice the style."""
    encoder = StyleEncoder(ngf=4)
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=draws(10))
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    image = torch.randn(1, 1, 64, 64, generator=draws(11))
    plain, stronger = encoder(torch.cat([image, 2 * image]))
    assert plain.shape == (8,)
    assert float(plain.detach().abs().min()) > 0
    torch.testing.assert_close(stronger, 2 * plain)
