"""ResNet-9 and PatchGAN without aliasing (Zhang, ICML 2019), as CUT and its descendants use them.

No convolution strides and none is transposed: a map is blurred where it is halved ([1, 2, 1] across rows and
columns) and interpolated where it is doubled ([1, 3, 3, 1], which is bilinear interpolation).

The generator's stages have names, and what a stage returns can be tapped:

=========  =====================================================================  ====================
tap        what it is                                                             shape at H × W
=========  =====================================================================  ====================
input      the image, continued by 3 mirrored pixels on every side                in, H + 6, W + 6
down1      second convolution's result, before norm and halving                   2·ngf, H, W
down2      third convolution's result, before norm and halving                    4·ngf, H/2, W/2
blockK     result of residual block K, K = 1 … n_blocks                           4·ngf, H/4, W/4
=========  =====================================================================  ====================
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from casgan_dicom.model.networks.resnet import ReflectConv2d, ResnetBlock

Features = dict[str, Tensor]
"""Name of a tap → features (B, C, h, w)."""


class ReflectPad(nn.Module):
    """Continue an image by mirrored pixels, outside autocast (see `ReflectConv2d`)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.padding = [width] * 4

    def forward(self, h: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H + 2·width, W + 2·width)."""
        with torch.autocast(h.device.type, enabled=False):
            return nn.functional.pad(h, self.padding, mode="reflect")


class BlurPool(nn.Module):
    """Blur with [1, 2, 1] / 4 across rows and columns and keep every second pixel, borders mirrored."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.pad = ReflectPad(1)
        taps = torch.tensor([0.25, 0.5, 0.25])
        # Not among the weights of a checkpoint: it is a constant.
        self.register_buffer("kernel", taps[:, None] * taps, persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, channels, ceil(H/2), ceil(W/2))."""
        kernel = self.kernel.to(h.dtype).expand(self.channels, 1, 3, 3)
        return nn.functional.conv2d(self.pad(h), kernel, stride=2, groups=self.channels)


class SmoothDouble(nn.Module):
    """Twice the height and width with [1, 3, 3, 1] / 4 across rows and columns, borders repeated."""

    def forward(self, h: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, 2·H, 2·W)."""
        return nn.functional.interpolate(h, scale_factor=2, mode="bilinear", align_corners=False)


def tap_widths(ngf: int, n_blocks: int, in_channels: int = 1) -> dict[str, int]:
    """Channels of every tap of an `AntialiasedGenerator`, in the order of its stages."""
    widths = {"input": in_channels, "down1": 2 * ngf, "down2": 4 * ngf}
    return widths | {f"block{k}": 4 * ngf for k in range(1, n_blocks + 1)}


class AntialiasedGenerator(nn.Module):
    """ResNet-9 with blurred halving and smooth doubling, whose features can be tapped.

    c7s1-64, c3-128 halved, c3-256 halved, `n_blocks` residual blocks, doubled c3-128, doubled c3-64, c7s1,
    tanh; InstanceNorm without parameters after every convolution but the last, all of them with a bias.
    """

    def __init__(self, ngf: int = 64, n_blocks: int = 9, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(encoder_stages(ngf, in_channels))
        for k in range(1, n_blocks + 1):
            self.stages[f"block{k}"] = ResnetBlock(4 * ngf)
        self.head = smooth_head(ngf, out_channels)

    def forward(
        self, image: Tensor, taps: Sequence[str] = (), *, draw: bool = True
    ) -> tuple[Tensor | None, Features]:
        """Draw, and return the features at `taps`.

        Parameters
        ----------
        image
            (B, in_channels, H, W) in [-1, 1], sides multiples of 4.
        taps
            Names of stages; see the module.
        draw
            False stops behind the last tap.

        Returns
        -------
        image
            (B, out_channels, H, W) in [-1, 1]; None without `draw`.
        features
            Of every tap.
        """
        h, kept = run_stages(self.stages, image, taps, draw=draw)
        return torch.tanh(self.head(h)) if draw else None, kept


class AntialiasedPatchGAN(nn.Module):
    """PatchGAN-70 with blurred halving: c4-64 (no norm), c4-128, c4-256, each halved, c4-512, c4-1."""

    def __init__(self, ndf: int = 64, in_channels: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, ndf, 4, padding=1),
            nn.LeakyReLU(0.2),
            BlurPool(ndf),
        ]
        channels = ndf
        for halved in (True, True, False):
            layers += [
                nn.Conv2d(channels, 2 * channels, 4, padding=1),
                nn.InstanceNorm2d(2 * channels),
                nn.LeakyReLU(0.2),
            ]
            channels *= 2
            if halved:
                layers.append(BlurPool(channels))
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, 1, 4, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        """Score patches: (B, in_channels, 256, 256) → (B, 1, 30, 30), unbounded, high for real."""
        score: Tensor = self.layers(image)
        return score


def encoder_stages(ngf: int, in_channels: int) -> dict[str, nn.Module]:
    """Return the stages before the residual blocks; "halve" is not among the taps."""
    return {
        "input": ReflectPad(3),
        "down1": nn.Sequential(
            nn.Conv2d(in_channels, ngf, 7), *_norm_relu(ngf), nn.Conv2d(ngf, 2 * ngf, 3, padding=1)
        ),
        "down2": nn.Sequential(
            *_norm_relu(2 * ngf), BlurPool(2 * ngf), nn.Conv2d(2 * ngf, 4 * ngf, 3, padding=1)
        ),
        "halve": nn.Sequential(*_norm_relu(4 * ngf), BlurPool(4 * ngf)),
    }


def run_stages(
    stages: nn.ModuleDict, image: Tensor, taps: Sequence[str], *, draw: bool, condition: Tensor | None = None
) -> tuple[Tensor, Features]:
    """Send `image` through `stages`, only as far as the last tap unless `draw`.

    Residual blocks get `condition` too if there is one. Returns the last features and those at `taps`.
    """
    kept: Features = {}
    h = image
    for name, stage in stages.items():
        conditioned = condition is not None and name.startswith("block")
        h = stage(h, condition) if conditioned else stage(h)
        if name in taps:
            kept[name] = h
        if not draw and len(kept) == len(taps):
            break
    return h, kept


def smooth_head(ngf: int, out_channels: int) -> nn.Sequential:
    """Features (B, 4·ngf, H/4, W/4) to unbounded values (B, out_channels, H, W)."""
    return nn.Sequential(
        *(SmoothDouble(), nn.Conv2d(4 * ngf, 2 * ngf, 3, padding=1), *_norm_relu(2 * ngf)),
        *(SmoothDouble(), nn.Conv2d(2 * ngf, ngf, 3, padding=1), *_norm_relu(ngf)),
        ReflectConv2d(ngf, out_channels, 7),
    )


def _norm_relu(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]
