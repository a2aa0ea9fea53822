"""EfficientNet-Lite0 (Tan & Le 2019; the "lite" edition has ReLU6 and no squeeze-and-excitation).

4.65 million parameters, 1280 pooled features of a 224×224 image. Layer names are those of the published
weights, so that these load as they are; TensorFlow trained them, hence the "same" padding of a stride 2
(all of it on the right and at the bottom) and ε = 10⁻³ in batch normalisation.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 224
"""Rows and columns of the image that the network was trained on."""
FEATURES = 1280
"""Pooled features of an image."""
MEAN, SCALE = 127.0, 128.0
"""Input is (value - MEAN) / SCALE of 8-bit values, all three channels alike."""

_STAGES = (  # repeats, kernel, stride of the first, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SameConv(nn.Conv2d):
    """A convolution without bias whose output has ⌈side / stride⌉ rows, padded as TensorFlow pads."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) → (B, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        padding: list[int] = []
        for side in (input.shape[3], input.shape[2]):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            padding += [total // 2, total - total // 2]
        return super().forward(F.pad(input, padding))


class Block(nn.Module):
    """Inverted residual: 1×1 to more channels, depthwise k×k, 1×1 to `out`, added to the input if it fits."""

    def __init__(self, channels: int, out: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv(channels, inner, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(inner, eps=1e-3)
        self._depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = nn.BatchNorm2d(inner, eps=1e-3)
        self._project_conv = SameConv(inner, out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(out, eps=1e-3)
        self.adds = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        inner = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        inner = F.relu6(self._bn1(self._depthwise_conv(inner)))
        out: Tensor = self._bn2(self._project_conv(inner))
        return out + x if self.adds else out


class EffLite0(nn.Module):
    """The whole network; `features` stops before the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        self._blocks = nn.ModuleList(_blocks(32))
        self._conv_head = SameConv(_STAGES[-1][-1], FEATURES, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(FEATURES, eps=1e-3)
        self._fc = nn.Linear(FEATURES, 1000)

    def features(self, image: Tensor) -> Tensor:
        """Pooled features: (B, 3, 224, 224) in about [-1, 1] → (B, 1280)."""
        x = F.relu6(self._bn0(self._conv_stem(image)))  # (B, 32, 112, 112)
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x)))  # (B, 1280, 7, 7)
        return x.mean(dim=(2, 3))

    def forward(self, image: Tensor) -> Tensor:
        """Scores of the 1000 ImageNet classes: (B, 3, 224, 224) → (B, 1000)."""
        scores: Tensor = self._fc(self.features(image))
        return scores


def prepare(frames: Tensor) -> Tensor:
    """Grey display values as the network wants them: (B, 1, H, W) in [0, 1] → (B, 3, 224, 224).

    Bicubic with antialiasing, so that a frame of 512 px keeps no false pattern of thin vessels.
    """
    size = (SIDE, SIDE)
    sized = F.interpolate(frames, size, mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)
    return ((sized * 255 - MEAN) / SCALE).expand(-1, 3, -1, -1)


def _blocks(channels: int) -> list[Block]:
    blocks: list[Block] = []
    for repeats, kernel, first, expansion, out in _STAGES:
        stride = first
        for _ in range(repeats):
            blocks.append(Block(channels, out, kernel=kernel, stride=stride, expansion=expansion))
            channels, stride = out, 1
    return blocks
