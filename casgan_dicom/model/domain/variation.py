"""Frames as other machines, displays and archives would show them, so that no look counts as foreign.

What is varied is what a picture owes to its making and not to what it shows: how much of it is in the frame,
the display's curve, blur and sharpening, grain, a JPEG's blocks, bits, and a field stop burned in.
"""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from casgan_dicom.model.domain.canvas import Canvas, Picture

_BLOCK = 8


def varied(rng: np.random.Generator, frame: Picture, size: int) -> Picture:
    """One way that a frame, display values in [0, 1], might look elsewhere; square, of so many pixels."""
    picture = _cut(rng, frame, size)
    picture = _toned(rng, picture)
    picture = _filtered(rng, picture)
    if rng.random() < 0.5:
        picture = picture + rng.uniform(0, 0.04) * rng.normal(size=picture.shape)
    if rng.random() < 0.4:
        picture = _compressed(picture, float(np.exp(rng.uniform(np.log(0.01), np.log(0.12)))))
    if rng.random() < 0.3:
        levels = 2 ** int(rng.integers(5, 8))
        picture = np.rint(picture * levels) / levels
    picture = np.clip(picture, 0, 1)
    return _stopped(rng, picture) if rng.random() < 0.4 else picture


def _cut(rng: np.random.Generator, frame: Picture, size: int) -> Picture:
    """A part of a frame, at least two thirds as wide, brought to a size."""
    side = frame.shape[0]
    wide = side if rng.random() < 0.25 else int(side * rng.uniform(0.66, 1.0))
    top, left = rng.integers(0, side - wide + 1, 2)
    part = frame[top : top + wide, left : left + wide]
    if size * 2 <= wide:
        part = ndimage.uniform_filter(part, wide // size)
    return np.asarray(ndimage.zoom(part, size / wide, order=1, grid_mode=True, mode="nearest"))


def _toned(rng: np.random.Generator, picture: Picture) -> Picture:
    """Another exponent, and less or more of the display's range; log contrast shrinks as a whole."""
    power = float(np.exp(rng.normal(0, 0.35)))
    if rng.random() < 0.5:
        power *= float(np.exp(rng.uniform(np.log(0.22), 0)))
    bent = np.maximum(picture, 0) ** power
    low, high = np.percentile(bent, (1, 99))
    if high - low < 0.02:
        return bent
    width = float(rng.uniform(0.15, 1.1))
    begin = float(rng.uniform(-0.05, max(0.0, 1 - width)))
    return np.asarray(np.clip(begin + width * (bent - low) / (high - low), 0, 1))


def _filtered(rng: np.random.Generator, picture: Picture) -> Picture:
    """Softer, or its edges raised as vendors do."""
    if rng.random() < 0.4:
        return np.asarray(ndimage.gaussian_filter(picture, rng.uniform(0.3, 1.3)))
    if rng.random() < 0.5:
        soft = ndimage.gaussian_filter(picture, rng.uniform(1, 8))
        return np.asarray(picture + rng.uniform(0.2, 1.5) * (picture - soft))
    return picture


def _compressed(picture: Picture, step: float) -> Picture:
    """Coarse cosine coefficients of 8 × 8 blocks, coarser for higher frequencies, as JPEG has them."""
    rows, columns = (n // _BLOCK for n in picture.shape)
    inner = picture[: rows * _BLOCK, : columns * _BLOCK]
    blocks = inner.reshape(rows, _BLOCK, columns, _BLOCK)
    order = np.add.outer(np.arange(_BLOCK), np.arange(_BLOCK)).reshape(1, _BLOCK, 1, _BLOCK)
    steps = step * (1 + order)
    coefficients = np.rint(fft.dctn(blocks, axes=(1, 3), norm="ortho") / steps) * steps
    out = picture.copy()
    out[: inner.shape[0], : inner.shape[1]] = fft.idctn(coefficients, axes=(1, 3), norm="ortho").reshape(
        inner.shape
    )
    return out


def _stopped(rng: np.random.Generator, picture: Picture) -> Picture:
    """Blades or a round field around the picture, black."""
    canvas = Canvas(len(picture))
    column, row = canvas.places
    kind = rng.integers(3)
    if kind == 0:
        inside = np.hypot(column - 0.5, row - 0.5) < rng.uniform(0.48, 0.68)
    else:
        left, top, right, bottom = rng.uniform(0, 0.14, 4)
        inside = (column > left) & (column < 1 - right) & (row > top) & (row < 1 - bottom)
        if kind == 1:
            inside &= np.abs(column - 0.5) + np.abs(row - 0.5) < rng.uniform(0.62, 0.95)
    return np.where(inside, picture, 0.0)
