"""The table's way between two runs, as the picture shows it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.roadmap.run import Array
from casgan_dicom.model.simulator.geometry import View


def table_top_mm(
    picture_shift: tuple[float, float], angles_deg: tuple[float, float], magnification: float
) -> tuple[float, float, float]:
    """Where a table that is moved in its own plane stands to shift the picture so.

    The inverse of `picture_shift_mm` for a vertical position of 0: `picture_shift` (down, right) in mm on the
    detector gives (vertical, lateral, longitudinal). Raises ValueError for a view along the table, in which
    no such way shifts the picture to the side.
    """
    right, down, _ = View(*angles_deg).axes()
    plane = np.array([[down[0], down[2]], [right[0], right[2]]]) * magnification
    if abs(np.linalg.det(plane)) < 1e-3:
        raise ValueError(
            f"a view of {angles_deg} degrees looks along the table, want one from above or below"
        )
    lateral, longitudinal = np.linalg.solve(plane, np.asarray(picture_shift, dtype=np.float64))
    return 0.0, float(lateral), float(longitudinal)


def picture_shift_mm(
    table_top_mm: npt.ArrayLike, angles_deg: tuple[float, float], magnification: float
) -> Array:
    """How far the patient's picture lies shifted for a position of the table top.

    Parameters
    ----------
    table_top_mm
        (..., 3) Table Top Vertical (300A,0128), Lateral (300A,012A) and Longitudinal (300A,0129) Position or
        what stands for them, in mm: down, to the left of a supine patient, and towards the head are
        positive.
    angles_deg
        Positioner Primary (0018,1510) and Secondary (0018,1511) Angle.
    magnification
        Distance Source to Detector (0018,1110) over Distance Source to Patient (0018,1111).

    Returns
    -------
    float64 (..., 2)
        (down, right) in mm on the detector; only differences mean anything, since the origin is arbitrary.
    """
    vertical, lateral, longitudinal = np.moveaxis(np.asarray(table_top_mm, dtype=np.float64), -1, 0)
    way = np.stack([lateral, vertical, longitudinal], axis=-1)  # LPS of a supine patient, head first
    right, down, _ = View(*angles_deg).axes()
    return np.asarray(np.stack([way @ down, way @ right], axis=-1) * magnification)
