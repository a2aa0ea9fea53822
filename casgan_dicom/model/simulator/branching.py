"""Figures of a coronary tree: how many branches, how they wind, how uneven their walls are."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.growth import SPACING_MM
from casgan_dicom.model.simulator.tree import CoronaryTree, Segment

WINDOW_MM = 20.0
"""Length of vessel over which winding is measured."""
THICK_MM, THIN_MM = 1.0, 0.6
"""Radius from which a vessel counts as thick, and up to which as thin."""
_SEEN_RADIUS_MM = 0.35
_TAPER_MM = 5.0
"""Changes of calibre over longer ways are taper, no unevenness."""


def windings(tree: CoronaryTree, lowest_mm: float, highest_mm: float) -> Array:
    """Length over chord of every window of 20 mm in vessels of a calibre, 1 where straight, float64 (N,).

    Parameters
    ----------
    tree
        The artery.
    lowest_mm, highest_mm
        Range of the mean radius in the window.
    """
    steps = round(WINDOW_MM / SPACING_MM)
    found = []
    for segment in tree.segments:
        for first in range(0, len(segment.points) - steps, steps // 4):
            window = slice(first, first + steps + 1)
            if lowest_mm <= segment.radius[window].mean() <= highest_mm:
                found.append(_winding(segment.points[window]))
    return np.array(found)


def _winding(points: Array) -> float:
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    return float(steps.sum() / max(float(np.linalg.norm(points[-1] - points[0])), 1e-6))


def branch_count(tree: CoronaryTree) -> int:
    """Number of vessels that are wide enough to be seen where they spring."""
    return sum(bool(segment.radius[0] >= _SEEN_RADIUS_MM) for segment in tree.segments)


def unevenness(tree: CoronaryTree) -> float:
    """How much calibres vary along the larger vessels, beside their taper: robust SD in %."""
    parts = [_residual(s) for s in tree.segments if s.length_mm > WINDOW_MM and s.radius[0] > THIN_MM]
    if not parts:
        return float("nan")
    return 100 * 1.4826 * float(np.median(np.abs(np.concatenate(parts))))


def _residual(segment: Segment) -> Array:
    log = np.log(np.maximum(segment.radius, 1e-3))
    return np.asarray(log - ndimage.gaussian_filter1d(log, _TAPER_MM / SPACING_MM, mode="nearest"))
