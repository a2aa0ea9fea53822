"""Display values to network values and back.

Display values are what a viewer would show, in [0, 1]. A network sees them through two percentiles of the
whole series, so that one brightness and contrast setting holds for all frames of a run:

    n = low + (v - levels.low) · (high - low) / (levels.high - levels.low), clipped to [-1, 1]
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.settings import NormalisationSettings

BINS = 65536
"""Bins of the histogram that percentiles are read from: one per 16-bit display value."""


@dataclass(frozen=True)
class Levels:
    """The two display values of a series that the normalisation fixes."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.high > self.low:
            raise ValueError(f"levels need high > low, got low {self.low} and high {self.high}")


def measure_levels(frames: Iterable[npt.NDArray[np.float32]], settings: NormalisationSettings) -> Levels:
    """Read the percentiles of a series in one pass, in constant memory.

    Parameters
    ----------
    frames
        Display values in [0, 1], any shapes.
    settings
        Which percentiles.

    Returns
    -------
    Levels
        A constant series gets levels one 8-bit step apart, so that it can be normalised at all.
    """
    histogram = np.zeros(BINS, dtype=np.int64)
    for frame in frames:
        stored = np.rint(np.clip(frame, 0.0, 1.0) * (BINS - 1)).astype(np.int64)
        histogram += np.bincount(stored.ravel(), minlength=BINS)
    if not histogram.any():
        raise ValueError("no frames to measure levels on")
    ranks = np.cumsum(histogram)
    low, high = (
        float(np.searchsorted(ranks, max(1.0, percentile / 100 * ranks[-1]))) / (BINS - 1)
        for percentile in (settings.low_percentile, settings.high_percentile)
    )
    return Levels(low, max(high, low + 1 / 255))


def to_network(
    display: npt.NDArray[np.float32], levels: Levels, settings: NormalisationSettings
) -> npt.NDArray[np.float32]:
    """Map display values to network values in [-1, 1], float32, same shape."""
    slope = (settings.high - settings.low) / (levels.high - levels.low)
    network: npt.NDArray[np.float32] = np.clip(settings.low + (display - levels.low) * slope, -1, 1)
    return network.astype(np.float32)


def to_display(
    network: npt.NDArray[np.float32], levels: Levels, settings: NormalisationSettings
) -> npt.NDArray[np.float32]:
    """Map network values back to display values, float32, not clipped."""
    slope = (levels.high - levels.low) / (settings.high - settings.low)
    return ((network - settings.low) * slope + levels.low).astype(np.float32)
