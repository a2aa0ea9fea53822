"""How vessels find their way over the epicardium: trunks in their grooves, branches by marching.

A trunk is a smooth curve through its guide points. Branches of one generation are marched together in
steps of 1 mm over the ellipsoid: each leaves its parent along the parent's own direction, turns away within
a few mm and bends to its aim. Both wander: a trunk gently and over several centimetres, a thin branch more
and at shorter wavelengths; the heading of a corkscrew swings so far that it overhangs. Coordinates are the
heart's own axes (up, right, apex) in mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.heart import Heart

SPACING_MM = 0.5
"""Distance between neighbouring points of a vessel or a catheter."""
_STEP_MM = 1.0
_PULL_PER_MM = 0.028
"""How fast a branch bends to its aim."""
_TIGHTEST_PER_MM = 0.55
"""Largest curvature that the wandering of the heading may reach."""
_STEEPEST = 0.008
"""Largest change of depth in a step."""
_ROUNDING_MM = 1.8
"""A trunk's corners are rounded by a Gaussian of this standard deviation."""


@dataclass(frozen=True)
class Sprouts:
    """B branches of one generation, where they spring and what they head for."""

    start: Array
    """float64 (B, 3), mm."""
    along: Array
    """float64 (B, 3), the parent's direction there."""
    turn_rad: Array
    """float64 (B,), angle that the branch turns away from its parent, signed by side."""
    turn_mm: Array
    """float64 (B,), way over which it turns."""
    towards: Array
    """float64 (B, 3), the direction that the branch bends to."""
    length_mm: Array
    """float64 (B,), length of the branch."""
    swing_rad: Array
    """float64 (B, 2), how far the heading wanders (standard deviation): slowly and quickly."""
    wavelength_mm: Array
    """float64 (B, 2), over which way it does so."""
    inward: Array
    """float64 (B,), 1 for branches within the septum, which leave the epicardium, else 0."""
    depth: Array
    """float64 (B,), depth that a branch on the surface comes to: 1 on the ellipsoid, more on a bulge."""


def heart_direction(azimuth_deg: Array, height: Array) -> Array:
    """Points of the unit sphere in heart axes (up, right, apex) from azimuth and height, (..., 3)."""
    phi = np.deg2rad(azimuth_deg)
    ring = np.sqrt(np.clip(1 - height**2, 0.0, None))
    return np.stack([np.sin(phi) * ring, np.cos(phi) * ring, height], axis=-1)


def resample(path: Array, spacing: float) -> Array:
    """Lay a smooth curve through points (N, 3), distinct neighbours, and cut it every `spacing`."""
    from scipy.interpolate import CubicSpline  # noqa: PLC0415 - a third of a second, and drawing grows no tree

    chord = _chord(path)
    count = max(2, round(float(chord[-1]) / spacing) + 1)
    return np.asarray(CubicSpline(chord, path, bc_type="natural")(np.linspace(0, chord[-1], count)))


def wander(rng: np.random.Generator, count: int, wavelength: Array, deviation: Array) -> Array:
    """Draw smooth noise around a wavelength.

    Parameters
    ----------
    rng
        Source of the noise.
    count
        Length of each row in steps.
    wavelength, deviation
        float64 (B,), middle of the band in steps, and standard deviation, of each row.

    Returns
    -------
    float64 (B, count)
        Gaussian noise whose power is spread by half an octave and more to both sides of the wavelength.
    """
    total = 1 << int(np.ceil(np.log2(max(2 * count, 2 * float(np.max(wavelength)), 8))))
    frequency = np.fft.rfftfreq(total)[1:]
    gain = np.exp(-0.5 * (np.log(frequency * np.asarray(wavelength)[:, None]) / 0.4) ** 2)
    gain *= (np.asarray(deviation) / np.sqrt(2 * (gain**2).sum(axis=1) / total))[:, None]
    spectrum = np.fft.rfft(rng.normal(size=(len(gain), total)), axis=1)
    spectrum[:, 0] = 0.0
    spectrum[:, 1:] *= gain
    return np.asarray(np.fft.irfft(spectrum, n=total, axis=1)[:, :count])


def lay_trunk(heart: Heart, guide: Array, depth: Array, *, leaving: Array | None = None) -> Array:
    """Lead a trunk along its groove.

    Parameters
    ----------
    heart
        The ellipsoid.
    guide
        float64 (M, 3), guide points in heart axes, mm; the first is where the trunk begins.
    depth
        float64 (M,), depth of each, 1 on the epicardium.
    leaving
        float64 (3,), unit direction in which it leaves its parent; None for the one from the ostium.

    Returns
    -------
    float64 (N, 3)
        About 1 mm apart.
    """
    from scipy.interpolate import CubicSpline, PchipInterpolator  # noqa: PLC0415 - see `resample`

    chord = _chord(guide)
    ends = ((2, np.zeros(3)) if leaving is None else (1, leaving), (2, np.zeros(3)))
    at = np.linspace(0, chord[-1], max(4, round(float(chord[-1]) / _STEP_MM)))
    path = CubicSpline(chord, guide, bc_type=ends)(at)
    radial = np.linalg.norm(path / np.asarray(heart.semi_axes_mm), axis=1)
    return np.asarray(path * (PchipInterpolator(chord, depth)(at) / radial)[:, None])


def displace(heart: Heart, path: Array, sideways: Array, outwards: Array) -> Array:
    """Move a path (N, 3) within the epicardium and away from it by mm, (N,) each, and round its corners."""
    tangent = np.gradient(path, axis=0)
    normal = _unit(path / np.asarray(heart.semi_axes_mm) ** 2)
    side = _unit(np.cross(normal, tangent))
    even = resample(path + side * sideways[:, None] + normal * outwards[:, None], _STEP_MM)
    reach = min(8, len(even) - 1)
    before, after = 2 * even[0] - even[reach:0:-1], 2 * even[-1] - even[-2 : -2 - reach : -1]  # ends stay
    padded = np.concatenate([before, even, after])
    return np.asarray(gaussian_filter1d(padded, _ROUNDING_MM / _STEP_MM, axis=0)[reach : reach + len(even)])


def grow(heart: Heart, sprouts: Sprouts, rng: np.random.Generator) -> list[Array]:
    """March branches side by side; one float64 (N, 3) for each, in heart axes, mm, 0.5 mm apart."""
    steps = max(4, int(np.ceil(sprouts.length_mm.max() / _STEP_MM)))
    swing = _swing(sprouts, steps, rng)  # (B, steps)
    turn = _turn(sprouts, steps)
    marched = _march(heart, sprouts, swing, turn)  # (steps + 1, B, 3)
    fine = _halved(marched)
    count = np.maximum(8, np.round(2 * sprouts.length_mm / _STEP_MM)).astype(int) + 1
    return [fine[: count[b], b] for b in range(len(count))]


def _swing(sprouts: Sprouts, steps: int, rng: np.random.Generator) -> Array:
    """Angle between heading and course over the way, at first none, never turning too tightly."""
    angle = sum(
        wander(rng, steps, sprouts.wavelength_mm[:, k] / _STEP_MM, sprouts.swing_rad[:, k]) for k in (0, 1)
    )
    angle = np.asarray(angle) * np.clip(np.arange(steps) * _STEP_MM / 6.0 - 0.3, 0.0, 1.0)
    tightest = _TIGHTEST_PER_MM * _STEP_MM
    return np.cumsum(np.clip(np.diff(angle, axis=1, prepend=0.0), -tightest, tightest), axis=1)


def _turn(sprouts: Sprouts, steps: int) -> Array:
    """Curvature that turns each branch away from its parent, (B, steps), 1/mm."""
    at = (np.arange(steps) + 0.5) * _STEP_MM / sprouts.turn_mm[:, None]
    window = np.where(at < 1, np.sin(np.pi * np.clip(at, 0, 1)) + 0.2, 0.0)
    total = np.maximum(window.sum(axis=1) * _STEP_MM, 1e-9)
    return np.asarray(window * (sprouts.turn_rad / total)[:, None])


def _march(heart: Heart, sprouts: Sprouts, swing: Array, turn: Array) -> Array:
    semi = np.asarray(heart.semi_axes_mm)
    inward = sprouts.inward[:, None]
    cosine, sine = np.cos(swing)[..., None], np.sin(swing)[..., None]
    p, d = sprouts.start, _unit(sprouts.along)
    depth = np.linalg.norm(p / semi, axis=1, keepdims=True)
    path = np.empty((swing.shape[1] + 1, *p.shape))
    path[0] = p
    across = _unit(_across(p / semi**2, d))  # of the plane in which a septal branch runs
    for k in range(swing.shape[1]):
        normal = _unit(p / semi**2)
        side = _unit(np.where(inward > 0, across - _dot(across, d) * d, _across(normal, d)))
        away = np.where(inward > 0, _across(side, d), side)  # a septal branch turns into the wall
        aim = sprouts.towards - (1 - inward) * _dot(sprouts.towards, normal) * normal
        d = d + _STEP_MM * (_PULL_PER_MM * aim + turn[:, k, None] * away)
        d = _unit(d - (1 - inward) * _dot(d, normal) * normal)
        p = p + _STEP_MM * (cosine[:, k] * d + sine[:, k] * side)
        depth = depth + np.clip((sprouts.depth[:, None] - depth) * 0.08, -_STEEPEST, _STEEPEST)
        radial = np.sqrt(_dot(p / semi, p / semi))
        p = p * (inward + (1 - inward) * depth / radial)
        path[k + 1] = p
    return path


def _halved(path: Array) -> Array:
    """Put a point between each pair along the first axis: a cubic through its four neighbours."""
    padded = np.concatenate([2 * path[:1] - path[1:2], path, 2 * path[-1:] - path[-2:-1]])
    between = (9 * (padded[1:-2] + padded[2:-1]) - padded[:-3] - padded[3:]) / 16
    fine = np.empty((2 * len(path) - 1, *path.shape[1:]))
    fine[::2], fine[1::2] = path, between
    return fine


def _across(a: Array, b: Array) -> Array:
    """Cross product over the last axis; numpy's own spends most of its time on small arrays elsewhere."""
    x, y, z = (a[:, [1, 2, 0]] * b[:, [2, 0, 1]] - a[:, [2, 0, 1]] * b[:, [1, 2, 0]]).T
    return np.stack([x, y, z], axis=1)


def _dot(a: Array, b: Array) -> Array:
    return np.asarray((a * b).sum(axis=-1, keepdims=True))


def _unit(v: Array) -> Array:
    return np.asarray(v / np.maximum(np.sqrt((v * v).sum(axis=-1, keepdims=True)), 1e-9))


def _chord(path: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
