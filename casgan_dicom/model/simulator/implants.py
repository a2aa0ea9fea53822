"""Metal that surgeons leave in a chest: sternal wires, clips, valves, leads of pacemakers and defibrillators.

No two pieces are alike: each is tilted, bent and placed by itself. Attenuation is that of steel, titanium
or platinum at 60-65 keV for the thickness that lies in the beam. Everything in patient mm (geometry.py).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.tubes import draw_tube

FloatImage = npt.NDArray[np.float32]

_AORTIC_VALVE, _MITRAL_VALVE = np.array([0.05, 0.1, -0.52]), np.array([-0.05, -0.3, -0.42])
_GRAFTS = (
    ((0.75, 0.35, -0.75), (0.85, 0.25, -0.1), (0.75, 0.1, 0.5)),  # mammary artery to the LAD
    ((0.5, 0.2, -0.8), (0.9, -0.35, -0.3), (0.4, -0.85, 0.25)),  # vein to a marginal
    ((0.35, 0.6, -0.75), (-0.1, 0.95, -0.2), (-0.75, 0.45, 0.25)),  # vein to the right coronary
)
"""Ways over the heart on its unit sphere (up, right, apex)."""


def put_disc(
    image: FloatImage, view: View, place: tuple[Array, Array], radius: float, strength: float
) -> None:
    """Add a thin disc, seen at its slant: an ellipse of even strength with a soft rim.

    Parameters
    ----------
    image
        float32 (size, size), changed in place.
    view
        Where the disc is seen from.
    place
        Its centre (3,) and the direction of its axis (3,), patient mm.
    radius, strength
        Radius in mm and line integral when seen face on; a slanted disc is longer in the beam.
    """
    centre, normal = place
    axis = normal / np.linalg.norm(normal)
    first = np.cross(axis, [0.0, 0.3, 1.0])
    first /= np.linalg.norm(first)
    rim, _ = view.project(centre + radius * np.stack([0 * axis, first, np.cross(axis, first)]))
    spread = (rim[1:] - rim[0]).T  # (2, 2): pixels per radius
    ray = centre - view.source()
    slant = abs(float(axis @ ray)) / float(np.linalg.norm(ray))
    spread = spread @ spread.T + 0.3 * np.eye(2)
    reach = np.ceil(np.sqrt(np.diag(spread)) + 2.0).astype(int)
    low = np.maximum(np.floor(rim[0]).astype(int) - reach, 0)
    high = np.minimum(np.floor(rim[0]).astype(int) + reach + 2, view.size)
    if (low >= high).any():
        return
    x, y = np.arange(low[0], high[0])[None, :] - rim[0, 0], np.arange(low[1], high[1])[:, None] - rim[0, 1]
    a, b, c = np.linalg.inv(spread)[[0, 0, 1], [0, 1, 1]]
    inside = 1.0 - np.sqrt(np.maximum(a * x * x + 2 * b * x * y + c * y * y, 0.0))
    cover = np.clip(inside * np.sqrt(np.diag(spread).mean()) + 0.5, 0.0, 1.0)
    image[low[1] : high[1], low[0] : high[0]] += (strength / max(slant, 0.4) * cover).astype(np.float32)


def _smooth(knots: Array, count: int) -> Array:
    """A spline through (K, 3) knots, (count, 3)."""
    return np.asarray(CubicSpline(np.linspace(0.0, 1.0, len(knots)), knots)(np.linspace(0.0, 1.0, count)))


def _unit(rng: np.random.Generator) -> Array:
    """A random direction, (3,)."""
    v = rng.normal(0.0, 1.0, 3)
    return np.asarray(v / np.linalg.norm(v))


def draw_sternotomy(rng: np.random.Generator, image: FloatImage, view: View, sternum: Array) -> None:
    """Add the wires that close a sternum, and in most the clips behind it; `sternum` is a point of it."""
    height = rng.uniform(-75.0, -45.0)
    per_mm = rng.uniform(0.4, 0.8)
    while height < 95.0:
        centre = sternum + np.array([rng.normal(0.0, 3.0) - 0.05 * height, rng.normal(0.0, 2.0), height])
        if rng.random() < 0.93:
            _sternal_wire(rng, image, view, centre, per_mm)
        height += rng.uniform(14.0, 32.0)
    if rng.random() < 0.6:
        side = rng.choice([-1.0, 1.0]) * rng.uniform(12.0, 25.0)
        bed = sternum + np.array([[side, 8.0, 95.0], [1.2 * side, 10.0, 30.0], [1.5 * side, 14.0, -40.0]])
        _clips_along(rng, image, view, _smooth(bed, 60))


def _sternal_wire(
    rng: np.random.Generator, image: FloatImage, view: View, centre: Array, per_mm: float
) -> None:
    """One steel loop through or around the bone: uneven, tilted, its ends twisted, some broken."""
    turn = np.linspace(0.0, 2 * np.pi, 40) + 0.5 * np.pi
    tilt, roll, dent = rng.normal(0.0, 0.3), rng.normal(0.0, 0.45), rng.normal(0.0, 0.16, (4, 2))
    ring = np.stack([rng.uniform(7.0, 14.0) * np.cos(turn), -rng.uniform(5.0, 9.0) * np.sin(turn)], axis=1)
    uneven = sum(d[0] / k * np.sin(k * turn + 20 * d[1]) for k, d in enumerate(dent, start=1))
    ring *= (1.0 + np.asarray(uneven))[:, None]
    rise = tilt * ring[:, 0] + roll * ring[:, 1] + rng.normal(0.0, 1.5) * np.sin(2 * turn)
    loop = centre + np.stack([ring[:, 0], ring[:, 1], rise], axis=1)
    radius = rng.uniform(0.3, 0.45)
    if rng.random() < 0.1:  # broken: the halves have come apart
        gap = int(rng.integers(8, 32))
        draw_tube(image, view, loop[:gap], radius, per_mm)
        draw_tube(image, view, loop[gap + 2 :] + rng.normal(0.0, 1.5, 3), radius, per_mm)
    else:
        draw_tube(image, view, loop, radius, per_mm)
    _twist(rng, image, view, loop[0], radius, per_mm)


def _twist(
    rng: np.random.Generator, image: FloatImage, view: View, start: Array, radius: float, per_mm: float
) -> None:
    """The two ends wound around each other and bent over."""
    length, across = rng.uniform(4.0, 11.0), _unit(rng) * [1.0, 0.4, 1.0]
    s = np.linspace(0.0, 1.0, 26)
    middle = start + length * np.outer(s, across) + np.outer(s * s, _unit(rng)) * rng.uniform(0.0, 4.0)
    u, v = np.cross(across, [0.3, 1.0, 0.2]), np.array([0.0, 1.0, 0.0])
    winding = length / 2.2 * 2 * np.pi * s
    for phase in (0.0, np.pi):
        coil = np.outer(np.cos(winding + phase), u) + np.outer(np.sin(winding + phase), v)
        draw_tube(image, view, middle + 1.3 * radius * coil, radius, per_mm)


def _clips_along(rng: np.random.Generator, image: FloatImage, view: View, way: Array) -> None:
    """Surgical clips at uneven distances along a vessel, (N, 3): pairs of short bars, closed at one end."""
    at = np.sort(rng.uniform(0.0, len(way) - 1.0, int(rng.integers(2, 9)))).astype(int)
    per_mm = rng.uniform(0.5, 1.1)
    for k in at:
        centre, along, apart = way[k] + rng.normal(0.0, 2.5, 3), _unit(rng), _unit(rng)
        half, gap = rng.uniform(1.4, 3.2), rng.uniform(0.35, 0.8)
        ends = [centre - half * along + gap * apart, centre + half * along + 0.3 * gap * apart]
        back = [centre + half * along - 0.3 * gap * apart, centre - half * along - gap * apart]
        draw_tube(image, view, np.stack(ends + back), rng.uniform(0.3, 0.5), per_mm)


def draw_graft_clips(rng: np.random.Generator, image: FloatImage, view: View, heart: Heart) -> None:
    """Add the clips along one to three bypass grafts, and sometimes the ring at a graft's origin."""
    chosen = rng.permutation(len(_GRAFTS))[: int(rng.integers(1, 4))]
    for k in chosen:
        way = 1.05 * heart.to_patient(_smooth(np.array(_GRAFTS[k]) + rng.normal(0.0, 0.06, (3, 3)), 60))
        _clips_along(rng, image, view, way)
        if k and rng.random() < 0.4:
            _ring(image, view, (way[0], _unit(rng), rng.uniform(3.0, 4.5)), 0.3, 0.5)


def _ring(
    image: FloatImage,
    view: View,
    circle: tuple[Array, Array, float],
    thickness: float,
    per_mm: float,
    share: float = 1.0,
) -> None:
    """A circle (centre, axis, radius) of wire; `share` below 1 leaves it open."""
    centre, axis, radius = circle
    u = np.cross(axis, [0.2, 0.9, 0.4])
    u /= np.linalg.norm(u)
    turn = np.linspace(0.0, 2 * np.pi * share, 49)
    line = centre + radius * (np.outer(np.cos(turn), u) + np.outer(np.sin(turn), np.cross(axis, u)))
    draw_tube(image, view, line, thickness, per_mm)


def draw_valve(rng: np.random.Generator, image: FloatImage, view: View, heart: Heart) -> None:
    """Add an artificial aortic or mitral valve: mechanical, biological, or a ring alone."""
    aortic = rng.random() < 0.6
    centre = heart.to_patient(_AORTIC_VALVE if aortic else _MITRAL_VALVE) + rng.normal(0.0, 3.0, 3)
    axis = heart.axes[2] + rng.normal(0.0, 0.15, 3) + ([-0.2, 0.2, -0.5] if aortic else [0.0, 0.0, 0.0])
    axis /= np.linalg.norm(axis)
    radius = rng.uniform(10.5, 13.0) if aortic else rng.uniform(13.0, 16.5)
    kind = rng.random()
    if kind < 0.4:
        _mechanical(rng, image, view, (centre, axis, radius))
    elif kind < 0.75 or aortic:
        _crown(rng, image, view, (centre, axis, radius))
    else:
        share, thickness = rng.choice([0.75, 1.0]), rng.uniform(0.5, 1.0)
        _ring(image, view, (centre, axis, radius), thickness, rng.uniform(0.1, 0.4), share)


def _mechanical(
    rng: np.random.Generator, image: FloatImage, view: View, circle: tuple[Array, Array, float]
) -> None:
    """A metal housing and two half discs of loaded carbon, more or less open."""
    centre, axis, radius = circle
    for shift in (-1.2, 0.0, 1.2):
        _ring(image, view, (centre + shift * axis, axis, radius), 0.7, rng.uniform(0.2, 0.35))
    hinge = np.cross(axis, _unit(rng))
    hinge /= np.linalg.norm(hinge)
    side, opening = np.cross(hinge, axis), rng.uniform(0.4, 1.4)
    for sign in (-1.0, 1.0):
        leaf = np.cos(opening) * sign * side + np.sin(opening) * axis
        for out in np.linspace(0.05, 0.9, 18):
            half = radius * np.sqrt(1.0 - out**2) * 0.95
            bar = centre + out * radius * leaf + np.outer([-half, half], hinge)
            draw_tube(image, view, bar, 0.75, 0.025)


def _crown(
    rng: np.random.Generator, image: FloatImage, view: View, circle: tuple[Array, Array, float]
) -> None:
    """The wire frame of a biological valve: a ring with three posts."""
    centre, axis, radius = circle
    u = np.cross(axis, _unit(rng))
    u /= np.linalg.norm(u)
    turn, height = np.linspace(0.0, 2 * np.pi, 73), rng.uniform(8.0, 14.0)
    post = np.abs(np.cos(1.5 * turn)) ** rng.uniform(2.0, 5.0)
    circle_line = np.outer(np.cos(turn), u) + np.outer(np.sin(turn), np.cross(axis, u))
    frame = centre + radius * circle_line * (1.0 - 0.12 * post)[:, None] - np.outer(height * post, axis)
    draw_tube(image, view, frame, rng.uniform(0.25, 0.5), rng.uniform(0.4, 0.8))
    if rng.random() < 0.6:
        _ring(image, view, (centre + axis, axis, 1.03 * radius), 0.4, rng.uniform(0.15, 0.5))


def draw_leads(rng: np.random.Generator, image: FloatImage, view: View, heart: Heart) -> None:
    """Add one to three leads from the upper caval vein, an ICD's coils in some, and the can above."""
    entry = heart.to_patient(np.array([-0.1, 0.55, -0.75])) + np.array([0.0, 4.0, 45.0])
    above = entry + np.array([[14.0, -12.0, 55.0], [52.0, -34.0, 78.0]]) + rng.normal(0.0, 5.0, (2, 3))
    targets = ((-0.42, 0.1, 0.78), (0.35, 0.75, -0.6), (-0.25, -0.95, -0.1))[: int(rng.integers(1, 4))]
    shocks = rng.random() < 0.35
    for number, target in enumerate(targets):
        tip = heart.to_patient(np.array(target) + rng.normal(0.0, 0.05, 3))
        low = heart.to_patient(np.array([-0.5, 0.35, -0.3])) if number != 1 else entry - [0.0, 0.0, 55.0]
        knots = [*above[::-1], entry, entry - [2.0, 0.0, 30.0], low, tip]
        path = _smooth(np.stack(knots) + rng.normal(0.0, 3.0, (6, 3)) * [[1], [1], [1], [1], [1], [0]], 110)
        draw_tube(image, view, path, rng.uniform(0.6, 1.0), rng.uniform(0.08, 0.25))
        draw_tube(image, view, path[-2:], 1.0, 0.4)  # tip and ring electrodes
        draw_tube(image, view, path[-7:-5], 1.0, 0.4)
        if shocks and number == 0:
            draw_tube(image, view, path[-32:-10], 1.3, rng.uniform(0.2, 0.35))
    can = above[1] + [18.0, -14.0, -6.0]
    put_disc(image, view, (can, np.array([0.3, -1.0, 0.1])), rng.uniform(20.0, 26.0), rng.uniform(0.8, 1.6))
