"""Encoder and decoder of UNIT: golden sizes, shapes, and paddings against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from casgan_dicom.model.networks.vae import ReflectDown, UpsamplingHead, VaeDecoder, VaeEncoder


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("channels", "expected"), [(1, 11_127_937), (3, 11_140_483)])
def test_an_encoder_and_a_decoder_have_the_golden_number_of_parameters(channels: int, expected: int) -> None:
    with torch.device("meta"):
        encoder, decoder = VaeEncoder(in_channels=channels), VaeDecoder(out_channels=channels)
    assert parameters(encoder) + parameters(decoder) == expected


def test_the_encoder_alone_has_the_layers_written_out() -> None:
    with torch.device("meta"):
        encoder = VaeEncoder()
    stem = (49 + 1) * 64 + (64 * 16 + 1) * 128 + (128 * 16 + 1) * 256
    assert parameters(encoder) == stem + 4 * 2 * (256 * 9 + 1) * 256 == 5_379_584


def test_down_is_torchs_own_reflect_padded_convolution() -> None:
    down, torchs = ReflectDown(2, 3), nn.Conv2d(2, 3, 4, stride=2, padding=1, padding_mode="reflect")
    torchs.load_state_dict(down.conv.state_dict())
    image = torch.randn(2, 2, 10, 14, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(down(image), torchs(image))


def test_latents_are_a_quarter_and_images_are_whole_again() -> None:
    image = torch.rand(2, 1, 24, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1
    z = VaeEncoder(ngf=4, n_blocks=1)(image)
    drawn = VaeDecoder(ngf=4, n_blocks=1)(z)
    assert z.shape == (2, 16, 6, 8)
    assert drawn.shape == image.shape
    assert float(drawn.detach().abs().max()) <= 1


def test_a_sample_does_not_depend_on_its_batch() -> None:
    encoder, decoder = VaeEncoder(ngf=4, n_blocks=1), VaeDecoder(ngf=4, n_blocks=1)
    images = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    together = decoder(encoder(images))
    for k in range(3):
        torch.testing.assert_close(decoder(encoder(images[k : k + 1])), together[k : k + 1])


def test_upsampling_repeats_pixels_before_its_convolution() -> None:
    """With convolutions that only copy and norms that only scale, each latent pixel becomes a 4×4 square."""
    head = UpsamplingHead(ngf=1)
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
            with torch.no_grad():
                middle = module.kernel_size[0] // 2
                module.weight[0, 0, middle, middle] = 1
                if module.weight.shape[0] > 1:
                    module.weight[1, 1, middle, middle] = 1
    z = torch.randn(1, 4, 3, 5, generator=torch.Generator().manual_seed(4))
    drawn = head(z)
    squares = drawn[:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert torch.equal(drawn, squares)
    assert float(drawn.detach().std()) > 0
