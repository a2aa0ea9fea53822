"""Frames as other machines show them, with vessels of any depth and with none, for a segmentor.

What was filmed without and with contrast differs in the vessels alone, so their depth can be chosen: thin
agent, an injection that begins, and none at all, where chests, catheters and wires are no vessels. Over that
lie more clutter than most patients have, and what a frame owes to display and archive: tone, softening or
sharpening, grain, JPEG. All of that is smaller than what hides vessels; domain/variation.py goes further.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.frames import FULL, FrameSet
from casgan_dicom.model.data.normalisation import measure_levels, to_network
from casgan_dicom.model.settings import NormalisationSettings
from casgan_dicom.model.simulator.clutter import still_clutter
from casgan_dicom.model.simulator.views import sample_view

DEPTHS = (0.4, 1.4)
"""Depth of the vessels, in parts of the simulated one; spread evenly over its logarithm."""
NARROWEST = 0.62
"""Least part of a frame's width that is shown, brought to full size."""
CLUTTERED = 0.4
"""Share of the frames with clutter beside their own."""
GRAIN = 0.06
"""Largest standard deviation of added grain, in parts of the range between the levels."""
STOPPED = 0.5
"""Share of the frames with blades or a round stop burned in, sharp or soft."""
_DARKEST = 0.004
_TRIES = 20

Floats = npt.NDArray[np.float64]
Shown = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class VariedVessels:
    """Draws such frames with their vessels."""

    frames: FrameSet
    """Frames without contrast, with twins and masks."""
    normalisation: NormalisationSettings
    """How they become network values; levels are those of each varied frame."""
    crop: int
    """Rows and columns of the window that is drawn of each varied frame."""
    empty: float
    """Share of frames without contrast, in [0, 1)."""

    def __post_init__(self) -> None:
        if self.frames.twins is None or self.frames.masks is None:
            raise ConfigError(
                "segmentor.runs needs frames with and without contrast of the same moment",
                hint="--data sim:1, or segmentor.runs=0",
            )

    def __call__(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """`size` crops in network values and their vessels, both float32 (size, 1, crop, crop)."""
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        drawn = [self._one(rng) for _ in range(size)]
        images, masks = (np.stack([pair[k] for pair in drawn])[:, None] for k in range(2))
        return torch.from_numpy(images), torch.from_numpy(masks)

    def _one(self, rng: np.random.Generator) -> tuple[Shown, Shown]:
        index = int(rng.integers(len(self.frames)))
        picture, mask = self._filled(rng, index)
        picture, mask = _part(rng, picture, mask)
        if rng.random() < 0.5:
            picture, mask = picture[:, ::-1], mask[:, ::-1]
        shown = _archived(rng, _displayed(rng, picture))
        levels = measure_levels([shown], self.normalisation)
        if rng.random() < STOPPED:
            shown, mask = _stopped(rng, shown, mask)
        top, left = (int(rng.integers(side - self.crop + 1)) for side in shown.shape)
        window = slice(top, top + self.crop), slice(left, left + self.crop)
        return to_network(shown[window], levels, self.normalisation), mask[window].astype(np.float32)

    def _filled(self, rng: np.random.Generator, index: int) -> tuple[Floats, Masks]:
        """A frame with vessels of some depth, or without, and with clutter."""
        assert self.frames.twins is not None
        assert self.frames.masks is not None
        plain, contrast = (
            np.log(np.maximum(stored[index] / FULL, _DARKEST))
            for stored in (self.frames.frames, self.frames.twins)
        )
        depth = 0.0 if rng.random() < self.empty else float(np.exp(rng.uniform(*np.log(DEPTHS))))
        logs = plain - depth * (plain - contrast)
        if rng.random() < CLUTTERED:
            logs = logs - rng.uniform(0.3, 1.0) * np.minimum(some_clutter(rng, len(logs)), 0.5)
        mask = self.frames.masks[index] if depth else np.zeros(logs.shape, np.bool_)
        return np.exp(logs), mask


def some_clutter(rng: np.random.Generator, size: int) -> Shown:
    """Electrodes, wires or tubing in front of a chest, a line integral, float32 (size, size)."""
    view = sample_view(rng, "LCA" if rng.random() < 0.6 else "RCA", size=size)
    clutter = np.zeros((size, size), np.float32)
    for _ in range(_TRIES):
        clutter = still_clutter(rng, view, rng.normal(0.0, 10.0), -110.0)
        if clutter.max() > 0.01:
            break
    return clutter


def in_eight_bits(picture: npt.NDArray[np.floating[Any]], quality: int | None = None) -> Shown:
    """Display values in [0, 1] as 8 bits keep them, and JPEG of this quality, if any; float32."""
    levels = (picture * 255).round().astype(np.uint8)
    if quality is not None:
        packed = io.BytesIO()
        Image.fromarray(levels).save(packed, "JPEG", quality=quality)
        levels = np.asarray(Image.open(packed))
    return levels.astype(np.float32) / np.float32(255)


def _part(rng: np.random.Generator, picture: Floats, mask: Masks) -> tuple[Floats, Masks]:
    """A part of a square frame and of its mask, brought to the size of the whole."""
    size = len(picture)
    wide = size if rng.random() < 0.25 else int(size * rng.uniform(NARROWEST, 1.0))
    if wide == size:
        return picture, mask
    top, left = (int(rng.integers(0, size - wide + 1)) for _ in range(2))
    window = slice(top, top + wide), slice(left, left + wide)
    zoomed = [
        ndimage.zoom(part, size / wide, order=1, grid_mode=True, mode="nearest")
        for part in (picture[window], mask[window].astype(np.float64))
    ]
    return zoomed[0], zoomed[1] > 0.5


def _displayed(rng: np.random.Generator, picture: Floats) -> Floats:
    """Another exponent, and softer or sharper; float64 in [0, 1], of which a part is used."""
    bent = picture ** float(np.exp(rng.normal(0, 0.3)))
    choice = rng.random()
    if choice < 0.3:
        bent = ndimage.gaussian_filter(bent, rng.uniform(0.3, 0.9))
    elif choice < 0.6:
        bent = bent + rng.uniform(0.2, 1.2) * (bent - ndimage.gaussian_filter(bent, rng.uniform(1, 6)))
    low, high = np.percentile(bent, (1, 99))
    width = rng.uniform(0.3, 1.0)
    begin = rng.uniform(0, 1 - width)
    return np.asarray(np.clip(begin + width * (bent - low) / max(high - low, 1e-3), 0, 1))


def _archived(rng: np.random.Generator, picture: Floats) -> Shown:
    """Grainy, in 8 bits, and half of the time by JPEG; float32 in [0, 1]."""
    if rng.random() < 0.5:
        low, high = np.percentile(picture, (10, 90))
        picture = picture + rng.uniform(0, GRAIN) * (high - low) * rng.normal(size=picture.shape)
    quality = int(rng.integers(60, 96)) if rng.random() < 0.5 else None
    return in_eight_bits(np.clip(picture, 0, 1), quality)


def _stopped(rng: np.random.Generator, shown: Shown, mask: Masks) -> tuple[Shown, Masks]:
    """A frame behind blades or a round stop, whose edge may be soft, and what is left of its mask."""
    column, row = np.meshgrid(*[(np.arange(len(shown)) + 0.5) / len(shown)] * 2)
    if rng.random() < 0.4:
        centre = rng.uniform(0.46, 0.54, 2)
        seen = np.hypot(column - centre[0], row - centre[1]) < rng.uniform(0.48, 0.68)
    else:
        left, top, right, bottom = rng.uniform(0, 0.14, 4)
        seen = (column > left) & (column < 1 - right) & (row > top) & (row < 1 - bottom)
        if rng.random() < 0.5:
            seen &= np.abs(column - 0.5) + np.abs(row - 0.5) < rng.uniform(0.62, 0.95)
    soft = rng.uniform(0.3, 3.0) if rng.random() < 0.6 else 0.0
    light = ndimage.gaussian_filter(seen.astype(np.float32), soft) if soft else seen.astype(np.float32)
    left_over = np.float32(rng.uniform(0, 0.1)) * (rng.random() < 0.5)
    return np.asarray(shown * (left_over + (1 - left_over) * light), np.float32), mask & seen
