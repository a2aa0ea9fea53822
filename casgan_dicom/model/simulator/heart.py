"""The heart as an ellipsoid: where the arteries run, and what a background must agree with."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from casgan_dicom.model.simulator.geometry import Array


def axes_to(apex: Array) -> Array:
    """`Heart.axes` of a heart that points along `apex`, (3,) of any length; its second axis is level."""
    long = apex / np.linalg.norm(apex)
    left = np.cross(long, [0.0, 0.0, 1.0])
    left /= np.linalg.norm(left)
    return np.stack([np.cross(left, long), left, long])


def _default_axes() -> Array:
    return axes_to(np.array([0.62, -0.52, -0.59]))


@dataclass(frozen=True)
class Heart:
    """An ellipsoid with its centre in the isocentre (LPS mm, see geometry.py)."""

    axes: Array = field(default_factory=_default_axes)
    """float64 (3, 3), rows: unit vectors; two short axes and the long axis, which points to the apex."""
    semi_axes_mm: tuple[float, float, float] = (44.0, 47.0, 60.0)
    """Half lengths along `axes` in mm, at end-diastole."""

    def to_patient(self, unit: Array) -> Array:
        """Map points of the unit sphere, (..., 3), to the epicardium, (..., 3) patient mm."""
        return np.asarray(unit * np.asarray(self.semi_axes_mm) @ self.axes)
