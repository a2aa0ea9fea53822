"""Pulmonary vessels: random trees that grow from the hilum into a lung and thin out on the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.tubes import draw_tube

FloatImage = npt.NDArray[np.float32]

_THINNEST_MM = 0.5
_MOST_BRANCHES = 700


@dataclass(frozen=True)
class Ellipsoid:
    """A solid with upright axes, patient mm."""

    centre: Array
    """float64 (3,)."""
    semi: Array
    """float64 (3,), half lengths along x, y, z."""

    def holds(self, point: Array) -> bool:
        """Whether a point, (3,), lies inside."""
        return bool((((point - self.centre) / self.semi) ** 2).sum() < 1.0)


def draw_lung_vessels(
    rng: np.random.Generator,
    view: View,
    lung: Ellipsoid,
    hilum: Array,
    solid: tuple[Ellipsoid, ...],
    *,
    thickest: float = 4.0,
) -> FloatImage:
    """Chord lengths in mm of one lung's vessels, float32 (size, size).

    Parameters
    ----------
    rng
        Grows the tree.
    view
        Where it is seen from.
    lung
        Growth ends at its surface.
    hilum
        Where the tree starts, (3,).
    solid
        Bodies that reach into the lung (heart, diaphragm); growth ends there too.
    thickest
        Radius in mm of the largest vessel at the hilum.
    """
    image = np.zeros((view.size, view.size), dtype=np.float32)
    shoots = [
        (
            hilum + rng.normal(0.0, 11.0, 3),
            _turned(rng, lung.centre - hilum, 80.0),
            thickest * rng.uniform(0.4, 1.0),
        )
        for _ in range(13)
    ]
    drawn = 0
    while shoots and drawn < _MOST_BRANCHES:
        start, heading, radius = shoots.pop(0)
        path = _branch(rng, start, heading, radius)
        alive = lung.holds(path[-1]) and not any(body.holds(path[-1]) for body in solid)
        if not alive and radius < 2.0:
            continue
        drawn += 1
        tip = radius * 0.86
        draw_tube(image, view, path, np.linspace(radius, tip, len(path)), 1.0)
        if alive and tip * 0.7 > _THINNEST_MM:
            ahead = path[-1] - path[-2]
            split = rng.uniform(0.6, 0.95)
            shoots.append((path[-1], _turned(rng, ahead, 25.0 / split), tip * split))
            shoots.append((path[-1], _turned(rng, ahead, 55.0), tip * rng.uniform(0.45, 0.75)))
    return image


def _branch(rng: np.random.Generator, start: Array, heading: Array, radius: float) -> Array:
    """A slightly wavy piece of vessel, (5, 3)."""
    step = (6.0 + 5.0 * radius) * rng.uniform(0.6, 1.3) / 4
    headings = heading + np.cumsum(rng.normal(0.0, 0.14, (4, 3)), axis=0)
    return np.vstack([start, start + np.cumsum(step * headings, axis=0)])


def _turned(rng: np.random.Generator, heading: Array, spread_deg: float) -> Array:
    """A unit vector about `spread_deg` off `heading`."""
    unit = heading / np.linalg.norm(heading)
    aside = np.cross(unit, rng.standard_normal(3))
    angle = np.deg2rad(rng.normal(spread_deg, 8.0) if spread_deg < 60 else rng.uniform(0.0, spread_deg))
    return np.asarray(np.cos(angle) * unit + np.sin(angle) * aside / np.linalg.norm(aside))
