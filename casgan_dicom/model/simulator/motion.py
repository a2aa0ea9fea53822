"""Heart beat and breathing: where a point of the heart is at a given phase.

The heart contracts towards its long axis, twists around it and pulls its base towards the apex; the apex
stays. Breathing carries the whole heart along with part of the diaphragm's way, and so does a cough. Phase is
in [0, 1), 0 at end-diastole, about 0.36 at end-systole. Beats need not be alike: a pause lengthens diastole,
a beat that comes early cuts it short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.heart import Heart

_SYSTOLE = 0.36
"""Share of the beat in which the heart contracts."""
_ACTIVE = 0.76
"""Share of a regular beat in which the heart contracts and fills: what remains is diastasis."""
_COUGH_S = 0.14
"""From the middle of a cough to its peaks."""
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
    fall = np.clip((p - _SYSTOLE) / (_ACTIVE - _SYSTOLE), 0.0, 1.0)
    return np.where(p < _SYSTOLE, rise, 0.5 * (1 + np.cos(np.pi * fall)))


@dataclass(frozen=True)
class Motion:
    """How one patient's heart moves during a run."""

    heart_rate_bpm: float = 70.0
    """Regular beats per minute."""
    beats: tuple[float, ...] = ()
    """Lengths of successive beats over the regular one, repeated when they are used up; all 1 when empty."""
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
    coughs_s: tuple[float, ...] = ()
    """When the patient coughs, in s after the first frame."""
    cough_mm: float = 0.0
    """How far a cough throws the diaphragm to either side."""
    breath_heart_share: float = 0.4
    """Share of the diaphragm's way that the heart makes."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Motion:
        """Draw a patient: 45-120 bpm; four of ten breathe 5-15 mm, the others hold their breath."""
        breathes = rng.random() < 0.4
        return cls(
            heart_rate_bpm=float(rng.triangular(45, 72, 120)),
            phase_start=float(rng.random()),
            radial=float(rng.uniform(0.11, 0.16)),
            twist_deg=float(rng.uniform(6, 12)),
            long_axis_mm=float(rng.uniform(9, 15)),
            breath_amplitude_mm=float(rng.uniform(5, 15) if breathes else rng.uniform(0, 1.5)),
            breath_period_s=float(rng.uniform(3, 5)),
            breath_start=float(rng.random()),
            beats=draw_beats(rng),
            coughs_s=draw_coughs(rng),
            cough_mm=float(rng.uniform(4, 12)),
        )

    def phase(self, time_s: npt.ArrayLike) -> Array:
        """Cardiac phase in [0, 1) at a time after the first frame, in s."""
        turns = np.asarray(time_s, dtype=np.float64) * self.heart_rate_bpm / 60.0
        lengths = np.asarray(self.beats or (1.0,))
        ends = np.cumsum(lengths)
        elapsed = np.mod(turns + self._elapsed_at_start(), ends[-1])
        beat = np.minimum(np.searchsorted(ends, elapsed, side="right"), len(ends) - 1)
        length = lengths[beat]
        since = elapsed - (ends[beat] - length)
        active = np.minimum(_ACTIVE, 0.9 * length)
        resting = _ACTIVE + (1 - _ACTIVE) * (since - active) / (length - active)
        phase = np.where(since < active, _ACTIVE * since / active, resting)
        return np.asarray(np.mod(np.maximum(phase, 0.0), 1.0))

    def _elapsed_at_start(self) -> float:
        """How long the first beat has lasted at the first frame, in regular beats: inverts `phase`."""
        length = self.beats[0] if self.beats else 1.0
        active = min(_ACTIVE, 0.9 * length)
        if self.phase_start < _ACTIVE:
            return self.phase_start / _ACTIVE * active
        return active + (self.phase_start - _ACTIVE) / (1 - _ACTIVE) * (length - active)

    def breath_mm(self, time_s: float) -> float:
        """Way of the diaphragm towards the feet at a time after the first frame, in mm; less in a cough."""
        turn = 2 * np.pi * (self.breath_start + time_s / self.breath_period_s)
        since = (time_s - np.asarray(self.coughs_s)) / _COUGH_S
        thrown = self.cough_mm * float(np.sum(-since * np.exp(0.5 * (1 - since**2))))
        return float(self.breath_amplitude_mm * 0.5 * (1 - np.cos(turn))) + thrown

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


def draw_beats(rng: np.random.Generator) -> tuple[float, ...]:
    """Draw the rhythm of a run: `Motion.beats`.

    Seven of ten patients have a sinus rhythm with little variation, two of ten early beats followed by a
    compensating pause, the others atrial fibrillation.
    """
    kind = rng.random()
    if kind < 0.1:
        return tuple(rng.uniform(0.6, 1.5, 24).tolist())
    beats = np.clip(rng.normal(1.0, rng.uniform(0.0, 0.04), 24), 0.85, 1.15)
    if kind < 0.3:
        early = int(rng.integers(1, 4))
        while early < len(beats) - 1:
            beats[early] = rng.uniform(0.5, 0.75)
            beats[early + 1] = rng.uniform(1.9, 2.1) - beats[early]
            early += int(rng.integers(2, 9))
    return tuple(beats.tolist())


def draw_coughs(rng: np.random.Generator) -> tuple[float, ...]:
    """Draw when a patient coughs, in s: one of twelve does within the first seconds, up to three times."""
    if rng.random() > 1 / 12:
        return ()
    gaps = rng.uniform(0.45, 0.9, int(rng.integers(1, 4)))
    return tuple((rng.uniform(0.2, 3.0) + np.cumsum(gaps)).tolist())
