"""Pulmonary vessels: a random tree that fills a lung from its hilum and thins out on the way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.tubes import draw_tube

FloatImage = npt.NDArray[np.float32]

_PER_LITRE = 400
_FEWEST, _MOST = 60, 1600
_ROOTS = 7
_TWIG_MM = 0.34
_TRUNK_MM = 2.4  # larger vessels belong to the hilum
_MURRAY = 2.6
_BEYOND = 0.1  # share of the picture outside of which a vessel's nodes are not looked at
_TURNING = 1.6  # how much longer a way may be that goes straight on


@dataclass(frozen=True)
class Ellipsoid:
    """A solid with upright axes, patient mm."""

    centre: Array
    """float64 (3,)."""
    semi: Array
    """float64 (3,), half lengths along x, y, z."""

    def holds(self, points: Array) -> npt.NDArray[np.bool_]:
        """Whether points, (..., 3), lie inside."""
        return np.asarray((((points - self.centre) / self.semi) ** 2).sum(axis=-1) < 1.0)


def draw_lung_vessels(
    rng: np.random.Generator, view: View, lung: Ellipsoid, hilum: Array, solid: tuple[Ellipsoid, ...]
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

    Notes
    -----
    Points are scattered in the lung; from the hilum outwards each is joined to the nearest point that has
    been joined, a way straight on counting as shorter. A vessel's radius follows from the number of twigs
    that it feeds (Murray).
    """
    nodes = _scattered(rng, lung, hilum, solid)
    parents, headings = _joined(nodes)
    twigs = np.ones(len(nodes))
    for child in range(len(nodes) - 1, _ROOTS - 1, -1):
        twigs[parents[child]] += twigs[child]
    radius = np.minimum(_TWIG_MM * rng.uniform(0.85, 1.2) * twigs ** (1.0 / _MURRAY), _TRUNK_MM)
    image = np.zeros((view.size, view.size), dtype=np.float32)
    pixels, _ = view.project(nodes)
    near = np.abs(pixels / (view.size - 1) - 0.5).max(axis=1) < 0.5 + _BEYOND
    for vessel in _vessels(parents, twigs):
        if not near[vessel].any():
            continue
        path = np.concatenate([_curve(nodes[a], headings[a], nodes[b]) for a, b in pairwise(vessel)])
        along = np.append(radius[vessel[1]], radius[vessel[1:]])  # a side branch starts as thin as it is
        at = np.linspace(0.0, len(vessel) - 1.0, len(path))
        draw_tube(image, view, path, np.interp(at, np.arange(len(vessel)), along), 1.0)
    return image


def _vessels(parents: npt.NDArray[np.intp], twigs: Array) -> list[list[int]]:
    """Cut a tree into ways from a fork to a tip that follow the larger branch, as lists of nodes."""
    following = np.full(len(parents), -1)
    for child in range(_ROOTS, len(parents)):
        known = following[parents[child]]
        if known < 0 or twigs[child] > twigs[known]:
            following[parents[child]] = child
    vessels = []
    for child in range(_ROOTS, len(parents)):
        if following[parents[child]] == child and parents[child] >= _ROOTS:
            continue
        vessel = [int(parents[child]), child]
        while following[vessel[-1]] >= 0:
            vessel.append(int(following[vessel[-1]]))
        vessels.append(vessel)
    return vessels


def _scattered(
    rng: np.random.Generator, lung: Ellipsoid, hilum: Array, solid: tuple[Ellipsoid, ...]
) -> Array:
    """Roots about the hilum, then points that fill the lung, nearest to the hilum first, (N, 3)."""
    litres = 4.19e-6 * float(np.prod(lung.semi))
    count = int(np.clip(_PER_LITRE * litres, _FEWEST, _MOST))
    direction = rng.standard_normal((count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    points = lung.centre + direction * rng.random((count, 1)) ** (1 / 3) * lung.semi
    outside = [~body.holds(points) for body in solid]
    points = points[np.logical_and.reduce(outside)] if outside else points
    order = np.argsort(((points - hilum) ** 2).sum(axis=1))
    return np.concatenate([hilum + rng.normal(0.0, 6.0, (_ROOTS, 3)), points[order]])


def _joined(nodes: Array) -> tuple[npt.NDArray[np.intp], Array]:
    """Parent of every node, (N,), and the direction in which it is reached, (N, 3); roots have none."""
    parents = np.zeros(len(nodes), dtype=np.intp)
    headings = np.zeros_like(nodes)
    for child in range(_ROOTS, len(nodes)):
        way = nodes[child] - nodes[:child]
        distance = np.sqrt((way**2).sum(axis=1)) + 1e-6
        straight = (way * headings[:child]).sum(axis=1) / distance
        parents[child] = np.argmin(distance * (_TURNING - straight))
        headings[child] = way[parents[child]] / distance[parents[child]]
    return parents, headings


def _curve(start: Array, heading: Array, end: Array) -> Array:
    """From a node to the next, leaving it the way it was reached, (3, 3)."""
    t = np.array([0.0, 0.5, 1.0])[:, None]
    bend = start + 0.4 * np.linalg.norm(end - start) * heading
    middle = bend if heading.any() else (start + end) / 2
    return np.asarray((1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end)
