"""The generator that CycleGAN, StegoGAN and others build on."""

from __future__ import annotations

import pytest
import torch

from casgan_dicom.model.networks.choices import Upsampling
from casgan_dicom.model.networks.resnet_generator import ResnetGenerator


def conv(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs


def resnet_9(channels: int) -> int:
    down = conv(channels, 64, 7) + conv(64, 128, 3) + conv(128, 256, 3)
    up = conv(256, 128, 3) + conv(128, 64, 3) + conv(64, channels, 7)
    return down + 9 * 2 * conv(256, 256, 3) + up


@pytest.mark.parametrize("upsampling", ["transpose", "resize"])
@pytest.mark.parametrize(("channels", "golden"), [(1, 11_365_633), (3, 11_378_179)])
def test_it_has_the_published_number_of_parameters(
    channels: int, golden: int, upsampling: Upsampling
) -> None:
    with torch.device("meta"):
        net = ResnetGenerator(in_channels=channels, out_channels=channels, upsampling=upsampling)
    assert sum(p.numel() for p in net.parameters()) == golden == resnet_9(channels)


@pytest.mark.parametrize("upsampling", ["transpose", "resize"])
def test_it_is_its_parts_in_a_row_and_stays_in_range(upsampling: Upsampling) -> None:
    torch.manual_seed(0)
    net = ResnetGenerator(4, 3, 2, 5, upsampling=upsampling)
    image = torch.rand(2, 2, 24, 40) * 2 - 1

    drawn = net(image)

    h = net.stem(image)
    assert h.shape == (2, 16, 6, 10)
    assert len(net.trunk) == 3
    for block in net.trunk:
        h = block(h)
        assert h.shape == (2, 16, 6, 10)
    assert drawn.shape == (2, 5, 24, 40)
    assert torch.equal(drawn, torch.tanh(net.head(h)))
    assert drawn.abs().max() <= 1
