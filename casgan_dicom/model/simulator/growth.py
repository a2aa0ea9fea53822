"""How a vessel finds its way over the epicardium: one marching rule for trunks and branches.

A vessel is marched in steps of 1 mm over the ellipsoid. Its heading turns towards an aim (the next piece
of its groove, or a direction such as the apex) and wanders: the curvature is an Ornstein-Uhlenbeck process
along the vessel, which gives the smooth tortuosity of real coronaries. Coordinates are the heart's own
axes (up, right, apex) in mm.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import CubicSpline

from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.heart import Heart

_STEP_MM = 1.0
_CORRELATION_MM = 9.0
_LOOK_AHEAD = 9


def _empty() -> Array:
    return np.zeros((0, 3))


@dataclass(frozen=True)
class Steering:
    """Where a vessel starts and what it heads for."""

    guide: Array = field(default_factory=_empty)
    """float64 (M, 3), the groove that a trunk follows, in heart axes; empty for a branch."""
    start: Array = field(default_factory=_empty)
    """float64 (3,), where a branch springs."""
    along: Array = field(default_factory=_empty)
    """float64 (3,), the parent's direction there."""
    angle_rad: float = 0.0
    """Angle between parent and branch, signed by side."""
    towards: Array = field(default_factory=_empty)
    """float64 (3,), the direction that a branch bends to."""
    length_mm: float = 0.0
    """Length of a branch; a trunk is as long as its groove."""
    wobble: float = 0.03
    """Standard deviation of the wandering curvature, 1/mm."""
    inward: bool = False
    """True for a septal branch, which leaves the epicardium."""


def heart_direction(azimuth_deg: Array, height: Array) -> Array:
    """Points of the unit sphere in heart axes (up, right, apex) from azimuth and height, (..., 3)."""
    phi = np.deg2rad(azimuth_deg)
    ring = np.sqrt(np.clip(1 - height**2, 0.0, None))
    return np.stack([np.sin(phi) * ring, np.cos(phi) * ring, height], axis=-1)


def resample(path: Array, spacing: float, *, closed_ends: bool = False) -> Array:
    """Lay a smooth curve through points and cut it evenly.

    Parameters
    ----------
    path
        float64 (N, 3), distinct neighbours.
    spacing
        Distance of the new points in the unit of `path`; with `closed_ends` the number of points per
        original interval, and the result is pushed back on the unit sphere.
    closed_ends
        True for guide points on the unit sphere.
    """
    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    spline = CubicSpline(chord, path, bc_type="natural")
    if closed_ends:
        dense = spline(np.linspace(0, chord[-1], int(spacing) * len(path)))
        return np.asarray(dense / np.linalg.norm(dense, axis=1, keepdims=True))
    return np.asarray(spline(np.linspace(0, chord[-1], max(2, round(chord[-1] / spacing) + 1))))


def _unit(v: Array) -> Array:
    return np.asarray(v / max(float(np.sqrt(v @ v)), 1e-9))


def grow(heart: Heart, steering: Steering, rng: np.random.Generator) -> Array:
    """March one vessel; float64 (N, 3) in heart axes, mm, 1 mm apart."""
    if steering.inward:
        return _grow_inward(heart, steering, rng)
    semi = np.asarray(heart.semi_axes_mm)
    guided = len(steering.guide) > 0
    guide = resample(steering.guide, _STEP_MM) if guided else _empty()
    steps = len(guide) - 1 if guided else max(4, round(steering.length_mm / _STEP_MM))
    p = guide[0] if guided else steering.start
    d = _unit(guide[1] - guide[0]) if guided else _turned(p / semi**2, steering)
    depth = 1.0 if guided else float(np.linalg.norm(p / semi))
    noise = rng.normal(size=steps) * steering.wobble * np.sqrt(2 * _STEP_MM / _CORRELATION_MM)
    curvature = 0.0
    path = [p]
    for k in range(steps):
        normal = _unit(p / semi**2)
        aim = guide[min(k + _LOOK_AHEAD, steps)] - p if guided else steering.towards
        aim = aim - (aim @ normal) * normal
        curvature += -curvature * _STEP_MM / _CORRELATION_MM + noise[k]
        pull = 0.16 if guided else 0.03
        side = np.cross(normal, d)
        d = d + _STEP_MM * (pull * _unit(aim) + curvature * side)
        d = _unit(d - (d @ normal) * normal)
        p = p + _STEP_MM * d
        depth += (1.0 - depth) * 0.15
        p = p / np.linalg.norm(p / semi) * depth
        path.append(p)
    return np.array(path)


def _turned(normal: Array, steering: Steering) -> Array:
    """The parent's direction turned by the branching angle within the epicardium."""
    n = _unit(normal)
    along = _unit(steering.along - (steering.along @ n) * n)
    return np.asarray(along * np.cos(steering.angle_rad) + np.cross(n, along) * np.sin(steering.angle_rad))


def _grow_inward(heart: Heart, steering: Steering, rng: np.random.Generator) -> Array:
    """March a septal branch: from its origin through the wall, bending to its aim."""
    n = _unit(steering.start / np.asarray(heart.semi_axes_mm) ** 2)
    along = _unit(steering.along)
    d = _unit(along * np.cos(steering.angle_rad) - n * np.sin(steering.angle_rad))
    side = _unit(np.cross(n, along))
    steps = max(4, round(steering.length_mm / _STEP_MM))
    noise = rng.normal(size=steps) * steering.wobble * 0.4
    aim = _unit(steering.towards)
    path = [steering.start]
    for k in range(steps):
        d = _unit(d + _STEP_MM * (0.02 * aim + noise[k] * side))
        path.append(path[-1] + _STEP_MM * d)
    return np.array(path)
