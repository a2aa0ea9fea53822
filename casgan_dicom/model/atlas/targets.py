"""Pose as numbers of about one, as the network learns them, and back.

======================  ========================================================
part                    value
======================  ========================================================
landmarks, isocentre    (pixel of `GRID` - centre) / half the picture
scale                   5 · ln(200 mm / field)
semi_axes               5 · ln(semi-axis / mean), mm
apex                    3 · (direction - mean), patient LPS
angles                  degrees / 30
phase                   contraction 0 to 1, cosine and sine of the phase
======================  ========================================================
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.atlas.cues import GRID
from casgan_dicom.model.simulator.geometry import Array

HALF = GRID / 2
CENTRE = (GRID - 1) / 2
FIELD_MM = 200.0
MEAN_SEMI_AXES_MM = np.array([44.0, 47.0, 64.0])
MEAN_APEX = np.array([0.62, -0.52, -0.59])
MAGNIFICATION = 1100.0 / 750.0
"""Of the view that `field_mm` refers to: what counts is mm in the heart per pixel."""


def from_pixels(pixels: npt.ArrayLike) -> Array:
    """Pixels of `GRID` to half pictures from the centre."""
    return np.asarray((np.asarray(pixels, dtype=np.float64) - CENTRE) / HALF)


def to_pixels(places: npt.ArrayLike) -> Array:
    """Undo `from_pixels`."""
    return np.asarray(np.asarray(places, dtype=np.float64) * HALF + CENTRE)


def scale_of(field_mm: npt.ArrayLike) -> Array:
    """Side of the picture at the detector in mm, at a magnification of 1100/750, to the learned scale."""
    return np.asarray(5 * np.log(FIELD_MM / np.asarray(field_mm, dtype=np.float64)))


def field_of(scale: npt.ArrayLike) -> Array:
    """Undo `scale_of`."""
    return np.asarray(FIELD_MM * np.exp(-np.asarray(scale, dtype=np.float64) / 5))


def semi_axes_values(semi_axes_mm: npt.ArrayLike) -> Array:
    """Half lengths of the heart in mm to learned values, (..., 3)."""
    return np.asarray(5 * np.log(np.asarray(semi_axes_mm, dtype=np.float64) / MEAN_SEMI_AXES_MM))


def semi_axes_of(values: npt.ArrayLike) -> Array:
    """Undo `semi_axes_values`."""
    return np.asarray(MEAN_SEMI_AXES_MM * np.exp(np.asarray(values, dtype=np.float64) / 5))


def apex_values(apex: npt.ArrayLike) -> Array:
    """Direction of the long axis to learned values, (..., 3)."""
    return np.asarray(3 * (np.asarray(apex, dtype=np.float64) - MEAN_APEX))


def apex_of(values: npt.ArrayLike) -> Array:
    """Undo `apex_values`; not normalised."""
    return np.asarray(MEAN_APEX + np.asarray(values, dtype=np.float64) / 3)


def told(angles_deg: tuple[float, float] | None, contraction: float | None) -> npt.NDArray[np.float32]:
    """What the pose network is told of view and phase, (7,) float32; zeros where it is not known."""
    values = np.zeros(7, dtype=np.float32)
    if angles_deg is not None:
        primary, secondary = np.deg2rad(angles_deg)
        values[:4] = 1, 2 * np.sin(primary), 2 * np.cos(primary) - 1.6, 3 * np.sin(secondary)
    if contraction is not None:
        values[5:] = 1, 2 * contraction
    return values
