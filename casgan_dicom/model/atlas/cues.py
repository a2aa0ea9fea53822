"""What the networks of the atlas read from frames of a run: pose, artery, landmarks, tip, vessel map.

Positions are (column, row) in pixels of the square picture of `GRID` rows and columns that a frame is brought
to; the centre of the first pixel is (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
FloatMap = npt.NDArray[np.float32]

GRID = 128
"""Rows and columns of the picture that positions refer to."""
LANDMARKS = 10
"""Points of the trunks of each artery that the networks place."""


@dataclass(frozen=True)
class Cues:
    """Readings of T frames that were sampled from one run."""

    right: Array
    """(T,) logit that the artery in question is the right one."""
    landmarks: Array
    """(T, 2, L, 2) where the trunks of the left (0) and right (1) artery run; see `landmarks`."""
    spread: Array
    """(T, 2, L) Laplace scale of each landmark, pixels."""
    contraction: Array
    """(T,) 0 at end-diastole, 1 at end-systole."""
    isocentre: Array
    """(T, 2) where the heart's centre is, pixels from the picture's centre."""
    field_mm: Array
    """(T,) side of the picture in the detector's plane, mm, at a magnification of 1100/750."""
    semi_axes_mm: Array
    """(T, 3) half lengths of the heart's ellipsoid."""
    apex: Array
    """(T, 3) direction of the heart's long axis, patient LPS, not normalised."""
    angles_deg: Array
    """(T, 2) primary and secondary angle as the picture alone shows them."""
    tip: Array
    """(T, 2) the catheter's tip."""
    tip_mass: Array
    """(T,) share of the tip's probability that lies within 6 pixels of it, 0 to 1."""
    no_tip: Array
    """(T,) probability that no tip is in the picture."""
    pan: Array
    """(T, 2) how far the table has moved the patient's picture since the first of the frames."""
    vessel: FloatMap
    """(T, GRID, GRID) probability that a vessel would be seen there."""
    shaft_depth: Array
    """(T,) how dark the catheter's shaft is, -ln over its surroundings; NaN where none is seen."""
