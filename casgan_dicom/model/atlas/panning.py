"""The table under the patient, seen in the picture: how far the anatomy has moved between sampled frames.

Small blocks of one frame are looked for in another (normalised cross-correlation), and what they find is
averaged: each block has one vote, so neither a dark catheter nor the heart outvotes ribs and spine. Blades
and the field stop stay where they are whatever the table does, so only blocks with structure count, and a
shift is believed only where it agrees clearly better than none. Each frame is compared with several later
ones; a beat that looks like a shift between two of them does not between others, and least absolute
deviations leave it out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.simulator.geometry import Array

SIDE = 64
"""Rows and columns of the frames that are compared."""
_REACH, _BLOCK, _STRIDE = 8, 16, 8
"""How far a block is looked for, its side, and the distance of blocks, pixels."""
_LAGS = (1, 2, 3, 4, 5)
"""Frames compared with each: so many later."""
_DARKEST = 0.03
_FINE_PX, _COARSE_PX = 0.5, 2.5
"""Structure between these sizes is compared: ribs and spine, not grain and not the lungs' shade."""
_LEAST_STRUCTURE = 4e-5
"""Variance of a block, of the logarithm squared, from which it counts."""
_LEAST_BLOCKS = 4
_LEAST_AGREEMENT, _CLEARLY = 0.25, 0.05
"""Mean correlation that a shift needs, and how much better it has to be than that of none."""
_ROUNDS = 20
_EXACT_PX = 0.1
"""Deviations below this count alike."""


def table_shifts(frames: npt.NDArray[np.float32]) -> Array:
    """How far the patient's picture has moved since the first of some frames of one run.

    Parameters
    ----------
    frames
        Display values in [0, 1], (T, 64, 64), in the order of time.

    Returns
    -------
    float64 (T, 2)
        Column and row in pixels; 0 where the table stands still or nothing tells.
    """
    count = len(frames)
    fine = [_structure(frame) for frame in frames]
    pairs = [(k, k + lag) for lag in _LAGS for k in range(count - lag)]
    found = {(i, j): shift for i, j in pairs if (shift := _shift(fine[i], fine[j])) is not None}
    if not found:
        return np.zeros((count, 2))
    design = np.zeros((len(found), count))
    for row, (i, j) in zip(design, found, strict=True):
        row[i], row[j] = -1.0, 1.0
    return _least_deviations(design, np.array(list(found.values())))


def _least_deviations(design: Array, shifts: Array) -> Array:
    """Places (T, 2), the first 0, whose differences `design` (P, T) come nearest to `shifts` (P, 2)."""
    weight: Array = np.ones(len(design))
    for _ in range(_ROUNDS):
        weighted = design * weight[:, None]
        normal = design.T @ weighted + 1e-6 * np.eye(design.shape[1])
        places = np.linalg.solve(normal, weighted.T @ shifts)
        weight = 1 / np.maximum(np.linalg.norm(shifts - design @ places, axis=1), _EXACT_PX)
    return np.asarray(places - places[0], dtype=np.float64)


def _structure(frame: npt.NDArray[np.float32]) -> Array:
    logs = np.log(np.clip(frame.astype(np.float64), _DARKEST, 1))
    return np.asarray(ndimage.gaussian_filter(logs, _FINE_PX) - ndimage.gaussian_filter(logs, _COARSE_PX))


def _shift(before: Array, after: Array) -> Array | None:
    """Shift (column, row) from one frame to another; None where there is too little structure to say."""
    first = np.arange(_REACH, SIDE - _REACH - _BLOCK + 1, _STRIDE)
    blocks = _cut(before, first, _BLOCK)
    blocks = blocks - blocks.mean(axis=(1, 2), keepdims=True)
    told = (blocks**2).mean(axis=(1, 2)) > _LEAST_STRUCTURE
    if told.sum() < _LEAST_BLOCKS:
        return None
    windows = _cut(after, first - _REACH, _BLOCK + 2 * _REACH)[told]
    agreement = np.clip(_correlation(blocks[told], windows), 0, 1).mean(axis=0)
    row, column = (int(k) for k in np.unravel_index(int(agreement.argmax()), agreement.shape))
    best, none = float(agreement.max()), float(agreement[_REACH, _REACH])
    at_edge = {row, column} & {0, 2 * _REACH}
    if at_edge or best < _LEAST_AGREEMENT or best - none < _CLEARLY:
        return np.zeros(2)
    aside = _vertex(agreement[row, column - 1 : column + 2]), _vertex(agreement[row - 1 : row + 2, column])
    return np.array([column + aside[0], row + aside[1]]) - _REACH


def _cut(image: Array, first: npt.NDArray[np.int64], side: int) -> Array:
    """Squares (B, side, side) that begin at these rows and columns."""
    return np.stack([image[row : row + side, column : column + side] for row in first for column in first])


def _correlation(blocks: Array, windows: Array) -> Array:
    """Correlation of blocks (B, b, b) without mean with windows (B, w, w), at every shift: (B, s, s)."""
    side, free = windows.shape[1:], windows.shape[1] - blocks.shape[1] + 1

    def slid(images: Array, over: Array) -> Array:
        spectrum = np.fft.rfft2(images) * np.conj(np.fft.rfft2(over, side))
        return np.asarray(np.fft.irfft2(spectrum, side)[:, :free, :free])

    ones, size = np.ones((1, *blocks.shape[1:])), blocks[0].size
    power = slid(windows**2, ones) - slid(windows, ones) ** 2 / size
    own = (blocks**2).sum(axis=(1, 2))[:, None, None]
    return np.asarray(slid(windows, blocks) / np.sqrt(np.maximum(power, 1e-9) * own))


def _vertex(three: Array) -> float:
    """Where the parabola through three values, the middle one the largest, has its top, from the middle."""
    bend = three[0] - 2 * three[1] + three[2]
    return float(0.5 * (three[0] - three[2]) / bend) if bend < 0 else 0.0
