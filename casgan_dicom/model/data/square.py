"""Frames of any shape as the squares that networks see, and maps of a square back in a frame's shape.

The longer side of a frame becomes the side of the square; the shorter is continued by its edge, so nothing is
stretched. Training and use go through the same functions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

Frames = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]

AT_ONCE = 16
"""Frames that are resized together: a long run need not stand in memory twice."""


def to_square(frames: Frames, size: int) -> Frames:
    """Bring display values (T, H, W) to (T, size, size): bicubic, antialiased, clipped to [0, 1]."""
    if frames.shape[1:] == (size, size):
        return frames
    squares = np.empty((len(frames), size, size), dtype=np.float32)
    for start in range(0, len(frames), AT_ONCE):
        squares[start : start + AT_ONCE] = _squares(frames[start : start + AT_ONCE], size)
    return squares


def _squares(frames: Frames, size: int) -> Frames:
    height, width = frames.shape[1:]
    inner = _inner(height, width, size)
    big = torch.from_numpy(np.array(frames))[:, None]  # a copy: torch warns of arrays that are read-only
    if inner != (height, width):
        big = F.interpolate(big, size=inner, mode="bicubic", antialias=True, align_corners=False)
    padded = F.pad(big, (0, size - inner[1], 0, size - inner[0]), mode="replicate")
    return np.asarray(padded[:, 0].clamp(0, 1).numpy())


def masks_to_square(masks: Masks, size: int) -> Masks:
    """Bring masks (T, H, W) to (T, size, size) with their frames; nothing is marked in the continuation.

    Each pixel is that of the nearest place: no vessel grows or thins.
    """
    inner = _inner(masks.shape[1], masks.shape[2], size)
    big = torch.from_numpy(masks.astype(np.float32))[:, None]
    small = F.interpolate(big, size=inner, mode="nearest-exact")[:, 0].numpy() > 0
    return np.pad(small, ((0, 0), (0, size - inner[0]), (0, size - inner[1])))


def from_square(maps: Frames, shape: tuple[int, int]) -> Frames:
    """Undo `to_square` for maps (T, size, size): cut the continuation off, interpolate bilinearly."""
    inner = _inner(*shape, maps.shape[1])
    small = torch.from_numpy(np.ascontiguousarray(maps[:, : inner[0], : inner[1]]))[:, None]
    if inner == shape:
        return np.array(small[:, 0].numpy())
    return np.array(F.interpolate(small, size=shape, mode="bilinear", align_corners=False)[:, 0].numpy())


def _inner(height: int, width: int, size: int) -> tuple[int, int]:
    """Rows and columns of the square that the frame itself takes."""
    scale = size / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))
