"""How far the vessels have moved, told by those parts of the background that are known to tell.

A whole picture locks on the lung and the diaphragm, which move otherwise than the heart. So it is learnt
which parts move with the vessels: on pairs of frames of the reference, where the vessels' own displacement v
is seen, it is regressed on the displacement d of each block of background, for each axis

    a = (Σ d·v + κ·prior) / (Σ d² + κ)        s² = residual variance

A block tells something where s² is less than the variance of v itself. In a target frame v is the weighted
median of a·d over these blocks; without any it is taken to be 0. Pixels here are those of the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from casgan_dicom.model.roadmap.background import Spectrum, correlation, peak
from casgan_dicom.model.roadmap.run import Array, FloatImage

SPACING = 14
"""Distance of the blocks' centres."""
REACH = 6
"""Largest displacement of a block."""
_SIGMA = 8.0
_HALF = 16
"""Half the side of a block without what it may move; its weight is Gaussian."""
_NEAR = 0.15
"""Weight of the region around the vessels from which there are blocks."""
_LEAST_OPEN = 0.45
"""Share of a block's weight that has to be background."""
_LEAST_CORRELATION = 0.4
_KAPPA, _PRIOR = 15.0, 0.5
"""Strength of the prior in squared pixels, and what a block tells before anything is learnt."""
OF_ALL, OF_NEAR, FEWEST = 0.75, 0.1, 4
"""How much of the way of all blocks, and of those near the vessels, is the heart's; fewest that tell."""
_LEAST_PAIRS = 8
_INFORMATIVE = 0.7
"""Share of the displacements' own variance below which a block's residual variance has to be."""
_FLOOR = 0.25
"""Variance of the measurement itself."""
_TO_VARIANCE = 2.2
"""From the median of squares to their mean, for residuals near a normal distribution."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One frame's background on the grid."""

    structure: FloatImage
    """float32 (h, w)."""
    weight: FloatImage
    """0 to 1, float32 (h, w)."""


@dataclass(frozen=True)
class BlockShift:
    """What the blocks say of one frame."""

    shift: tuple[float, float]
    """(down, right); (0, 0) where no block told."""
    spread: float | None
    """Weighted median distance of the blocks' words from that; None where none told."""
    blocks: int
    """How many told, on the axis where more did."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Where blocks lie, and what they tell."""

    centres: Array
    """(K, 2) row and column."""
    slope: Array
    """(K, 2) a."""
    weight: Array
    """(K, 2) what a block's word counts for; 0 for one that tells nothing."""

    @classmethod
    def learn(cls, centres: Array, displacements: Sequence[Array], vessels: Sequence[Array]) -> Blocks:
        """Learn from P pairs of frames.

        Parameters
        ----------
        centres
            (K, 2) of the blocks.
        displacements
            Of the background, P arrays (K, 2) from `block_displacements`, NaN where a block was not found.
        vessels
            Of the vessels, P arrays (2,).
        """
        slope, weight = np.zeros_like(centres), np.zeros_like(centres)
        if len(vessels) < _LEAST_PAIRS:
            return cls(centres, slope, weight)
        d, v = np.stack(displacements), np.stack(vessels)[:, None, :]
        known = np.isfinite(d)
        d, v = np.where(known, d, 0.0), np.where(known, v, 0.0)
        slope = ((d * v).sum(0) + _KAPPA * _PRIOR) / ((d**2).sum(0) + _KAPPA)
        left = np.where(known, (v - slope * d) ** 2, np.nan)
        enough = known.sum(0) >= _LEAST_PAIRS
        left = np.where(enough, left, 1e6)
        variance = _TO_VARIANCE * np.nanmedian(left, axis=0) + _FLOOR
        own = np.maximum((np.stack(vessels) ** 2).mean(0), _FLOOR)
        weight = np.maximum(1 / variance - 1 / (_INFORMATIVE * own), 0.0) * enough
        return cls(centres, slope, weight)

    @property
    def informative(self) -> int:
        """How many blocks tell something on either axis."""
        return int((self.weight > 0).any(axis=1).sum())

    def shift(self, displacement: Array) -> BlockShift:
        """What blocks displaced by (K, 2), NaN where not found, say of the vessels."""
        found, spread, counts = [0.0, 0.0], [0.0, 0.0], [0, 0]
        for axis in (0, 1):
            words = self.slope[:, axis] * displacement[:, axis]
            told = np.isfinite(words) & (self.weight[:, axis] > 0)
            counts[axis] = int(told.sum())
            if told.any():
                found[axis] = weighted_median(words[told], self.weight[told, axis])
                off = np.abs(words[told] - found[axis])
                spread[axis] = weighted_median(off, self.weight[told, axis])
        known = float(np.hypot(spread[0], spread[1])) if any(counts) else None
        return BlockShift((found[0], found[1]), known, max(counts))


def breath_way(down: Array, nearness: Array) -> float:
    """How far breath has moved the heart, by the background of the whole picture.

    Most blocks hold ribs or spine, which stay, before lung, diaphragm and heart, which go, and say something
    in between. Simulated hearts go twice as far as that; the one real heart that was measured hardly goes, so
    `OF_ALL` and `OF_NEAR` are lower.

    Parameters
    ----------
    down
        (K,) displacement of each block, down in the picture; NaN where it was not found.
    nearness
        (K,) weight of each by its nearness to the vessels.

    Returns
    -------
    float
        Down, in the unit of `down`; 0 where fewer than `FEWEST` blocks were found.
    """
    found = np.isfinite(down)
    if found.sum() < FEWEST:
        return 0.0
    known, weights = down[found], nearness[found]
    near = weighted_median(known, weights) if weights.sum() > 0 else 0.0
    return float(OF_ALL * np.median(known) + OF_NEAR * near)


def weighted_median(values: Array, weights: Array) -> float:
    """The value at which half of the weight is reached; values and weights (N,), N of 1 or more."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, 0.5 * reached[-1])])


def block_centres(around: FloatImage, spacing: int = SPACING) -> Array:
    """Where blocks are put: (K, 2) every `spacing` pixels, near the vessels by the weight `around` (h, w)."""
    rows, columns = around.shape
    places = [
        (row, column)
        for row in range(spacing // 2, rows, spacing)
        for column in range(spacing // 2, columns, spacing)
        if around[row, column] >= _NEAR
    ]
    return np.array(places, dtype=np.float64).reshape(-1, 2)


def block_displacements(fixed: Scene, moving: Scene, centres: Array) -> Array:
    """How far each block of one frame has moved in another.

    Parameters
    ----------
    fixed, moving
        The frame that is looked in, and the one whose blocks are looked for.
    centres
        (K, 2).

    Returns
    -------
    float64 (K, 2)
        (down, right) from the second frame to the first; NaN where a block was not found.
    """
    found = np.full((len(centres), 2), np.nan)
    window = _window()
    open_ = _patches(moving.weight, centres)
    used = np.flatnonzero((open_ * window).sum(axis=(1, 2)) >= _LEAST_OPEN * window.sum())
    if not len(used):
        return found
    sought = Spectrum.of(_patches(moving.structure, centres[used]), open_[used] * window, REACH)
    there = Spectrum.of(
        _patches(fixed.structure, centres[used]), _patches(fixed.weight, centres[used]), REACH
    )
    for block, picture in zip(used, correlation(there, sought), strict=True):
        shift, height = peak(picture)
        if height > _LEAST_CORRELATION and max(abs(shift[0]), abs(shift[1])) < REACH - 0.5:
            found[block] = shift
    return found


def _window() -> FloatImage:
    """Gaussian weight of a block, 0 in the rim that it may move through."""
    at = np.arange(-_HALF - REACH, _HALF + REACH + 1)
    line = np.where(np.abs(at) <= _HALF, np.exp(-0.5 * (at / _SIGMA) ** 2), 0.0)
    return np.asarray(np.outer(line, line), dtype=np.float32)


def _patches(picture: FloatImage, centres: Array) -> FloatImage:
    """Squares around the centres, (K, side, side); 0 beyond the picture's edge."""
    half = _HALF + REACH
    wide = np.pad(picture, half)
    squares = np.lib.stride_tricks.sliding_window_view(wide, (2 * half + 1, 2 * half + 1))
    rows, columns = np.rint(centres).astype(np.int64).T
    return np.asarray(squares[rows, columns], dtype=np.float32)
