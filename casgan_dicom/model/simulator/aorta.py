"""The aorta as a catheter's way: the root around an ostium, the ascending part, arch, and how it is reached.

Nothing of it is drawn; a blood vessel does not show. Patient mm (geometry.py). Around the ostium points are
given as (across, side, up): mm from the ostium through the lumen to the far wall, to the side, and up the
ascending aorta.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.growth import SPACING_MM, resample
from casgan_dicom.model.simulator.tree import CoronaryTree

Approach = Literal["femoral", "right radial", "left radial"]

_APPROACHES: tuple[Approach, ...] = ("femoral", "right radial", "left radial")
_APPROACH_SHARES = (0.45, 0.43, 0.12)


@dataclass(frozen=True)
class Aorta:
    """One patient's aorta from the root to the descending part."""

    ostium: Array
    """float64 (3,), where the injected artery leaves it."""
    into: Array
    """float64 (3,), unit vector along the artery's first part."""
    axes: Array
    """float64 (3, 3), rows: unit vectors across (away from the ostium), to the side, and up."""
    width: float
    """Inner diameter of the ascending aorta in mm."""
    descending: Array
    """float64 (2,), x and y of the descending aorta."""

    @classmethod
    def sample(cls, rng: np.random.Generator, tree: CoronaryTree) -> Aorta:
        """Draw the aorta that the artery of `tree` springs from."""
        points = tree.segments[0].points
        into = points[min(10, len(points) - 1)] - tree.ostium
        up = np.array([-0.16, -0.1, 1.0]) + rng.normal(0.0, 0.06, 3)  # leans to the right and the front
        up /= np.linalg.norm(up)
        across = -into + (into @ up) * up
        across /= np.linalg.norm(across)
        return cls(
            ostium=tree.ostium,
            into=into / np.linalg.norm(into),
            axes=np.stack([across, np.cross(up, across), up]),
            width=float(rng.uniform(26.0, 34.0)),
            descending=np.array([rng.normal(2.0, 6.0), rng.normal(52.0, 5.0)]),
        )

    def at(self, across: npt.ArrayLike) -> Array:
        """Patient points of (..., 3) places given as (across, side, up) in mm."""
        return np.asarray(self.ostium + np.asarray(across, dtype=np.float64) @ self.axes)

    def shaft(self, rng: np.random.Generator, start: Array, approach: Approach) -> Array:
        """Way of a shaft from `start` (3,) in the ascending aorta back to where it enters, (N, 3)."""
        root = self.at((self.width / 2, 0.0, 0.0))
        lean = rng.normal(0.0, 2.5, (5, 3))
        if approach == "femoral":
            knots = self._over_the_arch(root)
        else:
            side = -1.0 if approach == "right radial" else 1.0
            first = np.array([-8.0, 2.0, 76.0]) if side < 0 else np.array([2.0, 10.0, 82.0])
            steps = np.array([[0.0, 0.0, 0.0], [12.0, 4.0, 20.0], [32.0, 8.0, 42.0], [72.0, 12.0, 60.0]])
            knots = root + first + steps * [side, 1.0, 1.0]
        return resample(np.concatenate([start[None], knots + lean[: len(knots)]]), SPACING_MM)

    def _over_the_arch(self, root: Array) -> Array:
        """From the ascending aorta back over the arch and down in front of the spine, (5, 3)."""
        top = root + np.array([-4.0, 4.0, 72.0])
        behind = np.array([*self.descending, root[2] + 50.0])
        arch = root + 0.45 * (behind - root) * [1.0, 1.0, 0.0] + np.array([0.0, 0.0, 88.0])
        return np.stack([top, arch, behind, behind - [0.0, 0.0, 100.0], behind - [6.0, -6.0, 320.0]])


def draw_approach(rng: np.random.Generator) -> Approach:
    """Draw where the operator goes in: the groin or a wrist."""
    return _APPROACHES[int(rng.choice(3, p=_APPROACH_SHARES))]


def rounded(knots: Array, softness_mm: float) -> Array:
    """Straight legs through (K, 3) knots with soft bends between them, (N, 3), 0.5 mm apart; ends stay."""
    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    at = np.linspace(0.0, chord[-1], max(2, round(float(chord[-1]) / SPACING_MM) + 1))
    legs = np.stack([np.interp(at, chord, knots[:, k]) for k in range(3)], axis=1)
    pad = min(round(4 * softness_mm / SPACING_MM), len(legs) - 1)
    padded = np.pad(legs, ((pad, pad), (0, 0)), mode="reflect", reflect_type="odd")
    soft = gaussian_filter1d(padded, softness_mm / SPACING_MM, axis=0)
    return np.asarray(soft[pad : pad + len(legs)])
