"""Whether a tree lies where it must: beside what scores of single frames say, for rows and for plans.

Centreline tolerances are pixels of a 256 px frame. What a plan says (artery, angles, ostium) is measured on
plans only; everything else on what the segmentor reads in the drawn frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.atlas.cues import GRID
from casgan_dicom.model.data.simulated import SimulatedRun
from casgan_dicom.model.evaluation.rows import Drawn
from casgan_dicom.model.metrics.centreline import share_near, skeleton
from casgan_dicom.model.simulator.geometry import View

WIDE_PX = 8.0
"""Tolerance of "about there"."""
_REFERENCE = 256

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PlaceScores:
    """Of one row; NaN for what it does not have."""

    recall_wide: float
    """Centreline recall within WIDE_PX, mean over frames."""
    largest: float
    """Share of the drawn vessel in its largest connected part, mean over frames that show any."""
    cover_ratio: float
    """Drawn cover over true cover, mean over runs."""
    less_another: float
    """Centreline recall less that of another tree in the same view, mean over runs."""
    less_another_error: float
    """Its standard error over runs."""
    artery_right: float
    """Share of the runs whose plan has the injected artery."""
    angle_error_deg: float
    """Median of the angle between the true beam and the one that the picture alone shows."""
    ostium_px: float
    """Median distance of the drawn ostium from the true one, pixels of 256."""
    ostium_p90_px: float
    """Its 90th percentile."""
    refused: float
    """Share of the runs over which nothing was drawn."""


def place_scores(
    drawn: Sequence[Drawn],
    runs: Sequence[SimulatedRun],
    recalls: Sequence[float],
    another: Sequence[float],
) -> PlaceScores:
    """Score the place of one row's vessels.

    Parameters
    ----------
    drawn, runs
        What the row shows of each run.
    recalls, another
        Mean centreline recall of the row, and of another tree in the same view, on each run.
    """
    frames = [_frame_scores(one, run) for one, run in zip(drawn, runs, strict=True)]
    margins = np.asarray(recalls) - np.asarray(another)
    covers = [
        one.vessels.mean() / run.vessel.mean()
        for one, run in zip(drawn, runs, strict=True)
        if run.vessel.any()
    ]
    plans = [(one, run) for one, run in zip(drawn, runs, strict=True) if one.plan is not None]
    ostium = np.concatenate([_ostium_errors(one, run) for one, run in plans]) if plans else np.zeros(0)
    return PlaceScores(
        recall_wide=_mean([value for run in frames for value, _ in run]),
        largest=_mean([value for run in frames for _, value in run]),
        cover_ratio=_mean(covers),
        less_another=_mean(margins),
        less_another_error=float(margins.std(ddof=1) / np.sqrt(len(margins))) if len(margins) > 1 else np.nan,
        artery_right=_mean([_artery_right(one, run) for one, run in plans]),
        angle_error_deg=_median([_angle_error(one, run) for one, run in plans]),
        ostium_px=_median(ostium),
        ostium_p90_px=float(np.percentile(ostium, 90)) if len(ostium) else np.nan,
        refused=_mean([float(bool(one.plan and one.plan.refused)) for one, _ in plans]),
    )


def largest_part(mask: Mask) -> float:
    """Share of a mask (H, W) in its largest part, neighbours by corners counted; NaN where it is empty."""
    parts, count = ndimage.label(mask, np.ones((3, 3)))
    return float(np.bincount(parts.ravel())[1:].max() / mask.sum()) if count else np.nan


def _frame_scores(drawn: Drawn, run: SimulatedRun) -> list[tuple[float, float]]:
    """(recall within WIDE_PX, share of the largest part) of each frame."""
    return [
        (share_near(run.centreline[t], skeleton(mask), WIDE_PX), largest_part(mask))
        for t, mask in enumerate(drawn.vessels)
    ]


def _artery_right(drawn: Drawn, run: SimulatedRun) -> float:
    assert drawn.plan is not None
    assert run.pose is not None
    return float((drawn.plan.facts.artery == "RCA") == run.pose.right)


def _angle_error(drawn: Drawn, run: SimulatedRun) -> float:
    """Angle in degrees between two beams."""
    assert drawn.plan is not None
    assert run.pose is not None
    one, other = (
        View(primary_deg=primary, secondary_deg=secondary).axes()[2]
        for primary, secondary in (drawn.plan.facts.angles_seen_deg, run.pose.angles_deg)
    )
    return float(np.rad2deg(np.arccos(np.clip(one @ other, -1, 1))))


def _ostium_errors(drawn: Drawn, run: SimulatedRun) -> npt.NDArray[np.float64]:
    """Distances (T,) in pixels of 256; none where nothing was drawn. Frames are square."""
    assert drawn.plan is not None
    assert run.pose is not None
    if drawn.plan.refused:
        return np.zeros(0)
    size = run.plain.shape[1]
    found = (drawn.plan.ostium[list(run.pose.numbers)] + 0.5) * size / GRID - 0.5
    off = np.linalg.norm(found - run.pose.ostium, axis=1)
    return np.asarray(off * _REFERENCE / size, dtype=np.float64)


def _mean(values: Sequence[float] | npt.NDArray[np.float64]) -> float:
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else np.nan


def _median(values: Sequence[float] | npt.NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else np.nan
