"""The U-Net that draws: no statistics of a batch, any size."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from casgan_dicom.model.networks.instance_unet import InstanceUNet
from casgan_dicom.model.networks.unet import UNet


def test_it_is_the_unet_without_the_numbers_of_its_norms() -> None:
    with torch.device("meta"):
        ours, plain = InstanceUNet(16), UNet(16)
    norms = [m for m in plain.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 18
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in plain.parameters()) - sum(
        2 * norm.num_features for norm in norms
    )
    assert not list(ours.buffers())


def test_a_sample_does_not_depend_on_its_batch_nor_on_the_mode() -> None:
    net = InstanceUNet(4, depth=2)
    images = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    together = net.train()(images)
    for k in range(2):
        torch.testing.assert_close(net.eval()(images[k : k + 1]), together[k : k + 1])


@pytest.mark.parametrize("size", [(32, 48), (36, 44), (44, 52)])
def test_other_sizes_are_continued_by_their_edge(size: tuple[int, int]) -> None:
    image = torch.randn(1, 2, *size, generator=torch.Generator().manual_seed(2))
    net = InstanceUNet(4, in_channels=2)
    rows, columns = (-(-side // 16) * 16 for side in size)
    whole = F.pad(image, (0, columns - size[1], 0, rows - size[0]), mode="replicate")
    torch.testing.assert_close(net(image), net(whole)[:, :, : size[0], : size[1]])
