"""What lies around the coronary arteries: the interface that both backgrounds fulfil."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart


class Background(Protocol):
    """One patient in one view; everything but coronary arteries and catheter."""

    @property
    def heart(self) -> Heart:
        """The ellipsoid that the coronary tree is grown on."""

    def attenuation(
        self, phase: float, breath_mm: float, pan: Array | None = None
    ) -> npt.NDArray[np.float32]:
        """Line integral of attenuation (dimensionless), float32 (size, size).

        `phase` is the cardiac phase in [0, 1) with 0 at end-diastole; `breath_mm` moves diaphragm and
        lungs towards the feet; `pan` moves the patient with all foreign bodies, and not the
        collimator, by (column, row) pixels, at most by the view's margin; None leaves him.
        """

    def heart_mask(self, phase: float, pan: Array | None = None) -> npt.NDArray[np.bool_]:
        """Where the heart is projected, bool (size, size)."""

    def clutter_mask(self, phase: float, breath_mm: float, pan: Array | None = None) -> npt.NDArray[np.bool_]:
        """Where foreign bodies are seen, bool (size, size): their line integral exceeds 0.03."""

    def field_mask(self) -> npt.NDArray[np.bool_]:
        """Where the collimator and the field stop let X-rays through, bool (size, size)."""


class BackgroundSource(Protocol):
    """Makes patients."""

    def background(self, rng: np.random.Generator, view: View) -> Background:
        """One patient seen from `view`; every random choice comes from `rng`."""
