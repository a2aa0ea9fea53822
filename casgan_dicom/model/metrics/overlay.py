"""How well vessels that were laid over a frame lie on the true ones: masks and centrelines of one frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.metrics.centreline import TOLERANCE_PX, distance_to, share_near, skeleton

Mask = npt.NDArray[np.bool_]

FARTHEST_PX = 30.0
"""No distance counts for more, pixels of a 256 px frame."""


@dataclass(frozen=True)
class OverlayScores:
    """Scores of one frame, or their mean over frames; lengths in pixels of a 256 px frame."""

    dice: float
    """2·overlap / (drawn + true)."""
    recall: float
    """Share of the true centreline within 2 px of the drawn one."""
    precision: float
    """Share of the drawn centreline within 2 px of the true one."""
    distance_px: float
    """Mean distance of either centreline from the other, the mean of both ways; FARTHEST_PX where one is
    empty."""


def score_overlay(drawn: Mask, true: Mask, ignored: Mask | None = None) -> OverlayScores:
    """Score drawn vessels against the true ones.

    Parameters
    ----------
    drawn, true
        bool (H, W), of a frame whose longer side is 256 or a multiple: larger ones are compared at their size
        with tolerances that grow.
    ignored
        Where neither counts, the catheter for example; bool (H, W).
    """
    if ignored is not None:
        drawn, true = drawn & ~ignored, true & ~ignored
    unit = max(drawn.shape) / 256
    total = int(drawn.sum()) + int(true.sum())
    dice = 2 * int((drawn & true).sum()) / total if total else 1.0
    ours, theirs = skeleton(drawn), skeleton(true)
    if not ours.any() or not theirs.any():
        alike = float(ours.any() == theirs.any())
        return OverlayScores(dice, alike, alike, 0.0 if alike else FARTHEST_PX)
    near = TOLERANCE_PX * unit
    ways = [distance_to(theirs)[ours] / unit, distance_to(ours)[theirs] / unit]
    distance = float(np.mean([np.minimum(way, FARTHEST_PX).mean() for way in ways]))
    return OverlayScores(dice, share_near(theirs, ours, near), share_near(ours, theirs, near), distance)
