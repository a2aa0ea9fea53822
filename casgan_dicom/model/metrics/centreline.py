"""Agreement of vessels by their centrelines: thin branches count as much as thick ones.

A line is found where another one passes within a tolerance. Lines are bool (H, W); distances are Euclidean,
in pixels. clDice is that of Shit et al., CVPR 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import skeletonize

Mask = npt.NDArray[np.bool_]
Distances = npt.NDArray[np.float64]

TOLERANCE_PX = 2.0
"""How far a centreline may lie from the true one, in pixels of a 256 px frame."""
MIDDLE_FROM_PX = 1.5
"""Radius from which a branch is of middle width rather than thin, in pixels of a 256 px frame: 3 px wide,
1.6 mm in the simulator's heart."""
THICK_FROM_PX = 2.5
"""Radius from which a branch is thick, in pixels of a 256 px frame: 5 px wide, 2.7 mm in the simulator's
heart."""


@dataclass(frozen=True)
class RadiusRecall:
    """Centreline recall of branches by their radius; NaN where a frame has no such branch."""

    thin: float
    """Radius below MIDDLE_FROM_PX."""
    middle: float
    """Radius from MIDDLE_FROM_PX to below THICK_FROM_PX."""
    thick: float
    """Radius of THICK_FROM_PX and more."""


def skeleton(mask: Mask) -> Mask:
    """Centreline of a mask, one pixel wide, bool (H, W)."""
    line: Mask = skeletonize(mask) > 0  # type: ignore[no-untyped-call]
    return line


def distance_to(mask: Mask) -> Distances:
    """Distance of every pixel to the nearest one of `mask`, 0 on it; infinite where the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(~mask), dtype=np.float64)


def share_near(line: Mask, other: Mask, tolerance: float = TOLERANCE_PX) -> float:
    """Share of `line`'s pixels within `tolerance` pixels of `other`; 0 if one is empty, 1 if both are."""
    if not line.any() or not other.any():
        return float(line.any() == other.any())
    return float((distance_to(other)[line] <= tolerance).mean())


def cl_dice(drawn: Mask, true: Mask) -> float:
    """Give the harmonic mean of how much of either mask's skeleton lies in the other mask.

    clDice = 2·Tp·Ts / (Tp + Ts), Tp = |skel(drawn) ∩ true| / |skel(drawn)|, Ts the other way round;
    0 if one mask is empty, 1 if both are.
    """
    if not drawn.any() or not true.any():
        return float(drawn.any() == true.any())
    precision = float(true[skeleton(drawn)].mean())
    sensitivity = float(drawn[skeleton(true)].mean())
    total = precision + sensitivity
    return 2 * precision * sensitivity / total if total else 0.0


def radius_on(line: Mask, vessel: Mask) -> Distances:
    """Radius in pixels of the vessel at each pixel of its centreline, in the order of `line`'s pixels.

    The distance to the nearest pixel outside, less half a pixel: 0.5 for a vessel one pixel wide, 1.5 for
    three. Pixels beyond the frame's edge do not end a vessel; where the agent ends, the last pixels count as
    thin. A pixel of `line` off the vessel has radius 0.
    """
    if vessel.all():
        return np.full(int(line.sum()), np.inf)
    inside = np.asarray(ndimage.distance_transform_edt(vessel), dtype=np.float64)
    return np.asarray(np.maximum(inside[line] - 0.5, 0.0))


def recall_by_radius(
    true_line: Mask, vessel: Mask, found: Mask, tolerance: float = TOLERANCE_PX
) -> RadiusRecall:
    """Share of the true centreline within the tolerance of the found one, by the true vessel's radius.

    Parameters
    ----------
    true_line, vessel
        The true vessel's centreline and its mask, bool (H, W).
    found
        Centreline of what was drawn, bool (H, W).
    tolerance
        In pixels.
    """
    radius = radius_on(true_line, vessel)
    near = distance_to(found)[true_line] <= tolerance
    thin, thick = radius < MIDDLE_FROM_PX, radius >= THICK_FROM_PX
    return RadiusRecall(*(_share(near[of]) for of in (thin, ~thin & ~thick, thick)))


def _share(hits: Mask) -> float:
    return float(hits.mean()) if hits.size else float("nan")
