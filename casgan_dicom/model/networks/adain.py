"""Styles: AdaIN (Huang and Belongie, ICCV 2017) and the parts of MUNIT built on it.

A style is one short vector for a whole image. An MLP turns it into a mean and a scale for every channel of
every norm of the decoder's residual blocks; InstanceNorm has taken the content's own away before.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from casgan_dicom.model.networks.resnet import ReflectConv2d
from casgan_dicom.model.networks.vae import ReflectDown, UpsamplingHead


class AdaIN(nn.Module):
    """scale · InstanceNorm(h) + mean, both from the style."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels)

    def forward(self, h: Tensor, affine: Tensor) -> Tensor:
        """Restyle h (B, C, H, W); `affine` (B or 1, 2, C) holds the means, then the scales."""
        mean, scale = affine[:, 0, :, None, None], affine[:, 1, :, None, None]
        restyled: Tensor = self.norm(h) * scale + mean
        return restyled


class AdaInBlock(nn.Module):
    """A residual block of two reflect-padded 3×3 convolutions whose norms are AdaIN."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(ReflectConv2d(channels, channels, 3) for _ in range(2))
        self.norms = nn.ModuleList(AdaIN(channels) for _ in range(2))

    def forward(self, h: Tensor, affine: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape; `affine` is (B or 1, 2 norms, 2, C)."""
        inner = torch.relu(self.norms[0](self.convs[0](h), affine[:, 0]))
        y: Tensor = h + self.norms[1](self.convs[1](inner), affine[:, 1])
        return y


class StyleEncoder(nn.Module):
    """c7s1-64, c4s2-128, c4s2-256, c4s2-256, c4s2-256 (ReLU), mean over the map, c1 to the style.

    No norm: mean and scale of a feature are what a style is. (B, in_channels, H, W) → (B, style_dim).
    """

    def __init__(self, ngf: int = 64, style_dim: int = 8, in_channels: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = [ReflectConv2d(in_channels, ngf, 7), nn.ReLU(inplace=True)]
        widths = [ngf, 2 * ngf, 4 * ngf, 4 * ngf, 4 * ngf]
        for a, b in pairwise(widths):
            layers += [ReflectDown(a, b), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Conv2d(widths[-1], style_dim, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Read the style of `image`, values in [-1, 1]; sides of at least 16."""
        pooled = self.layers(image).mean((2, 3), keepdim=True)
        style: Tensor = self.head(pooled).flatten(1)
        return style


class StyleMlp(nn.Module):
    """Three linear layers with ReLU between: (B, style_dim) → (B, out)."""

    def __init__(self, style_dim: int, hidden: int, out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(style_dim, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, out),
        )

    def forward(self, style: Tensor) -> Tensor:
        """Turn styles into the numbers of all norms."""
        numbers: Tensor = self.layers(style)
        return numbers


class StyledDecoder(nn.Module):
    """Content (B, 4·ngf, H/4, W/4) and style (B or 1, style_dim) to an image (B, out, H, W) in [-1, 1]."""

    def __init__(
        self,
        ngf: int = 64,
        n_blocks: int = 4,
        *,
        style_dim: int = 8,
        mlp_dim: int = 256,
        out_channels: int = 1,
    ) -> None:
        super().__init__()
        channels = 4 * ngf
        self.affine_shape = (n_blocks, 2, 2, channels)  # blocks, norms of each, (mean, scale), channels
        self.mlp = StyleMlp(style_dim, mlp_dim, n_blocks * 2 * 2 * channels)
        self.blocks = nn.ModuleList(AdaInBlock(channels) for _ in range(n_blocks))
        self.head = UpsamplingHead(ngf, out_channels)

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Draw `content` in `style`; one style for all samples where its batch is 1."""
        affine = self.mlp(style).unflatten(1, self.affine_shape)
        h = content
        for index, block in enumerate(self.blocks):
            h = block(h, affine[:, index])
        image: Tensor = self.head(h)
        return image
