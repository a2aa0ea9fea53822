"""Heart beat and breathing: where a point of the heart is at a given phase.

The heart contracts towards its long axis, twists around it and pulls its base towards the apex; the apex
stays. Breathing carries the whole heart along with part of the diaphragm's way. Phase is in [0, 1), 0 at
end-diastole, about 0.36 at end-systole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.heart import Heart

_SYSTOLE = 0.36
"""Share of the beat in which the heart contracts."""
_AV_GROOVE = -0.35
"""Height of the atrioventricular groove on the long axis, -1 base, +1 apex."""


def contraction(phase: npt.ArrayLike) -> Array:
    """How far the heart has contracted, 0 at end-diastole to 1 at end-systole.

    Parameters
    ----------
    phase
        Cardiac phase, any shape; only its fraction counts.

    Returns
    -------
    float64, the shape of `phase`
        Continuous with continuous slope over the beat: a cosine rise, fast filling, diastasis.
    """
    p = np.mod(np.asarray(phase, dtype=np.float64), 1.0)
    rise = 0.5 * (1 - np.cos(np.pi * p / _SYSTOLE))
    fall = np.clip((p - _SYSTOLE) / 0.4, 0.0, 1.0)
    return np.where(p < _SYSTOLE, rise, 0.5 * (1 + np.cos(np.pi * fall)))


@dataclass(frozen=True)
class Motion:
    """How one patient's heart moves during a run."""

    heart_rate_bpm: float = 70.0
    """Beats per minute."""
    phase_start: float = 0.0
    """Phase of the first frame."""
    radial: float = 0.15
    """Share by which the short axes shrink at end-systole."""
    twist_deg: float = 10.0
    """Turn of the apex against the base at end-systole."""
    long_axis_mm: float = 12.0
    """Way of the atrioventricular plane towards the apex."""
    breath_amplitude_mm: float = 0.0
    """Way of the diaphragm between breathing out and in; 0 when the breath is held."""
    breath_period_s: float = 4.0
    """Duration of one breath."""
    breath_start: float = 0.0
    """Phase of the breath at the first frame, in [0, 1)."""
    breath_heart_share: float = 0.4
    """Share of the diaphragm's way that the heart makes."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Motion:
        """Draw a patient: 55-100 bpm; four of ten breathe 5-15 mm, the others hold their breath."""
        breathes = rng.random() < 0.4
        return cls(
            heart_rate_bpm=float(rng.uniform(55, 100)),
            phase_start=float(rng.random()),
            radial=float(rng.uniform(0.11, 0.16)),
            twist_deg=float(rng.uniform(6, 12)),
            long_axis_mm=float(rng.uniform(9, 15)),
            breath_amplitude_mm=float(rng.uniform(5, 15) if breathes else rng.uniform(0, 1.5)),
            breath_period_s=float(rng.uniform(3, 5)),
            breath_start=float(rng.random()),
        )

    def phase(self, time_s: npt.ArrayLike) -> Array:
        """Cardiac phase in [0, 1) at a time after the first frame, in s."""
        t = np.asarray(time_s, dtype=np.float64)
        return np.mod(self.phase_start + t * self.heart_rate_bpm / 60.0, 1.0)

    def breath_mm(self, time_s: float) -> float:
        """Way of the diaphragm towards the feet at a time after the first frame, in mm."""
        turn = 2 * np.pi * (self.breath_start + time_s / self.breath_period_s)
        return float(self.breath_amplitude_mm * 0.5 * (1 - np.cos(turn)))

    def move(self, heart: Heart, points: Array, phase: float, breath_mm: float = 0.0) -> Array:
        """Carry points of the heart to a phase.

        Parameters
        ----------
        heart
            The ellipsoid, for its axes.
        points
            float64 (..., 3), patient mm at end-diastole.
        phase
            Cardiac phase.
        breath_mm
            Way of the diaphragm towards the feet in mm.

        Returns
        -------
        float64 (..., 3)
            Patient mm at that phase.
        """
        a = float(contraction(phase))
        local = points @ heart.axes.T
        height = local[..., 2] / heart.semi_axes_mm[2]
        pull = np.clip((1.0 - height) / (1.0 - _AV_GROOVE), 0.0, 1.0)
        shrink = 1 - self.radial * a
        turn = np.deg2rad(self.twist_deg) * a * np.clip((height - _AV_GROOVE) / 1.35, -0.2, 1.0)
        c, s = np.cos(turn) * shrink, np.sin(turn) * shrink
        moved = np.stack(
            [
                c * local[..., 0] - s * local[..., 1],
                s * local[..., 0] + c * local[..., 1],
                local[..., 2] + self.long_axis_mm * a * pull,
            ],
            axis=-1,
        )
        shift = np.array([0.0, -0.15, -1.0]) * self.breath_heart_share * breath_mm
        return np.asarray(moved @ heart.axes + shift)
