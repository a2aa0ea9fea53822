"""The grain of a run, as it can be measured without knowing what was simulated.

Anatomy moves, grain does not: it is what is finer than 2 pixels, where the picture is calm. Frames are
(T, H, W), display values in levels of 8 bits (0 to 255); the field is bool (H, W).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.simulator.geometry import Array

Mask = npt.NDArray[np.bool_]
Levels = npt.NDArray[np.floating]

_FINE_PX = 2.0
_CALM_SHARE = 0.3
_TILE_PX = 32
_FINE_FREQUENCY = 0.3
_EDGE_PX = 8
"""What lies nearer to the field's edge is not measured: blades and stops are no grain."""


def noise_in_time(frames: Levels, field: Mask) -> tuple[float, float]:
    """Standard deviation of the grain in levels, and its correlation from one frame to the next.

    Parameters
    ----------
    frames
        Consecutive frames without contrast, at least 3.
    field
        Where X-rays pass.

    Returns
    -------
    sd, lag1
        NaN where there are fewer frames, no open field, or no grain at all.

    Notes
    -----
    With D_k the mean square difference of frames k apart, a process of variance s² and correlation r^k has
    D_k = 2 s² (1 - r^k), hence r = D_2 / D_1 - 1 and s² = D_1 / (2 (1 - r)): no mean over a few frames is
    subtracted, which would pull r down. Measured on the calmest 30 % of the field.
    """
    inner = _inner(field)
    if len(frames) < 3 or not inner.any():
        return float("nan"), float("nan")
    fine = frames - ndimage.gaussian_filter(frames, (0, _FINE_PX, _FINE_PX), mode="nearest")
    slope = ndimage.gaussian_gradient_magnitude(frames.mean(axis=0), _FINE_PX)
    calm = inner & (slope <= np.quantile(slope[inner], _CALM_SHARE))
    one, two = (float(np.square(fine[k:] - fine[:-k])[:, calm].mean()) for k in (1, 2))
    if one == 0:
        return float("nan"), float("nan")
    lag1 = min(two / one - 1, 0.99)
    return float(np.sqrt(one / (2 * (1 - lag1)))), lag1


def fine_power(frame: Levels, field: Mask) -> float:
    """Power above 0.3 cycles per pixel, in levels² per unit of (cycles/px)², median over tiles in the field.

    White noise of standard deviation s gives s²; NaN where no tile of 32 pixels is wholly in the field.
    """
    inner = _inner(field)
    window = np.outer(np.hanning(_TILE_PX), np.hanning(_TILE_PX))
    frequency = np.hypot(np.fft.fftfreq(_TILE_PX)[:, None], np.fft.fftfreq(_TILE_PX)[None])
    high = frequency > _FINE_FREQUENCY
    tiles, open_tiles = _tiles(np.asarray(frame, dtype=np.float64)), _tiles(inner).all(axis=(1, 2))
    if not open_tiles.any():
        return float("nan")
    chosen = tiles[open_tiles]
    chosen = (chosen - chosen.mean(axis=(1, 2), keepdims=True)) * window
    power = np.abs(np.fft.fft2(chosen)) ** 2 / np.square(window).sum()
    return float(np.median(power[:, high].mean(axis=1)))


def mean_changes(frames: Levels, field: Mask) -> Array:
    """Mean absolute change from each frame to the next within the field, in levels, float64 (T - 1,)."""
    return np.asarray(np.abs(np.diff(frames, axis=0))[:, field].mean(axis=1), dtype=np.float64)


def _inner(field: Mask) -> Mask:
    return np.asarray(ndimage.binary_erosion(field, iterations=_EDGE_PX))


def _tiles(picture: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Cut a picture into squares, (N, 32, 32); what is left at the lower and right edge is dropped."""
    rows, columns = (length // _TILE_PX for length in picture.shape)
    cut = picture[: rows * _TILE_PX, : columns * _TILE_PX]
    return cut.reshape(rows, _TILE_PX, columns, _TILE_PX).swapaxes(1, 2).reshape(-1, _TILE_PX, _TILE_PX)
