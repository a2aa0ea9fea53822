"""The 6F catheter: from above down the ascending aorta to the ostium of the injected artery.

Its tip sits in the ostium and moves with it; the shaft above moves less and less. The wall is loaded with
a radiopaque filler and is seen as two thin lines, the lumen holds saline or agent. Everything in mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from casgan_dicom.model.simulator.contrast import iodine_attenuation
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.growth import resample
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.render import FloatImage, Tubes, make_tubes, path_length
from casgan_dicom.model.simulator.tree import CoronaryTree

_OUTER_RADIUS_MM = 1.0
"""6F are 2 mm."""
_LUMEN_RADIUS_MM = 0.86
_WALL_PER_MM = 0.2
"""Attenuation of the filled polymer and its braid per mm of wall."""
_LOOSE_MM = 35.0
"""Way along the shaft over which it loses most of the tip's motion."""
_CLOUD_BLUR_MM = 2.0
"""Softness of the cloud's edge on the detector."""


@dataclass(frozen=True)
class Catheter:
    """The catheter of one run, cut for its view."""

    tip: Array
    """float64 (3,), patient mm at end-diastole."""
    filling: float
    """Concentration of agent that the lumen holds before the injection, 0 when flushed with saline."""
    outer: Tubes
    """The shaft's outside; `arc` is the share of the tip's motion that each point makes, 1 at the tip."""
    inner: Tubes
    """The shaft's lumen, the same points."""
    cloud: Tubes
    """Agent that flows back from the ostium into the aorta."""

    @classmethod
    def lay(cls, rng: np.random.Generator, heart: Heart, tree: CoronaryTree, view: View) -> Catheter:
        """Lead a catheter to the ostium of `tree`, from the wrist or from the groin."""
        points = _course(rng, heart, tree)
        filling = float(rng.uniform(0.4, 0.9)) if rng.random() < 0.6 else 0.0
        looseness = np.exp(-0.5 * np.arange(len(points)) / _LOOSE_MM)
        width = np.ones(len(points))
        return cls(
            tip=points[0],
            filling=filling,
            outer=make_tubes([(points, width * _OUTER_RADIUS_MM, looseness)], view),
            inner=make_tubes([(points, width * _LUMEN_RADIUS_MM, looseness)], view),
            cloud=make_tubes([_cloud(rng, tree)], view),
        )

    def path_length(self, view: View, shift: Array) -> tuple[FloatImage, FloatImage]:
        """Path length through wall and lumen when the tip has moved by `shift` (3,); in mm."""
        points = self.outer.points + self.outer.arc[:, None] * shift
        lumen = path_length(self.inner, points, view)
        return np.maximum(path_length(self.outer, points, view) - lumen, np.float32(0)), lumen

    def attenuation(self, wall: FloatImage, lumen: FloatImage) -> FloatImage:
        """Line integral of the catheter as it lies before the injection; lengths in mm, float32 (H, W)."""
        return np.float32(_WALL_PER_MM) * wall + iodine_attenuation(np.float32(self.filling) * lumen)

    def cloud_length(self, view: View, shift: Array, concentration: float) -> FloatImage:
        """Path length times concentration of the agent in the aorta, float32 (H, W), mm."""
        if concentration <= 0:
            return np.zeros((view.size, view.size), dtype=np.float32)
        path = path_length(self.cloud, self.cloud.points + shift, view)
        soft = gaussian_filter(path, _CLOUD_BLUR_MM / view.pixel_mm)
        return np.asarray(np.float32(concentration) * soft, dtype=np.float32)


def _course(rng: np.random.Generator, heart: Heart, tree: CoronaryTree) -> Array:
    """The catheter's centreline from the tip upwards, float64 (N, 3), 0.5 mm apart.

    From the wrist it comes down from the neck's right side, from the groin up in front of the spine, over
    the arch and down.
    """
    into = _into(tree)
    tip = tree.ostium + 1.5 * into
    root = heart.to_patient(np.array([0.0, 0.0, -0.62])) + np.array([0.0, -2.0, 8.0])
    bend = tip - 9.0 * into + np.array([0.0, 0.0, 4.0])
    leaning = rng.normal(0.0, 3.0, (4, 3))
    rising = [
        root + np.array([-6.0, -2.0, 22.0]) + leaning[0],
        root + np.array([-10.0, -4.0, 50.0]) + leaning[1],
    ]
    if rng.random() < 0.5:
        above = [root + np.array([-14.0, 2.0, 85.0]) + leaning[2], root + np.array([-30.0, 2.0, 130.0])]
    else:
        above = [
            root + np.array([8.0, 12.0, 82.0]) + leaning[2],
            root + np.array([34.0, 42.0, 70.0]) + leaning[3],
            np.array([28.0, 62.0, 20.0]) + leaning[3],
            np.array([20.0, 66.0, -120.0]) + leaning[3],
        ]
    return resample(np.array([tip, tip - 4.0 * into, bend, *rising, *above]), 0.5)


def _into(tree: CoronaryTree) -> Array:
    """Direction in which the artery leaves the aorta, unit vector (3,)."""
    points = tree.segments[0].points
    into = points[min(8, len(points) - 1)] - tree.ostium
    return np.asarray(into / np.linalg.norm(into))


def _cloud(rng: np.random.Generator, tree: CoronaryTree) -> tuple[Array, Array, Array]:
    """Middle line, radii and zeros of the cloud that flows back into the aorta."""
    back = np.linspace(0.0, 1.0, 12)
    line = tree.ostium + np.outer(back, -12.0 * _into(tree) + np.array([0.0, 0.0, rng.uniform(-4.0, 8.0)]))
    return line, 1.5 + rng.uniform(3.0, 6.0) * back**0.7, np.zeros(12)
