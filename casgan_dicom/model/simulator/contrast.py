"""Iodine over time: an empty lead-in, a front that runs down the vessels, filling, mixing, wash-out.

Concentration is relative to undiluted contrast agent, at which blood in a vessel attenuates
`IODINE_PER_MM` (effective, 60-65 keV).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.geometry import Array

IODINE_PER_MM = 0.22
"""Attenuation per mm of vessel at concentration 1, thin vessel."""
BEAM_HARDENING = 0.25
"""How much a thick vessel attenuates less than proportionally: the soft photons are gone."""


def iodine_attenuation(path_mm: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Line integral of agent from its path length times concentration, in mm; any shape, float32.

    L = a / (1 + 0.25 a) with a = 0.22/mm · path, which follows an 80 kV beam through iodine.
    """
    a = np.float32(IODINE_PER_MM) * path_mm
    return a / (1 + np.float32(BEAM_HARDENING) * a)


def _still() -> Array:
    return np.zeros((0, 4))


@dataclass(frozen=True)
class Mixing:
    """How unevenly blood dilutes the agent: stretches of more and of less that drift down the vessels."""

    share: float = 0.0
    """Largest share of the agent that is missing, 0 to 1."""
    waves: Array = field(default_factory=_still)
    """float64 (K, 4): wavelength in mm, speed in mm/s, phase in radians, amplitude."""

    @classmethod
    def sample(cls, rng: np.random.Generator, share: float, speed_mm_s: float) -> Mixing:
        """Draw streams for an injection; one wave is the heart's beat, which dilutes in diastole."""
        beat = speed_mm_s / rng.uniform(0.9, 1.6)
        wavelength = np.append(np.exp(rng.uniform(np.log(5.0), np.log(60.0), 5)), beat)
        speed = np.append(speed_mm_s * rng.uniform(0.5, 1.0, 5), speed_mm_s)
        phase = rng.uniform(0.0, 2 * np.pi, 6)
        amplitude = np.append(rng.uniform(0.2, 0.6, 5), rng.uniform(0.3, 0.9))
        return cls(share, np.stack([wavelength, speed, phase, amplitude], axis=1))

    def left(self, time_s: float, arc_mm: Array) -> Array:
        """Share of the agent that is there, in [1 - share, 1], the shape of `arc_mm`."""
        if not len(self.waves):
            return np.ones_like(arc_mm)
        wavelength, speed, phase, amplitude = self.waves.T
        angle = 2 * np.pi * (arc_mm[..., None] - speed * time_s) / wavelength + phase
        streams = np.sin(angle) @ amplitude
        return np.asarray(1 - self.share * (0.5 + 0.5 * np.clip(streams, -1.0, 1.0)))


@dataclass(frozen=True)
class Injection:
    """One injection by hand through the catheter."""

    start_s: float = 0.4
    """When the agent leaves the catheter; before that the run is free of contrast."""
    duration_s: float = 3.0
    """How long the operator injects."""
    peak: float = 0.8
    """Concentration in the filled vessel: agent diluted by the blood that still flows in."""
    speed_mm_s: float = 250.0
    """Speed of the front, 150-400 mm/s."""
    rise_s: float = 0.18
    """Time from nothing to full at the ostium; grows along the vessel by dispersion."""
    washout_s: float = 1.2
    """Time constant of the wash-out after the injection."""
    reflux: float = 0.0
    """Strength of the cloud that flows back into the aortic root (reflux.py), 0 to about 1."""
    mixing: Mixing = field(default_factory=Mixing)
    """Where blood dilutes the agent."""
    layering: float = 0.0
    """Share of the agent that runs along the lower wall of the vessels under the blood (lumen.py)."""

    @classmethod
    def sample(cls, rng: np.random.Generator, lead_in_s: tuple[float, float]) -> Injection:
        """Draw an injection whose lead-in lies in the range given in s.

        One of six is weak: blood streams through the agent and little of it flows back. One of seven is a
        short puff.
        """
        weak, short = rng.random() < 1 / 6, rng.random() < 1 / 7
        speed = float(rng.uniform(150, 400))
        refluxes = rng.random() < (0.45 if weak else 0.8)
        return cls(
            start_s=float(rng.uniform(*lead_in_s)),
            duration_s=float(rng.uniform(1.0, 1.8) if short else rng.uniform(1.8, 4.8)),
            peak=float(rng.uniform(0.4, 0.62) if weak else rng.uniform(0.6, 0.9)),
            speed_mm_s=speed,
            rise_s=float(rng.uniform(0.1, 0.35)),
            washout_s=float(rng.uniform(0.8, 2.2)),
            reflux=float(rng.uniform(0.1, 0.4) if weak else rng.uniform(0.2, 1.0)) * refluxes,
            layering=float(rng.uniform(0.3, 0.8)) if weak else 0.0,
            mixing=Mixing.sample(
                rng, float(rng.uniform(0.25, 0.5) if weak else rng.uniform(0.05, 0.2)), speed
            ),
        )

    def concentration(self, time_s: float, arc_mm: npt.ArrayLike) -> Array:
        """Concentration along the vessels at one time.

        Parameters
        ----------
        time_s
            Time after the first frame in s.
        arc_mm
            Distance from the ostium in mm, any shape.

        Returns
        -------
        float64, the shape of `arc_mm`
            In [0, peak]; exactly 0 before the front arrives.
        """
        arc = np.asarray(arc_mm, dtype=np.float64)
        since = time_s - self.start_s - arc / self.speed_mm_s
        rise = np.clip(since / (self.rise_s + 0.0015 * arc), 0.0, 1.0)
        late = np.clip(since - self.duration_s, 0.0, None)
        filled = rise * rise * (3 - 2 * rise) * np.exp(-late / self.washout_s)
        return self.peak * filled * self.mixing.left(time_s, arc)
