"""Agent that flows back from the ostium: a cloud that curls in the aortic root and is carried off.

The hand injects more than the artery takes, most of all while the heart contracts and the artery is
squeezed. The surplus leaves as a train of puffs that swirl in the sinus, spread and thin out; the blood that
the heart ejects sweeps them up the aorta.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casgan_dicom.model.simulator.blobs import draw_blobs
from casgan_dicom.model.simulator.contrast import Injection
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.growth import wander
from casgan_dicom.model.simulator.motion import Motion, contraction
from casgan_dicom.model.simulator.render import FloatImage
from casgan_dicom.model.simulator.tree import CoronaryTree

_PUFFS_PER_S = 60.0
_VOLUME_MM3 = 28.0
"""Agent in a puff at full strength."""
_LASTS_S = 1.6
"""Age at which a puff has thinned out and is no longer drawn."""


@dataclass(frozen=True)
class Reflux:
    """The cloud of one run, as P puffs in order of their birth."""

    ostium: Array
    """float64 (3,), patient mm at end-diastole."""
    birth_s: Array
    """float64 (P,), time after the first frame."""
    volume_mm3: Array
    """float64 (P,), agent in each."""
    axes: Array
    """float64 (P, 2, 3), the plane that each swirls in: the way that it leaves, and where it turns to."""
    swirl: Array
    """float64 (P, 2), radius in mm and angular speed in 1/s of the swirl."""
    drift: Array
    """float64 (3,), velocity up the aorta, mm/s."""
    lasts_s: float
    """Time constant of the thinning out."""

    @classmethod
    def sample(
        cls, rng: np.random.Generator, injection: Injection, motion: Motion, tree: CoronaryTree
    ) -> Reflux:
        """Draw the cloud of an injection into `tree`; an injection without reflux has no puffs."""
        count = int(injection.duration_s * _PUFFS_PER_S) if injection.reflux > 0 else 0
        birth = injection.start_s + 0.12 + np.arange(count) / _PUFFS_PER_S
        wavelength, deviation = np.repeat([22.0, 9.0], (7, 1)), np.array([0.45] * 3 + [0.6] * 3 + [0.3, 0.5])
        noise = wander(rng, max(count, 1), wavelength, deviation)[:, :count]
        points = tree.segments[0].points
        leaves = tree.ostium - points[min(8, len(points) - 1)]
        leaves = leaves / np.linalg.norm(leaves)
        turns = np.cross(leaves, rng.normal(size=3)) + np.array([0.0, 0.0, rng.uniform(-0.3, 1.0)])
        pushed = np.clip((birth - injection.start_s) / 0.5, 0.0, 1.0)
        squeezed = 0.25 + 0.75 * contraction(motion.phase(birth))
        radius = np.clip(rng.uniform(4.0, 9.0) * (1 + noise[6]), 1.5, 14.0)
        speed = np.full(count, rng.uniform(4.0, 9.0))
        return cls(
            ostium=tree.ostium,
            birth_s=birth,
            volume_mm3=_VOLUME_MM3 * injection.reflux * pushed * squeezed * np.clip(1 + noise[7], 0.1, 2.5),
            axes=np.stack([leaves + noise[:3].T, turns + noise[3:6].T], axis=1),
            swirl=np.stack([radius, speed], axis=1),
            drift=np.array([-3.0, -2.0, 1.0]) + np.array([0.0, 0.0, rng.uniform(4.0, 28.0)]),
            lasts_s=float(rng.uniform(0.35, 0.8)),
        )

    def path_length(self, view: View, time_s: float, shift: Array) -> FloatImage:
        """Path length through the cloud times concentration, when the ostium has moved by `shift` (3,).

        float32 (size, size), mm; zero before and long after the injection.
        """
        age = time_s - self.birth_s
        alive = (age > 0) & (age < _LASTS_S)
        if not alive.any():
            return np.zeros((view.size, view.size), dtype=np.float32)
        age = age[alive]
        radius, speed = self.swirl[alive].T
        angle = speed * age / (1 + age)  # the swirl slows down
        leaves, turns = self.axes[alive].transpose(1, 0, 2)
        curl = (radius * np.sin(angle))[:, None] * leaves + (radius * (1 - np.cos(angle)))[:, None] * turns
        centre = self.ostium + shift + curl + age[:, None] * self.drift
        return draw_blobs(view, centre, 0.8 + 3.2 * age, self.volume_mm3[alive] * np.exp(-age / self.lasts_s))
