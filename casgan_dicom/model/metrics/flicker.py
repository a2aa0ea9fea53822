"""How steady drawn vessels are from one frame of a cine to the next.

A generator that sees one frame at a time may draw other vessels in each. What is drawn is compared with the
truth's own changes: hearts beat, so the true vessels do not stand still either.

x     the frames without contrast     y*    their twins with contrast
y_g   the images that are scored      m     the true vessels that hold contrast

All arrays are (T, H, W), consecutive frames; images are display values in [0, 1]. The warping error is that
of Lai et al., ECCV 2018, with the simulator's motion in place of an estimated one. An X-ray picture has
several transparent layers, each with its own motion, so it is taken on the vessels alone, and the error of
y* is taken off: the background behind a vessel moves in another way than the vessel.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from casgan_dicom.model.metrics.centreline import distance_to
from casgan_dicom.model.metrics.vessels import MARGIN_PX, dice

Masks = npt.NDArray[np.bool_]
Frames = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FlickerScores:
    """Scores of one cine, or their mean over cines. All are NaN for a single frame."""

    background_flicker: float
    """Root mean square over background pixels of std_t(y_g - x), display values; background is farther than
    MARGIN_PX from every true vessel of the cine. NaN without such a pixel."""
    background_ratio: float
    """That, over the same figure of y*; 1 is as steady as the truth. NaN where y* does not change at all."""
    steadiness: float
    """Dice of what is drawn in one frame and in the next, mean over pairs; pairs with nothing drawn in either
    frame do not count. NaN when nothing is ever drawn."""
    true_steadiness: float
    """The same of the true vessels, which move: what `steadiness` should be near."""
    warping_error: float = float("nan")
    """Mean |y_g(t, p) - y_g(t + 1, p + motion)| over vessel pixels, display values. NaN without known motion,
    or if no vessel pixel stays in sight."""
    warping_excess: float = float("nan")
    """`warping_error` less that of y*: 0 is as steady as the truth. Below 0 for smoother pictures, and for
    those that draw nothing; read it with contrast_ratio. NaN as `warping_error`."""


@dataclass(frozen=True)
class _Way:
    """Pixels of true vessels in one frame, and where they are in the next; each (K,)."""

    row: npt.NDArray[np.intp]
    column: npt.NDArray[np.intp]
    next_row: Array
    next_column: Array


def score_flicker(
    images: Frames,
    drawn: Masks,
    plain: Frames,
    contrast: Frames,
    vessel: Masks,
    tracks: Array | None = None,
) -> FlickerScores:
    """Score a cine.

    Parameters
    ----------
    images
        y_g, float32 (T, H, W), display values.
    drawn
        Vessels found in `images`, bool (T, H, W).
    plain, contrast
        x and y*, float32 (T, H, W), display values.
    vessel
        m, bool (T, H, W).
    tracks
        Known motion of the vessels: column and row of the same N points in each frame, float64 (T, N, 2),
        as SimulatedCine.vessel_tracks gives them; None leaves the warping scores undefined.

    Raises
    ------
    ValueError
        Shapes differ.
    """
    shapes = {a.shape for a in (images, drawn, plain, contrast, vessel)}
    if len(shapes) > 1 or images.ndim != 3 or (tracks is not None and len(tracks) != len(images)):
        points = "" if tracks is None else f", tracks {tracks.shape}"
        raise ValueError(f"want equal shapes (T, H, W) and tracks (T, N, 2), got {sorted(shapes)}{points}")
    background = distance_to(np.asarray(vessel.any(axis=0))) > MARGIN_PX
    flicker, true = (background_flicker(y, plain, background) for y in (images, contrast))
    error, floor = (_warping_or_nan(y, vessel, tracks) for y in (images, contrast))
    return FlickerScores(
        background_flicker=flicker,
        background_ratio=flicker / true if true > 0 else float("nan"),
        steadiness=steadiness(drawn),
        true_steadiness=steadiness(vessel),
        warping_error=error,
        warping_excess=error - floor,
    )


def background_flicker(images: Frames, plain: Frames, background: npt.NDArray[np.bool_]) -> float:
    """Root mean square over `background` (H, W) of the standard deviation over time of images - plain.

    NaN for a single frame or an empty background.
    """
    if len(images) < 2 or not background.any():
        return float("nan")
    change = (images.astype(np.float64) - plain)[:, background]  # (T, K)
    return float(np.sqrt(change.var(axis=0).mean()))


def steadiness(masks: Masks) -> float:
    """Mean Dice of consecutive masks; pairs of two empty ones do not count, NaN if no pair does."""
    values = [dice(a, b) for a, b in pairwise(masks) if a.any() or b.any()]
    return float(np.mean(values)) if values else float("nan")


def warping_error(images: Frames, vessel: Masks, tracks: Array) -> float:
    """Mean change of brightness that vessel pixels undergo on their way from frame to frame.

    Parameters
    ----------
    images
        float32 (T, H, W), display values.
    vessel
        bool (T, H, W). Pixels count while they are vessel here and, after their motion, in the next frame:
        what the agent leaves, or what leaves the picture, is out of sight.
    tracks
        Column and row of the same points in each frame, float64 (T, N, 2).

    Returns
    -------
    float
        NaN if no pixel counts.

    Notes
    -----
    A pixel moves as the nearest point does. Where two branches cross, that may be the wrong one of two.
    """
    changes = [np.zeros(0)]
    for t in range(len(images) - 1):
        way = _way(vessel[t], vessel[t + 1], tracks[t], tracks[t + 1])
        later = ndimage.map_coordinates(
            images[t + 1].astype(np.float64), [way.next_row, way.next_column], order=1, mode="nearest"
        )
        changes.append(np.abs(images[t][way.row, way.column] - later))
    change = np.concatenate(changes)
    return float(change.mean()) if change.size else float("nan")


def _warping_or_nan(images: Frames, vessel: Masks, tracks: Array | None) -> float:
    return float("nan") if tracks is None else warping_error(images, vessel, tracks)


def _way(
    vessel: npt.NDArray[np.bool_], later: npt.NDArray[np.bool_], points: Array, next_points: Array
) -> _Way:
    """Carry each vessel pixel along with the nearest track point; keep those that stay in sight."""
    row, column = np.nonzero(vessel)
    _, nearest = cKDTree(points).query(np.stack([column, row], axis=1))
    moved = np.stack([column, row], axis=1) + (next_points - points)[nearest]  # (K, 2)
    at = np.rint(moved).astype(np.intp)
    height, width = vessel.shape
    inside = (at[:, 0] >= 0) & (at[:, 0] < width) & (at[:, 1] >= 0) & (at[:, 1] < height)
    seen = inside.copy()
    seen[inside] = later[at[inside, 1], at[inside, 0]]
    return _Way(row[seen], column[seen], moved[seen, 1], moved[seen, 0])
