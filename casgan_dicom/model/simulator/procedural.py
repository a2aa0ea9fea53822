"""A chest made from ellipsoids, arcs and tubes: a background that needs no data and no licence.

Organs live in patient millimetres (geometry.py), so every view of one patient agrees with every other and
with the coronary tree. Everything is projected once per run; layered.py lets it beat and breathe.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.background import Background
from casgan_dicom.model.simulator.chest import Chest
from casgan_dicom.model.simulator.clutter import pacing_clutter, still_clutter, surface_folds
from casgan_dicom.model.simulator.collimator import Collimator
from casgan_dicom.model.simulator.drr import line_integrals, straight
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart, axes_to
from casgan_dicom.model.simulator.layered import LUNG, SOFT_TISSUE, LayeredBackground
from casgan_dicom.model.simulator.lungs import Ellipsoid, draw_lung_vessels
from casgan_dicom.model.simulator.skeleton import draw_ribs, draw_spine
from casgan_dicom.model.simulator.solids import Rays, length
from casgan_dicom.model.simulator.texture import fractal_texture
from casgan_dicom.model.simulator.wall import draw_breasts

FloatImage = npt.NDArray[np.float32]

_BLUR_MM = 0.6  # on the detector: tissue has no steps


class ProceduralBackgrounds:
    """Makes patients out of geometry alone; see `BackgroundSource`."""

    def background(self, rng: np.random.Generator, view: View) -> Background:
        """One patient seen from `view`; every random choice comes from `rng`."""
        heart, chest, wide = _sample_heart(rng), Chest.sample(rng), view.widened()
        collimator = Collimator.sample(rng, view.size)
        (air,) = line_integrals(chest.air(rng, heart), wide, straight)
        front = float(chest.trunk.centre[1] - chest.trunk.semi[1])
        vessels = _lung_vessels(rng, wide, chest, heart) * np.minimum(air, 1.0)
        return LayeredBackground(
            heart,
            view,
            collimator,
            still=_still(rng, wide, chest, front) + surface_folds(rng, wide),
            air=air - vessels,
            clutter=still_clutter(rng, wide, chest.thorax.midline, front),
            implants=pacing_clutter(rng, wide, heart),
        )


def _sample_heart(rng: np.random.Generator) -> Heart:
    """An adult heart, its apex to the left, the front and the feet."""
    default = Heart()
    size = rng.uniform(0.88, 1.18)
    a, b, c = (float(s * size * rng.uniform(0.94, 1.06)) for s in default.semi_axes_mm)
    apex = default.axes[2] + rng.normal(0.0, 0.11, 3)
    return Heart(axes_to(apex), (a, b, c))


def _still(rng: np.random.Generator, view: View, chest: Chest, front: float) -> FloatImage:
    """The body with its lungs filled, line integral."""
    rays, blur = Rays.of(view), _BLUR_MM / view.pixel_mm
    image = np.float32(SOFT_TISSUE) * length(rays.ellipsoid(chest.trunk.centre, np.eye(3), chest.trunk.semi))
    image += draw_spine(rng, view, chest.thorax, 1.8 * blur)
    image += draw_ribs(rng, view, chest.thorax, blur)
    image += draw_breasts(rng, rays, chest.thorax.midline, front, blur)
    image += _tissue(rng, view, (0.03, 0.09), 250.0, 4.0)  # thickness of muscle and fat
    return np.asarray(image + _tissue(rng, view, (0.006, 0.015), 25.0, 3.2))


def _lung_vessels(rng: np.random.Generator, view: View, chest: Chest, heart: Heart) -> FloatImage:
    """Vessels and fine structure of both lungs, line integral above aerated lung."""
    solid = (Ellipsoid(np.zeros(3), np.full(3, 0.85 * min(heart.semi_axes_mm))), *chest.domes)
    chords = np.zeros((view.size, view.size), dtype=np.float32)
    for side, lung in zip((-1.0, 1.0), chest.lungs, strict=True):
        chords += draw_lung_vessels(rng, view, lung, chest.hilum(side), solid)
    weight = np.float32((SOFT_TISSUE - LUNG) * rng.uniform(0.7, 1.25))
    return weight * chords + _tissue(rng, view, (0.006, 0.015), 12.0, 2.8)


def _tissue(
    rng: np.random.Generator, view: View, strength: tuple[float, float], longest_mm: float, beta: float
) -> FloatImage:
    """Unresolved structure as a 1/f^beta field, line integral; the strength is drawn from a range."""
    field = fractal_texture(rng, view.size, view.pixel_mm, beta=beta, longest_mm=longest_mm)
    return np.float32(rng.uniform(*strength)) * field
