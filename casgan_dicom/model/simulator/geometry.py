"""The C-arm: from millimetres in the patient to pixels on the detector.

Patient coordinates are LPS in millimetres, the origin in the isocentre, which is the heart's centre:
x grows to the patient's left, y to the back, z to the head. Pixel coordinates are (column, row) with
row 0 at the top (head); a pixel's centre has integer coordinates.

The angles are those of PS3.3 C.8.7.5 (Positioner Primary/Secondary Angle): primary positive is LAO
(the image intensifier to the patient's left), secondary positive is cranial (towards the head). At
(0, 0) the source stands behind the patient and the detector in front; the picture shows the patient's
left at the viewer's right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@lru_cache(maxsize=64)
def _axes(primary_deg: float, secondary_deg: float) -> Array:
    """`View.axes`, read-only: a plan asks for them thousands of times."""
    p, s = np.deg2rad(primary_deg), np.deg2rad(secondary_deg)
    beam = np.array([np.sin(p) * np.cos(s), -np.cos(p) * np.cos(s), np.sin(s)])
    right = np.array([np.cos(p), np.sin(p), 0.0])
    axes = np.stack([right, np.cross(right, beam), beam])
    axes.setflags(write=False)
    return axes


@dataclass(frozen=True)
class View:
    """Where source and detector stand for one run."""

    primary_deg: float = -30.0
    """Positioner Primary Angle in degrees, LAO positive, RAO negative."""
    secondary_deg: float = 0.0
    """Positioner Secondary Angle in degrees, cranial positive, caudal negative."""
    size: int = 256
    """Rows and columns of the detector image."""
    field_mm: float = 200.0
    """Side of the square detector field in mm, in the detector's plane."""
    source_isocentre_mm: float = 750.0
    """Distance source to isocentre (the patient)."""
    source_detector_mm: float = 1100.0
    """Distance source to detector."""
    shift_mm: tuple[float, float] = (0.0, 0.0)
    """Where the isocentre falls beside the centre of the picture, (right, down), in mm on the detector."""
    margin_px: int = 0
    """Pixels around the picture that a shift of the table brings in during the run."""

    @property
    def pixel_mm(self) -> float:
        """Side of a pixel on the detector in mm."""
        return self.field_mm / self.size

    @property
    def magnification(self) -> float:
        """Detector mm per patient mm in the isocentre."""
        return self.source_detector_mm / self.source_isocentre_mm

    def widened(self) -> View:
        """The same view with its margin as part of the picture."""
        size = self.size + 2 * self.margin_px
        return replace(self, size=size, field_mm=self.pixel_mm * size, margin_px=0)

    def axes(self) -> Array:
        """Unit vectors of the C-arm in patient coordinates.

        Returns
        -------
        float64 (3, 3)
            Rows: right in the picture, down in the picture, from source to detector.
        """
        return _axes(self.primary_deg, self.secondary_deg)

    def source(self) -> Array:
        """Position of the X-ray source, float64 (3,), patient mm."""
        return np.asarray(-self.source_isocentre_mm * self.axes()[2])

    def pixel_rays(self) -> Array:
        """Unit direction from the source through each pixel's centre, float64 (size, size, 3)."""
        right, down, beam = self.axes()
        offset = (np.arange(self.size) - (self.size - 1) / 2) * self.pixel_mm
        u = offset - self.shift_mm[0]
        v = offset - self.shift_mm[1]
        rays = u[None, :, None] * right + v[:, None, None] * down + self.source_detector_mm * beam
        return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))

    def project(self, points: npt.ArrayLike) -> tuple[Array, Array]:
        """Project patient points on the detector.

        Parameters
        ----------
        points
            (..., 3) patient mm.

        Returns
        -------
        pixels
            float64 (..., 2), column and row.
        magnification
            float64 (...), detector pixels per patient mm at that depth.
        """
        local = np.asarray(points, dtype=np.float64) @ self.axes().T
        depth = local[..., 2] + self.source_isocentre_mm
        scale = self.source_detector_mm / depth / self.pixel_mm
        centre = (self.size - 1) / 2 + np.asarray(self.shift_mm) / self.pixel_mm
        return local[..., :2] * scale[..., None] + centre, scale
