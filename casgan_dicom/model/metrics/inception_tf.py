"""Inception-v3 (Szegedy et al. 2016) as TensorFlow's FID graph of 2015-12-05 computes it.

Where it differs from the usual PyTorch edition:

    - batch normalisation has ε = 10⁻³
    - average pooling divides by the pixels inside the image, not by 9 (blocks 5b-5d, 6b-6e, 7b)
    - block 7c pools by maximum, not by average
    - the classifier has 1008 outputs
    - images are resized as TensorFlow 1 did: bilinear, pixel 0 on pixel 0, no antialiasing

Layer names are those of the converted weights ("weights-inception-2015-12-05-6726825d.pth", 566 entries), so
that the file loads as it is. Nothing here downloads anything.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 299
"""Rows and columns of the image that the network was trained on."""
FEATURES = 2048
"""Features of the last pooling ("pool3"), the ones of FID."""


class Step(NamedTuple):
    """One convolution of a block."""

    name: str
    out: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padded: bool = True
    """Whether stride 1 keeps the size; stride 2 always goes without padding."""


class Conv(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, channels: int, step: Step) -> None:
        super().__init__()
        rows, columns = step.kernel
        padding = (rows // 2, columns // 2) if step.padded and step.stride == 1 else (0, 0)
        self.conv = nn.Conv2d(channels, step.out, step.kernel, step.stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(step.out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out, H', W')."""
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """A block: several paths over one input, their ends stacked as channels.

    `paths` are chains of steps; paths that begin with the same step share it. A path that begins with
    None begins with the block's pooling; one of None only is the pooling itself.
    """

    def __init__(self, channels: int, paths: list[tuple[Step | None, ...]], pooling: nn.Module) -> None:
        super().__init__()
        self.pooling = pooling
        self.paths = [tuple(step.name if step else "pooling" for step in path) for path in paths]
        for path in paths:
            ins = channels
            for step in filter(None, path):
                if not hasattr(self, step.name):
                    self.add_module(step.name, Conv(ins, step))
                ins = step.out

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, sum of the paths' channels, H', W')."""
        known: dict[tuple[str, ...], Tensor] = {(): x}
        for path in self.paths:
            for length, name in enumerate(path):
                start, reached = path[:length], path[: length + 1]
                if reached not in known:
                    known[reached] = self.get_submodule(name)(known[start])
        return torch.cat([known[path] for path in self.paths], dim=1)


class InceptionTF(nn.Module):
    """The whole network, 23,850,960 parameters; `features` stops before the classifier."""

    def __init__(self) -> None:
        super().__init__()
        three = (3, 3)
        self.Conv2d_1a_3x3 = Conv(3, Step("1a", 32, three, 2))
        self.Conv2d_2a_3x3 = Conv(32, Step("2a", 32, three, padded=False))
        self.Conv2d_2b_3x3 = Conv(32, Step("2b", 64, three))
        self.Conv2d_3b_1x1 = Conv(64, Step("3b", 80))
        self.Conv2d_4a_3x3 = Conv(80, Step("4a", 192, three, padded=False))
        self.Mixed_5b = _block_a(192, 32)
        self.Mixed_5c = _block_a(256, 64)
        self.Mixed_5d = _block_a(288, 64)
        self.Mixed_6a = _block_b(288)
        self.Mixed_6b = _block_c(128)
        self.Mixed_6c = _block_c(160)
        self.Mixed_6d = _block_c(160)
        self.Mixed_6e = _block_c(192)
        self.Mixed_7a = _block_d(768)
        self.Mixed_7b = _block_e(1280, _average())
        self.Mixed_7c = _block_e(2048, nn.MaxPool2d(3, stride=1, padding=1))
        self.fc = nn.Linear(FEATURES, 1008)

    def features(self, image: Tensor) -> Tensor:
        """Features of FID: (B, 3, 299, 299) in [-1, 1) → (B, 2048)."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(image)))  # (B, 64, 147, 147)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))  # (B, 192, 71, 71)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, stride=2))))  # (B, 288, 35, 35)
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))  # (B, 768, 17, 17)
        x = self.Mixed_6e(self.Mixed_6d(x))
        last: Tensor = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))  # (B, 2048, 8, 8)
        return last.mean(dim=(2, 3))

    def forward(self, image: Tensor) -> Tensor:
        """Scores of the 1008 outputs: (B, 3, 299, 299) → (B, 1008)."""
        scores: Tensor = self.fc(self.features(image))
        return scores


def prepare(frames: Tensor) -> Tensor:
    """Grey display values as the network wants them: (B, 1, H, W) in [0, 1] → (B, 3, 299, 299).

    Values are first rounded to 8 bits, as they are in the image files that FID is defined on.
    """
    grey = (frames * 255).round()
    return ((resize_tf1(grey, SIDE, SIDE) - 128) / 128).expand(-1, 3, -1, -1)


def resize_tf1(images: Tensor, rows: int, columns: int) -> Tensor:
    """Resize as `tf.image.resize_bilinear` of TensorFlow 1 did: (B, C, H, W) → (B, C, rows, columns).

    Output row i lies at input row i · H / rows: origins coincide, not centres. No antialiasing; behind the
    last input row it is repeated. Columns likewise.
    """
    for axis, size in ((3, columns), (2, rows)):
        side = images.shape[axis]
        place = torch.arange(size, dtype=images.dtype, device=images.device) * (side / size)
        low = place.long()  # place >= 0, so this is its floor
        share = (place - low).view(-1, *[1] * (3 - axis))
        lower = images.index_select(axis, low)
        upper = images.index_select(axis, (low + 1).clamp(max=side - 1))
        images = lower + (upper - lower) * share
    return images


def _average() -> nn.Module:
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)


def _block_a(channels: int, pooled: int) -> Mixed:
    """35×35: 1×1, 5×5, twice 3×3, pooling; 224 + pooled channels."""
    paths: list[tuple[Step | None, ...]] = [
        (Step("branch1x1", 64),),
        (Step("branch5x5_1", 48), Step("branch5x5_2", 64, (5, 5))),
        (
            Step("branch3x3dbl_1", 64),
            Step("branch3x3dbl_2", 96, (3, 3)),
            Step("branch3x3dbl_3", 96, (3, 3)),
        ),
        (None, Step("branch_pool", pooled)),
    ]
    return Mixed(channels, paths, _average())


def _block_b(channels: int) -> Mixed:
    """35×35 → 17×17, 768 channels."""
    paths: list[tuple[Step | None, ...]] = [
        (Step("branch3x3", 384, (3, 3), 2),),
        (
            Step("branch3x3dbl_1", 64),
            Step("branch3x3dbl_2", 96, (3, 3)),
            Step("branch3x3dbl_3", 96, (3, 3), 2),
        ),
        (None,),
    ]
    return Mixed(channels, paths, nn.MaxPool2d(3, stride=2))


def _block_c(inner: int) -> Mixed:
    """17×17, 768 channels: 7×7 as 1×7 and 7×1, with `inner` channels between."""
    flat, tall = (1, 7), (7, 1)
    paths: list[tuple[Step | None, ...]] = [
        (Step("branch1x1", 192),),
        (
            Step("branch7x7_1", inner),
            Step("branch7x7_2", inner, flat),
            Step("branch7x7_3", 192, tall),
        ),
        (
            Step("branch7x7dbl_1", inner),
            Step("branch7x7dbl_2", inner, tall),
            Step("branch7x7dbl_3", inner, flat),
            Step("branch7x7dbl_4", inner, tall),
            Step("branch7x7dbl_5", 192, flat),
        ),
        (None, Step("branch_pool", 192)),
    ]
    return Mixed(768, paths, _average())


def _block_d(channels: int) -> Mixed:
    """17×17 → 8×8, 1280 channels."""
    paths: list[tuple[Step | None, ...]] = [
        (Step("branch3x3_1", 192), Step("branch3x3_2", 320, (3, 3), 2)),
        (
            Step("branch7x7x3_1", 192),
            Step("branch7x7x3_2", 192, (1, 7)),
            Step("branch7x7x3_3", 192, (7, 1)),
            Step("branch7x7x3_4", 192, (3, 3), 2),
        ),
        (None,),
    ]
    return Mixed(channels, paths, nn.MaxPool2d(3, stride=2))


def _block_e(channels: int, pooling: nn.Module) -> Mixed:
    """8×8, 2048 channels: 3×3 split into a flat and a tall half, side by side."""
    flat, tall = (1, 3), (3, 1)
    single = Step("branch3x3_1", 384)
    double = (Step("branch3x3dbl_1", 448), Step("branch3x3dbl_2", 384, (3, 3)))
    paths: list[tuple[Step | None, ...]] = [
        (Step("branch1x1", 320),),
        (single, Step("branch3x3_2a", 384, flat)),
        (single, Step("branch3x3_2b", 384, tall)),
        (*double, Step("branch3x3dbl_3a", 384, flat)),
        (*double, Step("branch3x3dbl_3b", 384, tall)),
        (None, Step("branch_pool", 192)),
    ]
    return Mixed(channels, paths, pooling)
