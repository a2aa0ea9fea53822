"""A frame as its kind is judged: small, without the black around it, its grey values spread evenly.

What a display, an archive or a vendor's filter does to grey values leaves their order nearly as it is, so
only the order is kept. Black around the picture is filled: a field stop tells nothing of what is behind it.
"""

from __future__ import annotations

import numpy as np

from casgan_dicom.model.atlas.border import border_of
from casgan_dicom.model.data.square import to_square
from casgan_dicom.model.domain.sampling import Frame, reduced

SIDE = 64
"""Rows and columns of what is judged."""
BARE_SIDE = 2 * SIDE
"""Rows and columns of a frame without its border."""
LEAST_PICTURE = 0.02
"""Share of a frame that is no black border, below which the border is looked at, too."""
_STEPS = 65
"""Grey values that the order is kept of."""


def seen(frame: Frame) -> Frame:
    """Bring a frame (H, W), display values in [0, 1], to (SIDE, SIDE) values from -0.5 to 0.5."""
    return judged(bare(frame))


def whole(frame: Frame) -> Frame:
    """A frame (H, W) with all that is black in it, as (BARE_SIDE, BARE_SIDE) display values."""
    return np.asarray(to_square(reduced(frame)[None], BARE_SIDE)[0])


def judged(picture: Frame) -> Frame:
    """The same of a picture that `bare` gave."""
    return halved(spread(picture))


def bare(frame: Frame) -> Frame:
    """A frame (H, W) without black around it, as (BARE_SIDE, BARE_SIDE) display values."""
    small = reduced(frame)
    inside = ~border_of(small[None])
    if inside.mean() < LEAST_PICTURE:
        inside[:] = True
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    filled = np.where(inside[part], small[part], np.median(small[inside])).astype(np.float32)
    return np.asarray(to_square(filled[None], BARE_SIDE)[0])


def spread(picture: Frame) -> Frame:
    """`picture` with as many pixels of every grey value, from -0.5 to 0.5; equal values stay equal."""
    shares = np.linspace(0, 1, _STEPS)
    knots = np.maximum.accumulate(np.quantile(picture, shares)) + 1e-5 * np.arange(_STEPS)
    return np.asarray(np.interp(picture, knots, shares) - 0.5, dtype=np.float32)


def halved(picture: Frame) -> Frame:
    """Means of two by two pixels."""
    rows, columns = (n // 2 for n in picture.shape)
    return np.asarray(picture.reshape(rows, 2, columns, 2).mean(axis=(1, 3)), dtype=np.float32)
