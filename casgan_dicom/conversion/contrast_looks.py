"""What is kept of a frame that is looked at for contrast: a few numbers and two small pictures.

Memory stays small: a look is at most `SIDE` pixels wide, one byte for how dark a pixel is and one for whether
the segmentor marks it. Lengths are shares of the picture's diagonal and areas of what is visible, so that a
frame of 512 pixels and the same one in 1024 give the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

MARKED = 0.5
"""Probability from which a pixel counts as vessel."""
SIDE = 128
"""Longest side of a look, pixels, at most."""
LINE_SIDE = 256
"""Longest side of the picture in which connected lines are measured, pixels, at most."""
THIN = 9
"""Side of the square, in pixels of a look, that no vessel fills: what is darker than that is a line."""
DARK_LEVELS = 400.0
"""Levels of `Look.dark` per unit of -ln: 0.0025 a level, and nothing a display shows is above 0.64."""
_DARKEST = 0.02
_TOUCHING = np.ones((3, 3), np.bool_)

Float = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Scalar = TypeVar("Scalar", np.float32, np.bool_)


@dataclass(frozen=True)
class Look:
    """One frame."""

    cover: float
    """Share of the visible pixels that are marked; 0 where nothing is visible."""
    length: float
    """Length of the largest connected line, all its branches together, in diagonals of the picture."""
    marks: Mask
    """Where anything is marked, bool (h, w)."""
    dark: npt.NDArray[np.uint8]
    """How much darker a line is than what is around it: -ln, `DARK_LEVELS` a unit, uint8 (h, w)."""
    visible: int
    """Pixels of `marks` that are visible; 0 for a frame without a picture."""


def look_at(frame: Float, vessels: Float, visible: Mask) -> Look:
    """Measure one frame.

    Parameters
    ----------
    frame
        Display values in [0, 1], float32 (H, W), vessels dark.
    vessels
        Probability of vessel in [0, 1], float32 (H, W).
    visible
        Where there is a picture, bool (H, W).
    """
    marked = (vessels >= MARKED) & visible
    small = _squares(visible, SIDE, np.logical_and)
    logs = -np.log(np.maximum(_means(frame, SIDE), np.float32(_DARKEST)))
    lines = np.where(small, logs - ndimage.grey_opening(logs, size=(THIN, THIN)), np.float32(0))
    return Look(
        cover=int(np.count_nonzero(marked)) / max(1, int(np.count_nonzero(visible))),
        length=_length(_means(marked.astype(np.float32), LINE_SIDE) >= MARKED),
        marks=_squares(marked, SIDE, np.logical_or),
        dark=np.clip(lines * np.float32(DARK_LEVELS), 0, 255).astype(np.uint8),
        visible=int(np.count_nonzero(small)),
    )


def _length(marks: Mask) -> float:
    """Length of the largest connected part, in diagonals.

    A line of any width has about twice as many pixels on its border, ends left out, as it is long; a part is
    no shorter than the box around it.
    """
    labels, count = ndimage.label(marks, _TOUCHING)
    if not count:
        return 0.0
    sizes = np.bincount(labels.ravel())[1:]
    largest = int(sizes.argmax())
    box = ndimage.find_objects(labels, max_label=largest + 1)[largest]
    part = np.pad(labels[box] == largest + 1, 1)
    inner = part[1:-1, 1:-1] & part[:-2, 1:-1] & part[2:, 1:-1] & part[1:-1, :-2] & part[1:-1, 2:]
    border = int(sizes[largest]) - int(np.count_nonzero(inner))
    return max(border / 2, float(np.hypot(*inner.shape))) / float(np.hypot(*marks.shape))


def _means(picture: Float, side: int) -> Float:
    """Means over squares, so that no side of (H, W) is longer than `side`."""
    return _squares(picture, side, np.add) / np.float32(_step(picture, side) ** 2)


def _squares(picture: npt.NDArray[Scalar], side: int, reduce: np.ufunc) -> npt.NDArray[Scalar]:
    """What `reduce` makes of each square of a picture (H, W), continued by its edge to full squares.

    Rows first: that is several times faster than both at once.
    """
    step, (rows, columns) = _step(picture, side), picture.shape
    if step == 1:
        return picture
    full = np.pad(picture, ((0, -rows % step), (0, -columns % step)), mode="edge")
    flat = reduce.reduce(full.reshape(-1, step, full.shape[1]), axis=1)
    return np.asarray(reduce.reduce(flat.reshape(len(flat), -1, step), axis=2))


def _step(picture: npt.NDArray[Scalar], side: int) -> int:
    """Side of a square, so that no side of a picture is longer than `side`."""
    return -(-int(max(picture.shape)) // side)
