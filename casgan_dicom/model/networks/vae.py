"""Encoder and decoder of UNIT (Liu et al., NeurIPS 2017) in the form of its second implementation.

c4s2-128 means a 4×4 convolution, stride 2, 128 filters. All paddings mirror the image; the encoder's norms
are InstanceNorms without parameters, those after upsampling are `MapLayerNorm`. The same encoder is MUNIT's
content encoder, and `UpsamplingHead` ends MUNIT's decoder too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from casgan_dicom.model.networks.layer_norm import MapLayerNorm
from casgan_dicom.model.networks.resnet import ReflectConv2d, residual_trunk


class ReflectDown(nn.Module):
    """c4s2: half the height and width, mirrored by one pixel at the border.

    The padding runs outside autocast, as in `ReflectConv2d`. Each side is at least 2.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 4, stride=2)

    def forward(self, h: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H/2, W/2), rounded down."""
        with torch.autocast(h.device.type, enabled=False):
            padded = nn.functional.pad(h, (1, 1, 1, 1), mode="reflect")
        y: Tensor = self.conv(padded)
        return y


class VaeEncoder(nn.Module):
    """c7s1-64, c4s2-128, c4s2-256 (InstanceNorm, ReLU), then residual blocks.

    Of UNIT the mean μ of a posterior N(μ, 1), of MUNIT the content: (B, in_channels, H, W) →
    (B, 4·ngf, H/4, W/4), unbounded.
    """

    def __init__(self, ngf: int = 64, n_blocks: int = 4, in_channels: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        convs = (
            ReflectConv2d(in_channels, ngf, 7),
            ReflectDown(ngf, 2 * ngf),
            ReflectDown(2 * ngf, 4 * ngf),
        )
        for conv, channels in zip(convs, (ngf, 2 * ngf, 4 * ngf), strict=True):
            layers += [conv, nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]
        self.stem = nn.Sequential(*layers)
        self.trunk = residual_trunk(4 * ngf, n_blocks)

    def forward(self, image: Tensor) -> Tensor:
        """Encode `image`, values in [-1, 1]; H and W are multiples of 4."""
        mu: Tensor = self.trunk(self.stem(image))
        return mu


class UpsamplingHead(nn.Module):
    """Twice: nearest neighbour ×2, c5s1, `MapLayerNorm`, ReLU; then c7s1 and tanh.

    (B, 4·ngf, H/4, W/4) → (B, out_channels, H, W) in [-1, 1].
    """

    def __init__(self, ngf: int = 64, out_channels: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (4 * ngf, 2 * ngf):
            layers += [
                nn.Upsample(scale_factor=2, mode="nearest"),
                ReflectConv2d(channels, channels // 2, 5),
                MapLayerNorm(channels // 2),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers, ReflectConv2d(ngf, out_channels, 7))

    def forward(self, h: Tensor) -> Tensor:
        """Draw the image."""
        return torch.tanh(self.layers(h))


class VaeDecoder(nn.Module):
    """Residual blocks, then `UpsamplingHead`: a latent (B, 4·ngf, H/4, W/4) to an image in [-1, 1]."""

    def __init__(self, ngf: int = 64, n_blocks: int = 4, out_channels: int = 1) -> None:
        super().__init__()
        self.trunk = residual_trunk(4 * ngf, n_blocks)
        self.head = UpsamplingHead(ngf, out_channels)

    def forward(self, z: Tensor) -> Tensor:
        """Decode `z`."""
        image: Tensor = self.head(self.trunk(z))
        return image
