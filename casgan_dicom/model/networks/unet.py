"""U-Net (Ronneberger et al. 2015) with batch norm: the vessel segmentor and the paired oracle."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class UNet(nn.Module):
    """Encoder and decoder of `depth` levels with skip connections, `base` channels at full size.

    Heights and widths are multiples of 2**depth. The result is a logit map; `soft_mask` gives the
    probability, which is never thresholded, so gradients flow through it.
    """

    def __init__(self, base: int = 64, depth: int = 4, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        widths = [base * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            _double_conv(a, b) for a, b in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.merge = nn.ModuleList(_double_conv(b, a) for a, b in pairwise(widths))
        self.head = nn.Conv2d(base, out_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, in, H, W) in [-1, 1] to logits (B, out, H, W)."""
        skips = self.encode(image)
        h = skips[-1]
        for level in reversed(range(len(self.up))):
            h = self.merge[level](torch.cat([skips[level], self.up[level](h)], dim=1))
        logits: Tensor = self.head(h)
        return logits

    def encode(self, image: Tensor) -> list[Tensor]:
        """What the encoder makes of (B, in, H, W): (B, base · 2^k, H / 2^k, W / 2^k) of every level k."""
        levels: list[Tensor] = []
        h = image
        for level, block in enumerate(self.down):
            h = block(h if level == 0 else nn.functional.max_pool2d(h, 2))
            levels.append(h)
        return levels

    def soft_mask(self, image: Tensor) -> Tensor:
        """Vessel probability in [0, 1], (B, out, H, W)."""
        return torch.sigmoid(self(image))


def _double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [
            nn.Conv2d(channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
