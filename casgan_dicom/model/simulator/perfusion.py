"""What agent does behind the arteries: a weak blush of the muscle, and late the veins.

The muscle that the injected artery feeds darkens softly a second or two after the artery and pales over
several seconds. In long runs the agent then gathers in the great cardiac vein and the coronary sinus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from casgan_dicom.model.simulator.blobs import draw_blobs
from casgan_dicom.model.simulator.contrast import Injection
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.growth import heart_direction, resample
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.render import FloatImage, Tubes, make_tubes, path_length
from casgan_dicom.model.simulator.tree import CoronaryTree, System

_BLOBS = 64
_MUSCLE_DEPTH = 0.9
"""Where the middle of the wall lies, 1 is the epicardium."""
_FED_MM = 0.9
"""Radius below which arteries feed the muscle around them."""
_TRANSIT_S = 3.2
"""From the artery's filling to the veins'."""
_VEIN_BLUR_MM = 1.2

_GREAT_VEIN = (
    (84.0, 0.55, 0.7),
    (88.0, 0.1, 1.0),
    (95.0, -0.28, 1.2),
    (122.0, -0.44, 1.5),
    (160.0, -0.44, 1.8),
    (200.0, -0.42, 2.3),
    (240.0, -0.44, 3.2),
    (268.0, -0.48, 4.4),
    (288.0, -0.56, 4.8),
)
"""Azimuth, height (anatomy.py) and radius in mm, with the flow; the last part is the coronary sinus."""
_MIDDLE_VEIN = (
    (-84.0, 0.6, 0.7),
    (-92.0, 0.2, 1.0),
    (-96.0, -0.2, 1.5),
    (-93.0, -0.46, 2.0),
    (-74.0, -0.54, 4.0),
)
_VEIN_COURSE: dict[System, tuple[tuple[float, float, float], ...]] = {"LCA": _GREAT_VEIN, "RCA": _MIDDLE_VEIN}


@dataclass(frozen=True)
class Perfusion:
    """Muscle and veins of one run."""

    injection: Injection
    """What was injected."""
    muscle: Array
    """float64 (B, 3), middles of the muscle's parts, patient mm at end-diastole."""
    delay_s: Array
    """float64 (B,), when agent reaches each, after the injection began."""
    volume_mm3: Array
    """float64 (B,), agent that each holds at most; 0 in a run without blush."""
    softness_mm: Array
    """float64 (B,), standard deviation of each part."""
    pales_s: float
    """Time constant of the muscle's wash-out."""
    veins: Tubes
    """The vein that drains the muscle; `arc` runs with the flow."""
    vein_share: float
    """Concentration in the veins over the artery's, 0 in a run where they stay unseen."""

    @classmethod
    def sample(
        cls, rng: np.random.Generator, injection: Injection, heart: Heart, tree: CoronaryTree, view: View
    ) -> Perfusion:
        """Draw blush (five of ten runs of the left, three of the right artery) and veins (half of them)."""
        points, radius, arc = (
            np.concatenate([getattr(s, name) for s in tree.segments]) for name in ("points", "radius", "arc")
        )
        fed = rng.choice(np.flatnonzero(radius < _FED_MM), _BLOBS)
        blushes = rng.random() < (0.5 if tree.system == "LCA" else 0.3)
        softness = rng.uniform(4.0, 9.0, _BLOBS)
        amount = rng.lognormal(0.0, 0.6, _BLOBS) * rng.uniform(6.0, 15.0) * injection.peak
        drains = rng.random() < 0.5
        return cls(
            injection=injection,
            muscle=points[fed] * rng.uniform(_MUSCLE_DEPTH - 0.06, _MUSCLE_DEPTH + 0.06, (_BLOBS, 1)),
            delay_s=arc[fed] / injection.speed_mm_s + rng.uniform(0.6, 1.6),
            volume_mm3=amount * blushes,
            softness_mm=softness,
            pales_s=float(rng.uniform(2.0, 5.0)),
            veins=_draw_veins(rng, heart, tree.system, view),
            vein_share=float(rng.uniform(0.03, 0.11)) * drains,
        )

    def path_length(self, view: View, time_s: float, carry: Callable[[Array], Array]) -> FloatImage:
        """Path length times concentration in one frame.

        Parameters
        ----------
        view
            The C-arm.
        time_s
            Time after the first frame.
        carry
            Moves points of the heart (N, 3) to where they are in this frame.

        Returns
        -------
        float32 (size, size)
            mm; zero until the agent has passed the arteries.
        """
        blush = self.blush(time_s) * self.volume_mm3
        filled = self.venous(time_s)
        image = np.zeros((view.size, view.size), dtype=np.float32)
        if blush.any():
            image += draw_blobs(view, carry(self.muscle), self.softness_mm, blush)
        if filled.any():
            vein = path_length(self.veins, carry(self.veins.points), view, filled)
            image += gaussian_filter(vein, _VEIN_BLUR_MM * view.magnification / view.pixel_mm)
        return image

    def blush(self, time_s: float) -> Array:
        """How much of its agent each part of the muscle holds, float64 (B,), 0 to 1."""
        since = time_s - self.injection.start_s - self.delay_s
        taken = 1 - np.exp(-np.clip(since, 0.0, self.injection.duration_s) / 1.3)
        return taken * np.exp(-np.clip(since - self.injection.duration_s, 0.0, None) / self.pales_s)

    def venous(self, time_s: float) -> Array:
        """Concentration along the veins, float64 (N,)."""
        since = time_s - self.injection.start_s - _TRANSIT_S - self.veins.arc / 60.0
        rise = 1 - np.exp(-np.clip(since, 0.0, self.injection.duration_s) / 1.5)
        fall = np.exp(-np.clip(since - self.injection.duration_s, 0.0, None) / 4.0)
        return np.asarray(self.vein_share * self.injection.peak * rise * fall)


def _draw_veins(rng: np.random.Generator, heart: Heart, system: System, view: View) -> Tubes:
    """Lay the great or the middle cardiac vein over the artery's groove, cut for a view."""
    azimuth, height, radius = np.array(_VEIN_COURSE[system]).T
    azimuth, height = (
        azimuth + rng.normal(0.0, 3.0, len(azimuth)),
        height + rng.normal(0.0, 0.025, len(height)),
    )
    surface = heart_direction(azimuth, height) * np.asarray(heart.semi_axes_mm) * 1.05
    points = resample(surface @ heart.axes, 1.0)
    t = np.linspace(0.0, 1.0, len(points))
    calibre = np.interp(t, np.linspace(0.0, 1.0, len(radius)), radius) * rng.uniform(0.8, 1.15)
    return make_tubes([(points, calibre, t * len(points))], view)
