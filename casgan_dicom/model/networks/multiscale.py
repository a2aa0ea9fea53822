"""MsImageDis: three discriminators on three sizes of the image, as UNIT and MUNIT use them."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from casgan_dicom.model.networks.vae import ReflectDown

SMALLEST = 64
"""Rows and columns of the smallest image that all three scales can halve four times."""


class MsImageDis(nn.Module):
    """Three networks of one form, c4s2 64, 128, 256, 512 (LeakyReLU 0.2, no norm) and c1-1.

    The first sees the image, the others the image averaged over 3×3 at every second pixel, once and twice.
    """

    def __init__(self, ndf: int = 64, in_channels: int = 1, scales: int = 3) -> None:
        super().__init__()
        self.scales = nn.ModuleList(_one_scale(ndf, in_channels) for _ in range(scales))
        self.shrink = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Score (B, in_channels, H, W): a map (B, 1, h, w) per scale, unbounded, high for real.

        Raises ValueError for an image with a side under 64.
        """
        if min(image.shape[2:]) < SMALLEST:
            raise ValueError(
                f"an image of {tuple(image.shape[2:])} pixels, want sides of at least {SMALLEST}"
            )
        scores: list[Tensor] = []
        for index, net in enumerate(self.scales):
            image = image if index == 0 else self.shrink(image)
            scores.append(net(image))
        return scores


def _one_scale(ndf: int, in_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    widths = [in_channels, ndf, 2 * ndf, 4 * ndf, 8 * ndf]
    for a, b in pairwise(widths):
        layers += [ReflectDown(a, b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 1))
