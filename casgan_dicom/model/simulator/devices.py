"""What else an operator has in the heart: a guide wire, a second catheter, a temporary pacing lead, a stent.

All of them move with the heart (strand.py); most runs have none. Left out: balloons, which are filled with
agent for seconds, and what is implanted for good, which belongs to the patient (implants.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from casgan_dicom.model.simulator.aorta import Aorta, draw_approach, rounded
from casgan_dicom.model.simulator.catheter import Catheter
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.growth import SPACING_MM, resample
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.motion import Motion
from casgan_dicom.model.simulator.render import FloatImage
from casgan_dicom.model.simulator.strand import Course, Strand
from casgan_dicom.model.simulator.tree import CoronaryTree

_WIRE_SHARE, _SECOND_SHARE, _STENT_SHARE = 0.1, 0.08, 0.05
"""Shares of the runs with a guide wire, with a second catheter or lead, with a stent."""
_PIGTAIL_LOOP_MM = 5.5
_ELECTRODES_MM = ((0.0, 2.5), (10.0, 12.0))
"""Where a bipolar lead's electrodes are, from the tip backwards."""
_STRUT_PITCH_MM = 1.3


@dataclass(frozen=True)
class Devices:
    """What one run has beside its catheter, cut for its view."""

    strands: tuple[Strand, ...] = ()
    """Each with its attenuation per mm; mostly none."""

    @classmethod
    def lay(
        cls,
        rng: np.random.Generator,
        anatomy: tuple[Heart, Aorta, CoronaryTree],
        catheter: Catheter,
        view: View,
    ) -> Devices:
        """Draw what a run has; a guide wire needs a catheter that it comes out of."""
        heart, aorta, tree = anatomy
        with_wire, with_second, with_stent = rng.random(3) < (_WIRE_SHARE, _SECOND_SHARE, _STENT_SHARE)
        strands: list[Strand] = []
        if with_wire and catheter.present:
            strands.append(_guide_wire(rng, tree, catheter.course, view))
        if with_second:
            second = (
                _pacing_lead(rng, heart, view) if rng.random() < 0.5 else _pigtail(rng, aorta, heart, view)
            )
            strands.append(second)
        if with_stent:
            strands.append(_stent(rng, tree, view))
        return cls(tuple(strands))

    def attenuation(self, view: View, carry: Callable[[Strand], Array]) -> FloatImage:
        """Line integral of all, float32 (H, W); `carry` says where a strand's points are now."""
        total = np.zeros((view.size, view.size), dtype=np.float32)
        for strand in self.strands:
            total += strand.attenuation(carry(strand), view)
        return total


def carrier(motion: Motion, heart: Heart, phase: float, breath_mm: float) -> Callable[[Strand], Array]:
    """What moves any strand of a patient to one moment."""
    return lambda strand: strand.moved(motion, heart, phase, breath_mm)


def _guide_wire(rng: np.random.Generator, tree: CoronaryTree, catheter: Course, view: View) -> Strand:
    """A wire of 0.2 to 0.36 mm through the catheter and down the artery, its last 20 to 30 mm dark."""
    artery = _way_down(rng, tree)
    from_tip = np.linalg.norm(artery - catheter.points[0], axis=1)
    start = int(np.argmin(from_tip[: round(20.0 / SPACING_MM)])) + 1
    end = min(len(artery), start + round(rng.uniform(35.0, 110.0) / SPACING_MM))
    beyond = artery[start:end][::-1]
    points = np.concatenate([beyond, catheter.points])
    course = Course(
        points=points,
        share=np.concatenate([np.ones(len(beyond)), catheter.share]),
        swing=np.concatenate([np.zeros((len(beyond), 3)), catheter.swing]),
        beat=catheter.beat,
    )
    density = np.full(len(points), rng.uniform(0.35, 0.8))
    density[course.along() < rng.uniform(20.0, 30.0)] = rng.uniform(1.5, 3.5)
    return Strand.cut(course, np.full(len(points), rng.uniform(0.1, 0.18)), density, view)


def _way_down(rng: np.random.Generator, tree: CoronaryTree) -> Array:
    """A way from the ostium through the larger segments to the periphery, (N, 3)."""
    index, parts = 0, [tree.segments[0].points]
    while True:
        end = tree.segments[index].points[-1]
        onward = [
            i
            for i, s in enumerate(tree.segments)
            if s.parent == index and np.linalg.norm(s.points[0] - end) < 2.0
        ]
        if not onward:
            return np.concatenate(parts)
        index = int(rng.choice(onward))
        parts.append(tree.segments[index].points[1:])


def _pigtail(rng: np.random.Generator, aorta: Aorta, heart: Heart, view: View) -> Strand:
    """A 5F pigtail in the root or in the left ventricle, led there on its own way."""
    low = aorta.at((aorta.width * rng.uniform(0.4, 0.6), rng.normal(0.0, 3.0), rng.uniform(0.0, 12.0)))
    if rng.random() < 0.4:
        low = heart.to_patient(np.array([0.1, -0.05, rng.uniform(-0.1, 0.3)]))
    above = aorta.at((aorta.width * rng.uniform(0.4, 0.9), rng.normal(0.0, 3.0), 42.0))
    down = (low - above) / np.linalg.norm(low - above)
    side = np.cross(down, rng.normal(0.0, 1.0, 3))
    side /= np.linalg.norm(side)
    turn = np.linspace(rng.uniform(4.8, 6.4), 0.0, 40)[:, None]  # from the tip to where the loop begins
    loop = low + _PIGTAIL_LOOP_MM * ((1.0 - np.cos(turn)) * side + np.sin(turn) * down)
    shaft = rounded(np.concatenate([low[None], aorta.shaft(rng, above, draw_approach(rng))]), 4.0)
    points = resample(np.concatenate([loop[:-2], shaft[2:]])[::2], SPACING_MM)
    along = SPACING_MM * np.arange(len(points))
    share = rng.uniform(0.6, 1.0) * np.exp(-along / rng.uniform(60.0, 120.0))
    swing = np.outer(rng.uniform(0.5, 3.0) * np.exp(-along / 60.0), side)
    radius = rng.uniform(0.65, 0.9)
    density = np.full(len(points), rng.uniform(0.12, 0.34) / (0.5 * np.pi * radius))
    return Strand.cut(
        Course(points, share, swing, float(rng.random())), np.full(len(points), radius), density, view
    )


def _pacing_lead(rng: np.random.Generator, heart: Heart, view: View) -> Strand:
    """A temporary lead from a caval vein through the right atrium to the right ventricle's apex."""
    tip = heart.to_patient(np.array([-0.35, 0.1, 0.72])) + rng.normal(0.0, 3.0, 3)
    floor = heart.to_patient(np.array([-0.62, 0.1, 0.1])) + rng.normal(0.0, 4.0, 3)
    atrium = heart.to_patient(np.array([-0.3, 0.55, -0.55])) + rng.normal(0.0, 5.0, 3)
    if rng.random() < 0.6:  # from the groin
        atrium = atrium + np.array([-2.0, 4.0, -20.0])
        vein = atrium + np.array([[-4.0, 8.0, -30.0], [-4.0, 14.0, -90.0], [-2.0, 18.0, -200.0]])
    else:
        vein = atrium + np.array([[-6.0, 2.0, 40.0], [-8.0, 2.0, 90.0], [-14.0, 0.0, 160.0]])
    points = resample(np.concatenate([[tip, floor, atrium], vein]), SPACING_MM)
    along = SPACING_MM * np.arange(len(points))
    share = 1.0 / (1.0 + np.exp((along - 110.0) / 20.0))
    swing = np.outer(rng.uniform(0.0, 2.0) * along * np.exp(-along / 40.0) / 15.0, rng.normal(0.0, 0.6, 3))
    radius = rng.uniform(0.6, 0.85)
    density = np.full(len(points), rng.uniform(0.1, 0.3) / (2.0 * radius))
    for first, last in _ELECTRODES_MM:
        density[(along >= first) & (along <= last)] = rng.uniform(0.5, 0.9)
    return Strand.cut(
        Course(points, share, swing, float(rng.random())), np.full(len(points), radius), density, view
    )


def _stent(rng: np.random.Generator, tree: CoronaryTree, view: View) -> Strand:
    """Struts of 0.08 mm wound around 12 to 30 mm of a larger vessel."""
    way, radii = _way_down(rng, tree), tree.segments[0].radius
    first = int(rng.integers(10, min(100, len(way) - 30)))
    line = way[first : first + round(rng.uniform(12.0, 30.0) / SPACING_MM)]
    at = np.linspace(0.0, len(line) - 1.001, 30 * len(line))
    centre = np.stack([np.interp(at, np.arange(len(line)), line[:, k]) for k in range(3)], axis=1)
    along = np.gradient(centre, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.cross(along, rng.normal(0.0, 1.0, 3))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    turn = (2 * np.pi * SPACING_MM / _STRUT_PITCH_MM * at)[:, None]
    radius = float(np.clip(radii.max() * rng.uniform(0.75, 1.0), 1.2, 2.0))
    points = centre + radius * (np.cos(turn) * side + np.sin(turn) * np.cross(along, side))
    course = Course(points, np.ones(len(points)), np.zeros((len(points), 3)))
    return Strand.cut(course, np.full(len(points), 0.05), np.full(len(points), rng.uniform(0.9, 2.2)), view)
