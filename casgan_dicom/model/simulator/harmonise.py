"""Wedge filters and dynamic range compression: the patient's large range made to fit the picture.

Lung beside spine differs tenfold in intensity, yet many a coronary cine shows both within a factor of two,
and a vessel keeps its depth: operators put wedge filters over the lung, and the imaging chain compresses what
is large. Here the background's line integral is compressed towards its middle before the contrast is added,
as far as the run's window asks for and no further: where the display curve (detector.py) compresses all
contrast alike, or the window is wide, little is left to do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from casgan_dicom.model.simulator.detector import BLANK_ABOVE, Detector, shown_range

FloatImage = npt.NDArray[np.float32]

_BASE_MM = 3.0
_DETAIL = np.float32(0.12)
_ROUNDS = 9


@dataclass(frozen=True)
class Harmonisation:
    """How a run's background is compressed."""

    centre: float
    """Line integral that stays as it is."""
    gamma: float
    """Factor on what is larger than 3 mm, in (0, 1]; finer detail keeps the root of it."""
    base_px: float
    """Standard deviation in pixels of the filter that separates the two."""

    def apply(self, attenuation: FloatImage) -> FloatImage:
        """Compress a background's line integral, float32 (H, W); what lies behind the field stop stays."""
        if self.gamma == 1:
            return attenuation
        blank = attenuation > BLANK_ABOVE
        filled = np.where(blank, np.float32(self.centre), attenuation)
        base = gaussian_filter(filled, self.base_px, truncate=3.0)
        gamma, centre = np.float32(self.gamma), np.float32(self.centre)
        detail = np.clip(filled - base, -_DETAIL, _DETAIL)  # a blade's edge must not overshoot
        compressed = centre + gamma * (filled - detail - centre) + np.sqrt(gamma) * detail
        return np.where(blank, attenuation, compressed)


def fit_harmonisation(
    detector: Detector, attenuation: FloatImage, field: npt.NDArray[np.bool_], pixel_mm: float
) -> Harmonisation:
    """Find the mildest compression under which a frame's range fits the detector's window.

    Parameters
    ----------
    detector
        The imaging chain; its window says how far the 1st and 99th percentile may lie apart.
    attenuation
        Line integral of one plain frame, float32 (H, W).
    field
        Where X-rays pass, bool (H, W).
    pixel_mm
        Side of a pixel on the detector in mm.

    Returns
    -------
    Harmonisation
        One that changes nothing where the range fits as it is.
    """
    coarse, open_field = np.ascontiguousarray(attenuation[::2, ::2]), field[::2, ::2]
    centre = float(np.median(attenuation[field]))
    wanted = detector.window[0] / detector.window[1]

    def fits(gamma: float) -> bool:
        tried = Harmonisation(centre, gamma, 0.5 * _BASE_MM / pixel_mm).apply(coarse)
        dark, bright = shown_range(detector, tried, open_field, 2 * pixel_mm)
        return dark >= wanted * bright

    low, high = 0.02, 1.0
    if fits(high):
        return Harmonisation(centre, high, _BASE_MM / pixel_mm)
    for _ in range(_ROUNDS):
        gamma = 0.5 * (low + high)
        low, high = (gamma, high) if fits(gamma) else (low, gamma)
    return Harmonisation(centre, low, _BASE_MM / pixel_mm)
