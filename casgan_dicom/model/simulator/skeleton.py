"""Ribs and spine, line integrals above soft tissue; everything that does not move within a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.solids import Rays, intersect, length
from casgan_dicom.model.simulator.tubes import draw_tube

FloatImage = npt.NDArray[np.float32]

_MARROW = 0.0075  # above soft tissue, per mm at 60 to 65 keV
_CORTEX = 0.032
_UPRIGHT = np.eye(3)


@dataclass(frozen=True)
class Thorax:
    """Where the bony cage stands, patient mm."""

    midline: float = -22.0
    """x of the spine."""
    spine: float = 72.0
    """y of the vertebral bodies' centres."""
    half_width: float = 135.0
    """Half the inner width of the rib cage."""
    half_depth: float = 92.0
    """Half the inner depth of the rib cage."""
    centre: float = 12.0
    """y of the rib cage's centre."""
    pitch: float = 25.0
    """Distance between vertebrae."""
    phase: float = 0.0
    """z of one disc."""
    density: float = 1.0
    """Bone mineral relative to a healthy adult."""


def draw_spine(rng: np.random.Generator, rays: Rays, thorax: Thorax, soft_px: float) -> FloatImage:
    """Line integral of nine vertebrae with their processes, softened by `soft_px`, float32 (H, W)."""
    image = np.zeros(rays.directions.shape[1:], dtype=np.float32)
    lean, bow = rng.normal(0.0, 0.05), rng.normal(0.0, 4.0)
    for level in range(-4, 5):
        z = thorax.phase + (level + 0.5) * thorax.pitch
        centre = np.array(
            [thorax.midline + lean * z + bow * (z / 100.0) ** 2, thorax.spine + 0.0006 * z**2, z]
        )
        half = thorax.pitch * rng.uniform(0.39, 0.42)
        width = rng.uniform(15.5, 17.5)
        image += _body(rays, centre, width, half)
        for side in (-1.0, 1.0):
            pedicle = centre + np.array([side * width * 0.68, width + 4.0, half * 0.3])
            image += _shell(rays, pedicle, np.array([4.5, 9.0, 6.5]))
            image += 0.6 * _shell(
                rays, centre + np.array([side * 27.0, width + 14.0, half * 0.3]), np.array([14.0, 5.0, 5.0])
            )
        image += _shell(rays, centre + np.array([0.0, width + 24.0, -10.0]), np.array([3.5, 14.0, 9.0]))
    return np.asarray(np.float32(thorax.density) * ndimage.gaussian_filter(image, soft_px, mode="nearest"))


def _body(rays: Rays, centre: npt.NDArray[np.float64], width: float, half: float) -> FloatImage:
    """A vertebral body: an elliptic cylinder with a cortical shell and denser end plates."""
    outer = rays.ellipsoid(centre, _UPRIGHT, (width, width * 0.85, np.inf))
    inner = rays.ellipsoid(centre, _UPRIGHT, (width - 1.0, width * 0.85 - 1.0, np.inf))
    whole = length(intersect(outer, rays.slab(centre, (0, 0, 1), half)))
    marrow = length(intersect(inner, rays.slab(centre, (0, 0, 1), half - 1.0)))
    return np.asarray(np.float32(_MARROW) * marrow + np.float32(0.6 * _CORTEX) * (whole - marrow))


def _shell(rays: Rays, centre: npt.NDArray[np.float64], semi: npt.NDArray[np.float64]) -> FloatImage:
    """An ellipsoid of marrow with a cortical shell of 1 mm."""
    whole = length(rays.ellipsoid(centre, _UPRIGHT, semi))
    marrow = length(rays.ellipsoid(centre, _UPRIGHT, semi - 1.0))
    return np.asarray(np.float32(_MARROW) * marrow + np.float32(0.7 * _CORTEX) * (whole - marrow))


def draw_ribs(rng: np.random.Generator, view: View, thorax: Thorax) -> FloatImage:
    """Line integral of the ribs, float32 (size, size): arcs from the spine, sloping down to the front."""
    image = np.zeros((view.size, view.size), dtype=np.float32)
    slope = rng.uniform(60.0, 95.0)
    round_trip = np.deg2rad(np.linspace(12.0, rng.uniform(125.0, 140.0), 44))
    for level in range(-4, 8):
        z0 = thorax.phase + level * thorax.pitch + 6.0
        for side in (-1.0, 1.0):
            wobble = np.cumsum(rng.normal(0.0, 0.35, len(round_trip)))
            x = thorax.midline + side * thorax.half_width * np.sin(round_trip)
            y = thorax.centre + thorax.half_depth * np.cos(round_trip)
            z = z0 + 8.0 * np.sin(round_trip) - slope * (1.0 - np.cos(round_trip)) / 2 + wobble
            path = np.stack([x, y, z], axis=1)
            radius = rng.uniform(4.2, 5.6) * (0.85 + 0.3 * np.sin(round_trip))
            draw_tube(image, view, path, radius, 0.7 * _CORTEX * thorax.density)
            draw_tube(image, view, path, radius - 0.9, (_MARROW - 0.7 * _CORTEX) * thorax.density)
    return np.maximum(image, np.float32(0.0))
