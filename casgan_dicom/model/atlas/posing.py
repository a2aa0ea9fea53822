"""A tree of the library in the picture: laid on a heart, contracted, projected.

Pixels are those of the square picture of `GRID` rows and columns (cues.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart, axes_to
from casgan_dicom.model.simulator.motion import Motion, contraction

_MOTION = Motion(radial=0.135, twist_deg=9.0, long_axis_mm=12.0)
"""How the mean patient's heart moves."""


@dataclass(frozen=True)
class Pose:
    """Where a heart is in the picture of one run."""

    view: View
    """The C-arm, of GRID rows and columns."""
    heart: Heart
    """The ellipsoid at end-diastole."""

    @property
    def pixels_per_mm(self) -> float:
        """Pixels of GRID per patient mm in the isocentre."""
        return self.view.magnification / self.view.pixel_mm

    def project(self, unit: Array, contracted: float) -> Array:
        """Pixels (..., 2) of points on the unit heart, (..., 3), at a contraction of 0 to 1."""
        points = self.heart.to_patient(unit)
        return self.view.project(_MOTION.move(self.heart, points, phase_of(contracted)))[0]


def warped(pixels: Array, centre: Array, warp: Array) -> Array:
    """Correct pixels (..., 2) by the affine `warp` (3, 2) about `centre` (2,): q = p + [p - c, 1] @ warp."""
    return np.asarray(pixels + (pixels - centre) @ warp[:2] + warp[2])


def phase_of(contracted: float) -> float:
    """Phase of systole in which a heart has contracted by 0 to 1."""
    phases, contractions = _systole()
    return float(np.interp(contracted, contractions, phases))


@cache
def _systole() -> tuple[Array, Array]:
    phases = np.linspace(0.0, 1.0, 1001)
    contractions = contraction(phases)
    end = int(contractions.argmax()) + 1
    return phases[:end], contractions[:end]


def heart_of(apex: Array, semi_axes_mm: Array) -> Heart:
    """A heart whose long axis points along `apex` (3,), its left axis level, with semi-axes (3,) in mm."""
    a, b, c = (float(s) for s in semi_axes_mm)
    return Heart(axes_to(apex), (a, b, c))
