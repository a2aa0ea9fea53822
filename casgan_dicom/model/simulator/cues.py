"""What a coronary artery leaves in a picture without contrast.

Three weak traces: blood against the epicardial fat around it, calcium in the wall of some trees, and agent
left from an earlier injection in a few. One factor scales them all; 0 removes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casgan_dicom.model.simulator.contrast import IODINE_PER_MM
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.render import FloatImage, Tubes, path_length

LUMEN_PER_MM = 0.0025
"""Attenuation of blood over that of fat, per mm at 60-65 keV."""
CALCIUM_PER_MM = 0.06
"""Attenuation of a calcified plaque over that of fat, per mm."""


@dataclass(frozen=True)
class Cues:
    """The traces of one patient's arteries."""

    strength: float
    """Factor on the physical values."""
    residue: float
    """Relative concentration left in the injected tree, usually 0."""
    vessels: Tubes
    """The injected tree."""
    empty: Tubes
    """The other tree."""
    calcium: Array
    """float64 (N,), thickness of plaque over vessel diameter along the injected tree, in [0, 1]."""

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float, vessels: Tubes, empty: Tubes) -> Cues:
        """Draw calcium (three of ten trees, within 60 mm of the ostium) and residue (one of eight)."""
        calcified = rng.random() < 0.3
        calcium = np.zeros(len(vessels.arc))
        plaques = zip(rng.uniform(3, 60, 5), rng.uniform(2, 9, 5), rng.uniform(0.05, 0.35, 5), strict=True)
        for at, length, thickness in list(plaques)[: int(rng.integers(1, 6))]:
            calcium += thickness * np.exp(-0.5 * ((vessels.arc - at) / (length / 2)) ** 2)
        calcium = np.where(vessels.radius > 0.7, np.clip(calcium - 0.02, 0.0, 1.0), 0.0)
        residue = float(rng.uniform(0.01, 0.04)) if rng.random() < 0.125 else 0.0
        return cls(strength, residue, vessels, empty, calcium * calcified)

    def attenuation(self, view: View, injected: tuple[FloatImage, Array], empty: Array) -> FloatImage:
        """Line integral of all traces in one frame.

        Parameters
        ----------
        view
            The C-arm.
        injected
            Path length through the injected tree, float32 (H, W) in mm, and where its points are, (N, 3).
        empty
            Where the other tree's points are, (M, 3).

        Returns
        -------
        float32 (H, W)
            Zero when `strength` is.
        """
        lumen, points = injected
        if self.strength == 0:
            return np.zeros_like(lumen)
        trace = (LUMEN_PER_MM + IODINE_PER_MM * self.residue) * lumen
        trace = trace + LUMEN_PER_MM * path_length(self.empty, empty, view)
        if self.calcium.any():
            trace = trace + CALCIUM_PER_MM * path_length(self.vessels, points, view, self.calcium)
        return np.asarray(self.strength * trace, dtype=np.float32)
