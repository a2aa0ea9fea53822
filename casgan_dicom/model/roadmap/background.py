"""What two frames share beside their vessels: backgrounds compared by masked normalised cross-correlation.

Frames are brought to a small grid (longer side at most GRID), their logarithm is freed from shade and
grain, and vessels, shutters and what is far from the heart's vessels get little or no weight. The correlation
over all shifts comes from Fourier transforms (Padfield, IEEE T-IP 2012, with weights in place of masks).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from casgan_dicom.model.roadmap.run import FloatImage, Mask

GRID = 128
"""Longer side of the grid at most, pixels."""
REACH = 14
"""Largest shift that is looked for, pixels of the grid."""
_FINE_PX, _COARSE_PX = 0.7, 6.0
_CLIP = 4.0
"""Standard deviations beyond which a structure counts no more."""
_LEAST_WEIGHT = 0.02
"""Share of the lighter frame's weight that has to overlap for a correlation to mean anything."""


def grid_factor(shape: tuple[int, int]) -> int:
    """Pixels of a frame (H, W) along a side of one pixel of the grid."""
    return -(-max(shape) // GRID)


def to_grid(picture: FloatImage, factor: int) -> FloatImage:
    """Mean of squares of `factor` pixels, float32; the edge is repeated where a side is no multiple."""
    rows, columns = picture.shape
    wide = np.pad(picture, ((0, -rows % factor), (0, -columns % factor)), mode="edge")
    blocks = wide.reshape(wide.shape[0] // factor, factor, -1, factor)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def structure(value: FloatImage, weight: FloatImage) -> FloatImage:
    """A logarithm without shade and grain, both (h, w) of the grid; 0 where there is no weight."""
    seen = (weight > 0).astype(np.float32)
    fine, coarse = (_smooth(value, seen, sigma) for sigma in (_FINE_PX, _COARSE_PX))
    band = (fine - coarse) * seen
    spread = float(np.sqrt((seen * band**2).sum() / max(float(seen.sum()), 1.0)))
    return np.asarray(np.clip(band, -_CLIP * spread, _CLIP * spread), dtype=np.float32)


def _smooth(value: FloatImage, seen: FloatImage, sigma: float) -> FloatImage:
    weight = np.maximum(ndimage.gaussian_filter(seen, sigma), 1e-3)
    return np.asarray(ndimage.gaussian_filter(value * seen, sigma) / weight, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A structure and its weight, ready to be compared, one or a stack (..., h, w)."""

    shape: tuple[int, int]
    """Rows and columns before the transform."""
    reach: int
    """Largest shift, pixels."""
    weight: npt.NDArray[np.complex64]
    """Transform of w."""
    first: npt.NDArray[np.complex64]
    """Transform of w·x."""
    second: npt.NDArray[np.complex64]
    """Transform of w·x²."""

    @classmethod
    def of(cls, values: FloatImage, weight: FloatImage, reach: int = REACH) -> Spectrum:
        """Transform values and their weights, float32 (..., h, w)."""
        rows, columns = values.shape[-2:]
        size = [fft.next_fast_len(side + reach, real=True) for side in (rows, columns)]
        stack = np.stack([weight, weight * values, weight * values**2])
        done = fft.rfft2(stack, s=size, axes=(-2, -1)).astype(np.complex64)
        return cls((rows, columns), reach, done[0], done[1], done[2])


def correlation(fixed: Spectrum, moving: Spectrum) -> FloatImage:
    """Correlation of two structures for every shift of the second.

    Parameters
    ----------
    fixed, moving
        Of one shape and reach; one of them may be a stack.

    Returns
    -------
    float32 (..., 2·reach + 1, 2·reach + 1)
        -1 to 1; [reach + down, reach + right] is that of the second moved by (down, right); 0 where too
        little overlaps.
    """
    size = [fft.next_fast_len(side + fixed.reach, real=True) for side in fixed.shape]
    a, b = fixed, moving
    products = np.stack(
        [
            a.weight * b.weight.conj(),
            a.first * b.weight.conj(),
            a.weight * b.first.conj(),
            a.second * b.weight.conj(),
            a.weight * b.second.conj(),
            a.first * b.first.conj(),
        ]
    )
    around = np.arange(-fixed.reach, fixed.reach + 1)
    every = fft.irfft2(products, s=size, axes=(-2, -1))
    n, sa, sb, saa, sbb, sab = every[..., around[:, None], around[None, :]]
    least = _LEAST_WEIGHT * np.minimum(_total(a), _total(b))[..., None, None]
    n = np.maximum(n, 1e-6)
    energy = np.maximum(saa - sa**2 / n, 0) * np.maximum(sbb - sb**2 / n, 0)
    found = (sab - sa * sb / n) / np.sqrt(np.maximum(energy, 1e-12))
    return np.asarray(np.where(n > np.maximum(least, 1e-3), np.clip(found, -1, 1), 0), dtype=np.float32)


def _total(of: Spectrum) -> npt.NDArray[np.float32]:
    return np.asarray(of.weight[..., 0, 0].real)


def peak(found: FloatImage, within: int | None = None) -> tuple[tuple[float, float], float]:
    """Shift (down, right) of the highest correlation, to a fraction of a pixel, and its height.

    `found` is (2·reach + 1, 2·reach + 1); shifts of more than `within` pixels are not considered.
    """
    reach = found.shape[0] // 2
    near = slice(None) if within is None else slice(reach - within, reach + within + 1)
    inner = found[near, near]
    middle = inner.shape[0] // 2
    row, column = np.unravel_index(int(inner.argmax()), inner.shape)
    down = row - middle + _vertex(inner[:, column], int(row))
    right = column - middle + _vertex(inner[row], int(column))
    return (float(down), float(right)), float(inner[row, column])


def _vertex(line: FloatImage, at: int) -> float:
    """Where the parabola through a maximum and its neighbours has its vertex, at most half a pixel aside."""
    if not 0 < at < len(line) - 1:
        return 0.0
    before, here, after = (float(value) for value in line[at - 1 : at + 2])
    bend = before - 2 * here + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def grid_weight(visible: Mask, hidden: Mask | None, factor: int) -> FloatImage:
    """1 where a pixel of the grid is wholly visible and not hidden, else 0."""
    open_ = visible if hidden is None else visible & ~hidden
    return np.asarray(to_grid(open_.astype(np.float32), factor) > 0.6, dtype=np.float32)
