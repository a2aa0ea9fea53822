"""Where no picture is: blades and field stop that are burned into the pixels, and shutters of the header.

A vessel that runs behind a blade is cut there. What is dark at the edge of every sampled frame is no picture;
the spine may be dark, too, but does not reach black, and the lungs are bright.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

BLACK = 0.05
"""Display value up to which a pixel at the edge is no picture: 12 of 255, black with a JPEG's noise."""

Mask = npt.NDArray[np.bool_]
Frames = npt.NDArray[np.float32]


def border_of(frames: Frames, visible: Mask | None = None) -> Mask:
    """Find what holds no picture in a run.

    Parameters
    ----------
    frames
        Display values in [0, 1], (T, H, W), spread over the run.
    visible
        (H, W), False under a shutter; None without any.

    Returns
    -------
    bool (H, W)
        True in regions that are black in all frames and reach the edge, and under a shutter.
    """
    dark = np.pad(frames.max(axis=0) <= BLACK, 1, constant_values=True)
    parts, _ = ndimage.label(dark)
    border = np.asarray((parts == parts[0, 0])[1:-1, 1:-1])
    return border if visible is None else border | ~visible


@dataclass(frozen=True, eq=False)
class Rim:
    """A border in frames of one size, and what is near it."""

    inner: Mask
    """(H, W): surely no picture."""
    near: Mask
    """(H, W): a pixel here belongs to the border if it is black."""

    @classmethod
    def of(cls, border: Mask, shape: tuple[int, int]) -> Rim:
        """That of a border from `border_of`, of any size, in frames of so many rows and columns."""
        return cls(_enlarged(_eroded(border), shape), _enlarged(ndimage.binary_dilation(border), shape))


def cut_at(rim: Rim, depth: Frames, frames: Frames) -> Frames:
    """Take away what was drawn where no picture is.

    Parameters
    ----------
    rim
        Of the run.
    depth
        Optical depths, (T, H, W).
    frames
        The frames that they are drawn in, (T, H, W).

    Returns
    -------
    float32 (T, H, W)
        `depth`, 0 outside the picture.
    """
    if not rim.near.any():
        return depth
    outside = rim.inner | (rim.near & (frames <= BLACK))
    return np.where(outside, np.float32(0), depth)


def _eroded(border: Mask) -> Mask:
    """The border less its rim towards the picture."""
    return np.asarray(ndimage.binary_erosion(border, border_value=1))


def _enlarged(mask: Mask, shape: tuple[int, ...]) -> Mask:
    rows, columns = (np.arange(side) * old // side for side, old in zip(shape, mask.shape, strict=True))
    return np.asarray(mask[rows[:, None], columns])
