"""The catheter that injects: its shape from the ostium back through the aorta, its make, its motion.

A shape is a list of legs with soft bends between them, from the tip backwards, as they come to lie in the
aorta: a Judkins right rises at once, a Judkins left first crosses to the far wall, an Amplatz sits in the
cusp. It is laid in three dimensions, so a bend is dark where it is foreshortened, and limb and shaft add up
where they cross. Outer diameter: 1 French is 1/3 mm. Everything in mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from casgan_dicom.model.simulator.aorta import Aorta, draw_approach, rounded
from casgan_dicom.model.simulator.contrast import iodine_attenuation
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.growth import SPACING_MM
from casgan_dicom.model.simulator.render import FloatImage, Tubes, make_tubes, path_length
from casgan_dicom.model.simulator.strand import Course, Strand
from casgan_dicom.model.simulator.tree import CoronaryTree, System

Shape = Literal["JL", "JR", "AL", "EBU", "MP"]
Wall = Literal["solid", "braided", "filled", "saline"]

_NONE = 0.08
"""Share of runs whose picture holds no catheter: the agent is given into the aorta, or it is out of sight."""
_DEEPEST_MM = 15.0
_SHAPES: dict[System, dict[Shape, float]] = {
    "LCA": {"JL": 0.55, "EBU": 0.23, "AL": 0.12, "JR": 0.1},
    "RCA": {"JR": 0.68, "AL": 0.14, "MP": 0.18},
}
"""How often each shape is taken for an artery."""
_FRENCH = {4: 0.05, 5: 0.29, 6: 0.44, 7: 0.14, 8: 0.08}
_MM_PER_FRENCH = 1.0 / 3.0
_WALLS: dict[Wall, tuple[float, tuple[float, float], tuple[float, float]]] = {
    "solid": (0.34, (0.3, 0.5), (0.13, 0.32)),
    "braided": (0.3, (0.62, 0.74), (0.13, 0.3)),
    "filled": (0.22, (0.6, 0.74), (0.09, 0.2)),
    "saline": (0.14, (0.74, 0.8), (0.11, 0.24)),
}
"""Share of the runs, lumen over outer diameter, and line integral of the wall, mean over the width."""


@dataclass(frozen=True)
class Make:
    """What a catheter is made of."""

    radius: float
    """Outer radius in mm."""
    lumen: float
    """Radius of the lumen in mm."""
    wall_per_mm: float
    """Attenuation per mm of wall: polymer with its radiopaque filler and braid."""
    filling: float
    """Concentration of agent that the lumen holds before the injection, 0 when flushed with saline."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Make:
        """Draw size and wall: 4 to 8 French, diagnostic and guide."""
        radius = float(rng.choice(list(_FRENCH), p=list(_FRENCH.values()))) * _MM_PER_FRENCH / 2
        kinds = list(_WALLS)
        kind = kinds[int(rng.choice(len(kinds), p=[_WALLS[k][0] for k in kinds]))]
        _, ratio, depth = _WALLS[kind]
        lumen = radius * float(rng.uniform(*ratio))
        mean_chord = np.pi * (radius**2 - lumen**2) / (2 * radius)
        wanted = np.exp(rng.uniform(*np.log(depth)))
        filling = float(rng.uniform(0.3, 0.7)) if kind == "filled" else 0.0
        return cls(radius, lumen, float(wanted / mean_chord), filling)


@dataclass(frozen=True)
class Catheter:
    """The catheter of one run, cut for its view."""

    present: bool
    """False where the picture holds none."""
    make: Make
    """What it is made of."""
    course: Course
    """Its way, from the tip backwards."""
    outer: Strand
    """Its outside; the density is a factor on the wall's, for a soft tip or a marker."""
    inner: Tubes
    """Its lumen, the same points."""

    @classmethod
    def lay(cls, rng: np.random.Generator, aorta: Aorta, tree: CoronaryTree, view: View) -> Catheter:
        """Lead a catheter to the ostium of `tree`, into it, or beside it."""
        present = rng.random() >= _NONE
        make, course = Make.sample(rng), _draw_course(rng, aorta, tree)
        width = np.ones(len(course.points))
        opacity = _opacity(rng, course.along())
        return cls(
            present=present,
            make=make,
            course=course,
            outer=Strand.cut(course, width * make.radius, opacity, view),
            inner=make_tubes([(course.points, width * make.lumen, course.along())], view),
        )

    @property
    def filling(self) -> float:
        """Concentration of agent that the lumen holds before the injection."""
        return self.make.filling

    def path_length(self, view: View, points: Array) -> tuple[FloatImage, FloatImage]:
        """Path length through wall (times its factor) and lumen, points (N, 3) as moved; in mm."""
        if not self.present:
            nothing = np.zeros((view.size, view.size), dtype=np.float32)
            return nothing, nothing
        lumen = path_length(self.inner, points, view)
        hollow = path_length(self.inner, points, view, self.outer.density) if self._uneven else lumen
        return np.maximum(self.outer.attenuation(points, view) - hollow, np.float32(0)), lumen

    def attenuation(self, wall: FloatImage, lumen: FloatImage) -> FloatImage:
        """Line integral of the catheter as it lies before the injection; lengths in mm, float32 (H, W)."""
        return np.float32(self.make.wall_per_mm) * wall + iodine_attenuation(np.float32(self.filling) * lumen)

    def tip(self, view: View, points: Array) -> Array:
        """Column and row of the tip, float64 (2,), in or out of the picture; NaN where there is none."""
        return view.project(points[0])[0] if self.present else np.full(2, np.nan)

    @property
    def _uneven(self) -> bool:
        """True where the wall has a soft tip or a marker."""
        return bool((self.outer.density != 1.0).any())


def _draw_course(rng: np.random.Generator, aorta: Aorta, tree: CoronaryTree) -> Course:
    """Shape, approach and seat of a catheter: on the ostium, up to 15 mm deep, or beside it."""
    shapes = _SHAPES[tree.system]
    shape = list(shapes)[int(rng.choice(len(shapes), p=list(shapes.values())))]
    seat = rng.random()
    engaged = seat < 0.86
    artery = tree.segments[0].points
    reach = rng.uniform(4.0, _DEEPEST_MM) if seat < 0.22 else rng.uniform(0.0, 4.0)
    inside = artery[: min(len(artery), round(reach / SPACING_MM) + 1)][::-1] if engaged else artery[:0]
    beside = np.zeros(3) if engaged else np.array([rng.uniform(2.0, 8.0), *rng.normal(0.0, 4.0, 2)])
    limb = aorta.at(_limb(rng, shape, aorta, beside))
    shaft = aorta.shaft(rng, limb[-1], draw_approach(rng))
    softness = rng.uniform(5.0, 8.0) if shape in ("AL", "EBU") else rng.uniform(3.2, 5.5)
    points = rounded(np.concatenate([inside, limb[int(engaged and len(inside) > 0) :], shaft[1:]]), softness)
    return _set_in_motion(rng, points, SPACING_MM * len(inside), engaged)


def _limb(rng: np.random.Generator, shape: Shape, aorta: Aorta, start: Array) -> Array:
    """Ends of a shape's legs as (across, side, up) in mm, (K, 3), from `start` to up the aorta."""
    far, u = aorta.width - 2.0, rng.uniform
    leg = {
        "JR": [(u(7, 14), u(-6, 1)), (u(13, 21), u(16, 24)), (u(14, far), 44.0)],
        "JL": [(u(4, 9), u(-8, -2)), (far, u(16, 30)), (far, 48.0)],
        "AL": [(u(3, 7), u(0, 5)), (u(9, 15), u(-15, -8)), (far, u(-6, 6)), (far, 40.0)],
        "EBU": [(u(5, 10), u(-7, -2)), (u(16, 20), u(-10, -2)), (far, u(8, 20)), (far, 44.0)],
        "MP": [(u(5, 10), u(3, 9)), (u(12, 20), u(22, 30)), (u(14, far), 46.0)],
    }[shape]
    sideways = np.linspace(0.0, rng.normal(0.0, 5.0), len(leg) + 1)[1:] + rng.normal(0.0, 1.5, len(leg))
    ends = np.array([(across, side, up) for (across, up), side in zip(leg, sideways, strict=True)])
    ends[0] += 0.5 * start  # the legs above lean on the same walls, wherever the tip is
    return np.concatenate([start[None], ends])


def _set_in_motion(rng: np.random.Generator, points: Array, inside_mm: float, engaged: bool) -> Course:
    """The tip goes with the ostium, the shaft less and less, and the beat makes it whip."""
    along = SPACING_MM * np.arange(len(points))
    free = np.maximum(along - inside_mm, 0.0)
    share = np.exp(-free / rng.uniform(20.0, 60.0)) * (1.0 if engaged else rng.uniform(0.5, 0.9))
    held = 1.0 - np.exp(-free / 12.0) if engaged else np.ones(len(points))
    way = rng.normal(0.0, 1.0, 3) * [1.0, 1.0, 0.4]
    amplitude = rng.uniform(0.0, 3.5) * held * np.exp(-free / rng.uniform(40.0, 80.0))
    return Course(points, share, np.outer(amplitude, way / np.linalg.norm(way)), float(rng.random()))


def _opacity(rng: np.random.Generator, along: Array) -> Array:
    """Factor on the wall's attenuation along the catheter: a soft, lighter tip or a marker band in some."""
    opacity = np.ones(len(along))
    if rng.random() < 0.25:
        opacity[along < rng.uniform(2.0, 7.0)] = rng.uniform(0.4, 0.8)
    if rng.random() < 0.12:
        band = rng.uniform(0.5, 3.0)
        opacity[(along >= band) & (along <= band + 1.0)] = rng.uniform(1.8, 3.0)
    return opacity
