"""Which tree of the library, and where: an affine correction of each posed tree, and the choice among them.

Each tree is brought to the landmarks that the network placed, and to the catheter's tip, by an affine map of
the picture that is held near the identity (ridge); a tip lies on the first centimetres of its artery, not on
the ostium. The tree that then fits best, and lies best on the map of vessels, is chosen; what the picture
leaves open is decided by the series, so that it always gets the same tree.

K trees, T frames, L landmarks, pixels of GRID.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.atlas.cues import GRID
from casgan_dicom.model.atlas.library import THINNEST_MM, UnitTree
from casgan_dicom.model.atlas.posing import Pose, warped
from casgan_dicom.model.simulator.geometry import Array

LOOSE_PX = 12.0
"""Laplace scale of a landmark from which it may lie anywhere."""
_LANDMARK_WEIGHT = 0.3
"""What the placed landmarks count: their errors go together, so ten of them are not ten witnesses."""
_LINEAR_SD = 0.08
"""How far a tree is stretched, sheared or turned."""
_SHIFT_SD_PX = 12.0
"""How far it is moved."""
_TIP_SD_PX = 1.5
_TIP_REACH_MM = (-5.0, 15.0)
"""Where a sure tip lies on its artery: from short of the ostium to deep in it."""
_TIP_PLACES = 9
_TIP_ROUNDS = 3
_MAP_WEIGHT = 100.0
"""What an expected Dice of 1 counts against the misfit of landmarks in squared standard deviations."""
_MAP_FRAMES = 3
_TIE = 0.25
"""Trees whose merit differs by less are equally good: an expected Dice of 0.0025."""


@dataclass(frozen=True)
class Evidence:
    """What T frames show of one artery."""

    contraction: Array
    """(T,) 0 to 1."""
    shift: Array
    """(T, 2) by breathing."""
    landmarks: Array
    """(T, L, 2)."""
    spread: Array
    """(T, L) Laplace scales."""
    tips: Array
    """(T, 2)."""
    tip_sure: Array
    """(T,) 0 where a tip does not count."""
    vessel: npt.NDArray[np.float32]
    """(T, GRID, GRID) probabilities."""


@dataclass(frozen=True)
class Fitted:
    """The chosen tree's place in the trees given, and its correction."""

    place: int
    """Index among the trees."""
    warp: Array
    """(3, 2), see `posing.warped`."""
    centre: Array
    """(2,)."""
    merit: Array
    """(K,) of all trees, the chosen one's among the greatest."""
    astray_px: float
    """Median distance of landmarks that are not loose from where the chosen tree has them; 0 without any."""


def choose(trees: Sequence[UnitTree], pose: Pose, evidence: Evidence, key: str) -> Fitted:
    """Fit every tree and choose one.

    Parameters
    ----------
    trees
        Of one artery.
    pose
        The heart's.
    evidence
        What the frames show.
    key
        Of the series: decides among trees that are equally good.
    """
    fits = [_fit(tree, pose, evidence) for tree in trees]
    frames = np.unique(np.linspace(0, len(evidence.contraction) - 1, _MAP_FRAMES).round().astype(int))
    dice = [_expected_dice(tree, pose, evidence, fit, frames) for tree, fit in zip(trees, fits, strict=True)]
    merit = np.array([-0.5 * fit.misfit for fit in fits]) + _MAP_WEIGHT * np.array(dice)
    best = np.flatnonzero(merit >= merit.max() - _TIE)
    place = min((int(k) for k in best), key=lambda k: hashlib.sha256(f"{key} {k}".encode()).digest())
    fit = fits[place]
    return Fitted(place, fit.warp, fit.centre, merit, _astray(trees[place], pose, evidence, fit))


def _astray(tree: UnitTree, pose: Pose, evidence: Evidence, fit: _Fit) -> float:
    corrected = warped(_posed(tree.landmarks, pose, evidence), fit.centre, fit.warp)
    off = np.linalg.norm(corrected - evidence.landmarks, axis=-1)
    placed = off[np.isfinite(off) & (evidence.spread < LOOSE_PX)]
    return float(np.median(placed)) if placed.size else 0.0


@dataclass(frozen=True)
class _Fit:
    warp: Array
    centre: Array
    misfit: float


def _fit(tree: UnitTree, pose: Pose, evidence: Evidence) -> _Fit:
    """The correction of one tree by landmarks, then by the part of its trunk that the tip is nearest to."""
    posed = _posed(tree.landmarks, pose, evidence)  # (T, L, 2)
    centre = posed[:, 0].mean(axis=0)
    there = np.asarray(np.isfinite(posed).all(axis=-1))
    weight = there * _LANDMARK_WEIGHT / (2 * evidence.spread**2 + 1)
    trunk = _posed(_mouth(tree, pose), pose, evidence)  # (T, J, 2)
    points, targets = np.where(there[..., None], posed, centre), evidence.landmarks
    fit = _ridge(points, targets, weight, centre)
    held: Array | None = None
    for _ in range(_TIP_ROUNDS if evidence.tip_sure.any() else 0):
        away = np.linalg.norm(warped(trunk, centre, fit.warp) - evidence.tips[:, None], axis=-1)  # (T, J)
        nearest = int((evidence.tip_sure[:, None] * away**2).sum(axis=0).argmin())  # as deep in every frame
        if held is None:  # the farther from where the landmarks put it, the surer a tip has to be
            sd = _TIP_SD_PX + (1 - evidence.tip_sure) ** 2 * away[:, nearest]
            held = evidence.tip_sure / sd**2
        fit = _ridge(
            np.concatenate([points, trunk[:, [nearest]]], axis=1),
            np.concatenate([targets, evidence.tips[:, None]], axis=1),
            np.concatenate([weight, held[:, None]], axis=1),
            centre,
        )
    return fit


def _posed(unit: Array, pose: Pose, evidence: Evidence) -> Array:
    """Pixels (T, M, 2) of points (M, 3) in all frames, before any correction."""
    frames = zip(evidence.contraction, evidence.shift, strict=True)
    return np.stack([pose.project(unit, float(contracted)) + shift for contracted, shift in frames])


def _mouth(tree: UnitTree, pose: Pose) -> Array:
    """Points (J, 3) along the first centimetres of a tree and before its ostium, on the unit heart."""
    trunk = tree.points[tree.segment == 0]
    semi = np.asarray(pose.heart.semi_axes_mm)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(trunk * semi, axis=0), axis=1))])
    back = trunk[0] + _TIP_REACH_MM[0] * (trunk[3] - trunk[0]) / arc[3]
    line, arc = np.concatenate([back[None], trunk]), np.concatenate([_TIP_REACH_MM[:1], arc])
    at = np.linspace(_TIP_REACH_MM[0], min(_TIP_REACH_MM[1], arc[-1]), _TIP_PLACES)
    return np.stack([np.interp(at, arc, line[:, k]) for k in range(3)], axis=1)


def _ridge(points: Array, targets: Array, weight: Array, centre: Array) -> _Fit:
    """Least squares for the affine that brings points (T, M, 2) to targets (T, M, 2) by weights (T, M)."""
    ahead = np.concatenate([points - centre, np.ones((*points.shape[:-1], 1))], axis=-1)  # (T, M, 3)
    held = ahead * weight[..., None] / len(points)
    ridge = np.array([1 / _LINEAR_SD**2, 1 / _LINEAR_SD**2, 1 / _SHIFT_SD_PX**2])
    normal = np.einsum("tmi,tmj->ij", held, ahead) + np.diag(ridge)
    warp = np.linalg.solve(normal, np.einsum("tmi,tmc->ic", held, targets - points))
    left = ((targets - points - ahead @ warp) ** 2).sum(axis=-1)
    misfit = (weight * left).sum() / len(points) + (ridge[:, None] * warp**2).sum()
    return _Fit(warp, centre, float(misfit))


def _expected_dice(
    tree: UnitTree, pose: Pose, evidence: Evidence, fit: _Fit, frames: npt.NDArray[np.int64]
) -> float:
    """Dice that the tree's vessel would have if the map were right, over some of the frames."""
    seen = 2 * tree.radius >= THINNEST_MM
    points, area = tree.points[seen], 2 * tree.radius[seen] * pose.pixels_per_mm**2  # points are 1 mm apart
    hit = 0.0
    for t in frames:
        pixels = pose.project(points, float(evidence.contraction[t])) + evidence.shift[t]
        at = np.rint(warped(pixels, fit.centre, fit.warp)).astype(int)
        inside = ((at >= 0) & (at < GRID)).all(axis=1)
        hit += float((area[inside] * evidence.vessel[t][at[inside, 1], at[inside, 0]]).sum())
    total = len(frames) * area.sum() + float(evidence.vessel[frames].sum())
    return float(2 * hit / max(total, 1e-9))
