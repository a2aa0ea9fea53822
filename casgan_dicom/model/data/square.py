"""Frames of any shape as the squares that networks see, and maps of a square back in a frame's shape.

The longer side of a frame becomes the side of the square; the shorter is continued by its edge, so nothing is
stretched. Training and use go through the same functions. Pillow resamples: use needs no torch for it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Frames = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]


def to_square(frames: Frames, size: int) -> Frames:
    """Bring display values (T, H, W) to (T, size, size): bicubic, antialiased, clipped to [0, 1]."""
    if frames.shape[1:] == (size, size):
        return frames
    inner = _inner(frames.shape[1], frames.shape[2], size)
    squares = np.empty((len(frames), size, size), dtype=np.float32)
    for square, frame in zip(squares, frames, strict=True):
        _continue(_resampled(frame, inner, Image.Resampling.BICUBIC), square)
    return np.clip(squares, 0, 1, out=squares)


def masks_to_square(masks: Masks, size: int) -> Masks:
    """Bring masks (T, H, W) to (T, size, size) with their frames; nothing is marked in the continuation.

    Each pixel is that of the nearest place: no vessel grows or thins.
    """
    inner = _inner(masks.shape[1], masks.shape[2], size)
    rows, columns = (_nearest(of, to) for of, to in zip(masks.shape[1:], inner, strict=True))
    small = masks[:, rows[:, None], columns]
    return np.pad(small, ((0, 0), (0, size - inner[0]), (0, size - inner[1])))


def from_square(maps: Frames, shape: tuple[int, int]) -> Frames:
    """Undo `to_square` for maps (T, size, size): cut the continuation off, interpolate bilinearly."""
    inner = _inner(*shape, maps.shape[1])
    small = np.array(maps[:, : inner[0], : inner[1]], dtype=np.float32, order="C")
    if inner == shape:
        return small
    return np.stack([_resampled(each, shape, Image.Resampling.BILINEAR) for each in small])


def _resampled(image: Frames, shape: tuple[int, int], by: Image.Resampling) -> Frames:
    """`image` (H, W) in another shape; where it gets smaller, each pixel is a mean over those that it was."""
    if image.shape == shape:
        return image
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(shape[::-1], by))


def _continue(inner: Frames, square: Frames) -> None:
    """Fill `square` (S, S) with `inner` in its first rows and columns, and beyond these with its edge."""
    height, width = inner.shape
    square[:height, :width] = inner
    square[:height, width:] = inner[:, -1:]
    square[height:] = square[height - 1]


def _nearest(of: int, to: int) -> npt.NDArray[np.intp]:
    """Which of `of` places is nearest to each of `to` over the same length."""
    return np.minimum(((np.arange(to) + 0.5) * of / to).astype(np.intp), of - 1)


def _inner(height: int, width: int, size: int) -> tuple[int, int]:
    """Rows and columns of the square that the frame itself takes."""
    scale = size / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))
