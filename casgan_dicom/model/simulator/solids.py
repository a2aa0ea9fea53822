"""Where a cone beam enters and leaves simple solids: exact path lengths without sampling.

A ray is source + t · direction with t in mm. An interval is a pair of float32 (H, W) arrays, t on entry and
t on exit; it is empty where exit <= entry. Bodies are made from intervals by intersection and union.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.geometry import Array, View

FloatImage = npt.NDArray[np.float32]
Interval = tuple[FloatImage, FloatImage]


@dataclass(frozen=True)
class Rays:
    """The beam of one view."""

    source: Array
    """float64 (3,), patient mm."""
    directions: FloatImage
    """float32 (3, H, W), unit vectors."""

    @classmethod
    def of(cls, view: View) -> Rays:
        """One ray through the centre of each pixel of `view`."""
        return cls(
            view.source(), np.ascontiguousarray(np.moveaxis(view.pixel_rays(), -1, 0), dtype=np.float32)
        )

    def part(self, rows: slice, columns: slice) -> Rays:
        """The rays of some pixels."""
        return Rays(self.source, np.ascontiguousarray(self.directions[:, rows, columns]))

    def ellipsoid(self, centre: npt.ArrayLike, axes: Array, semi_axes_mm: npt.ArrayLike) -> Interval:
        """Interval in an ellipsoid; `axes` has unit rows, an infinite semi-axis makes a cylinder."""
        to_unit = np.asarray(axes) / np.asarray(semi_axes_mm, dtype=np.float64)[:, None]
        origin = (to_unit @ (self.source - np.asarray(centre))).astype(np.float32)
        d = np.tensordot(to_unit.astype(np.float32), self.directions, axes=1)  # (3, H, W)
        a = np.maximum(np.einsum("chw,chw->hw", d, d), np.float32(1e-12))
        b = np.tensordot(origin, d, axes=1)
        root = np.sqrt(np.maximum(b * b - a * (origin @ origin - np.float32(1.0)), np.float32(0.0)))
        return (-b - root) / a, (-b + root) / a

    def slab(self, centre: npt.ArrayLike, normal: npt.ArrayLike, half_thickness_mm: float) -> Interval:
        """Interval between two parallel planes."""
        n = np.asarray(normal, dtype=np.float64)
        n = n / np.linalg.norm(n)
        along = np.tensordot(n.astype(np.float32), self.directions, axes=1)
        along = np.where(np.abs(along) < 1e-6, np.float32(1e-6), along)
        offset = float(n @ (np.asarray(centre) - self.source))
        near, far = (offset - half_thickness_mm) / along, (offset + half_thickness_mm) / along
        return np.minimum(near, far), np.maximum(near, far)


def intersect(a: Interval, b: Interval) -> Interval:
    """The part of `a` that lies in `b`."""
    return np.maximum(a[0], b[0]), np.minimum(a[1], b[1])


def length(a: Interval) -> FloatImage:
    """Path length in mm, float32 (H, W)."""
    return np.asarray(np.maximum(a[1] - a[0], np.float32(0.0)))
