"""A chest made from ellipsoids, arcs and tubes: a background that needs no data and no licence.

Organs live in patient millimetres (geometry.py), so every view of one patient agrees with every other and
with the coronary tree. Everything is projected once per run; layered.py lets it beat and breathe.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.background import Background
from casgan_dicom.model.simulator.chest import Chest
from casgan_dicom.model.simulator.clutter import pacing_clutter, still_clutter
from casgan_dicom.model.simulator.collimator import Collimator
from casgan_dicom.model.simulator.drr import line_integrals
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.layered import LUNG, SOFT_TISSUE, LayeredBackground
from casgan_dicom.model.simulator.lungs import Ellipsoid, draw_lung_vessels
from casgan_dicom.model.simulator.skeleton import draw_ribs, draw_spine
from casgan_dicom.model.simulator.solids import Rays, length
from casgan_dicom.model.simulator.texture import fractal_texture

FloatImage = npt.NDArray[np.float32]


class ProceduralBackgrounds:
    """Makes patients out of geometry alone; see `BackgroundSource`."""

    def background(self, rng: np.random.Generator, view: View) -> Background:
        """One patient seen from `view`; every random choice comes from `rng`."""
        heart, chest, rays = _sample_heart(rng), Chest.sample(rng), Rays.of(view)
        collimator = Collimator.sample(rng, view.size)
        (air,) = line_integrals(chest.air(rng, heart), view, np.eye(3))
        trunk = rays.ellipsoid(chest.trunk.centre, np.eye(3), chest.trunk.semi)
        still = np.float32(SOFT_TISSUE) * length(trunk) + collimator.attenuation
        still += draw_spine(rng, rays, chest.thorax, 1.4 / view.pixel_mm) + draw_ribs(rng, view, chest.thorax)
        still += still_clutter(rng, view, chest.thorax.midline, chest.trunk.centre[1] - chest.trunk.semi[1])
        still += _tissue(rng, view, (0.05, 0.15), 200.0) + _tissue(rng, view, (0.02, 0.05), 50.0)
        detail = _lung_detail(rng, view, chest, heart) * np.minimum(air, 1.0)
        detail += pacing_clutter(rng, view, heart)
        return LayeredBackground(heart, view, collimator, still, air, detail)


def _sample_heart(rng: np.random.Generator) -> Heart:
    """An adult heart, its apex to the left, the front and the feet."""
    default = Heart()
    size = rng.uniform(0.9, 1.15)
    a, b, c = (float(s * size * rng.uniform(0.95, 1.05)) for s in default.semi_axes_mm)
    apex = default.axes[2] + rng.normal(0.0, 0.08, 3)
    apex /= np.linalg.norm(apex)
    left = np.cross(apex, [0.0, 0.0, 1.0])
    left /= np.linalg.norm(left)
    return Heart(np.stack([np.cross(left, apex), left, apex]), (a, b, c))


def _lung_detail(rng: np.random.Generator, view: View, chest: Chest, heart: Heart) -> FloatImage:
    """Vessels and unresolved structure of both lungs, line integral above aerated lung."""
    solid = (Ellipsoid(np.zeros(3), np.full(3, 0.85 * min(heart.semi_axes_mm))), *chest.domes)
    chords = np.zeros((view.size, view.size), dtype=np.float32)
    for side, lung in zip((-1.0, 1.0), chest.lungs, strict=True):
        chords += draw_lung_vessels(rng, view, lung, chest.hilum(side), solid)
    return np.float32(SOFT_TISSUE - LUNG) * chords + _tissue(rng, view, (0.03, 0.07), 35.0)


def _tissue(
    rng: np.random.Generator, view: View, strength: tuple[float, float], longest_mm: float
) -> FloatImage:
    """Unresolved structure as a 1/f^beta field, line integral; the strength is drawn from a range."""
    beta = rng.uniform(2.5, 3.2)
    field = fractal_texture(rng, view.size, view.pixel_mm, beta=beta, longest_mm=longest_mm)
    return np.float32(rng.uniform(*strength)) * field
