"""Iodine over time: an empty lead-in, a front that runs down the vessels, filling, wash-out.

Concentration is relative to undiluted contrast agent, at which blood in a vessel attenuates
`IODINE_PER_MM` (effective, 60-65 keV).
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """Relative concentration of the cloud that flows back into the aorta, usually 0."""

    @classmethod
    def sample(cls, rng: np.random.Generator, lead_in_s: tuple[float, float]) -> Injection:
        """Draw an injection whose lead-in lies in the range given in s."""
        return cls(
            start_s=float(rng.uniform(*lead_in_s)),
            duration_s=float(rng.uniform(2.0, 4.5)),
            peak=float(rng.uniform(0.65, 0.95)),
            speed_mm_s=float(rng.uniform(150, 400)),
            rise_s=float(rng.uniform(0.1, 0.3)),
            washout_s=float(rng.uniform(0.8, 2.0)),
            reflux=float(rng.uniform(0.03, 0.15)) if rng.random() < 0.4 else 0.0,
        )

    def cloud(self, time_s: float) -> float:
        """Concentration of the cloud in the aorta at one time; it pulses while the hand injects."""
        late = max(0.0, time_s - self.start_s - 0.15)
        pushed = float(np.clip(late / 0.3, 0.0, 1.0)) * float(time_s - self.start_s < self.duration_s)
        return self.reflux * pushed * (0.7 + 0.3 * float(np.sin(9.0 * late)))

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
        return self.peak * rise * rise * (3 - 2 * rise) * np.exp(-late / self.washout_s)
