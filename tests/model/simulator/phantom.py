"""The simplest patient: smooth soft tissue that does not move, for tests of what is drawn over it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart


@dataclass
class WaterBath:
    """A background of 3.5 to 4 attenuation lengths, brighter in the middle, open everywhere."""

    size: int
    heart: Heart = field(default_factory=Heart)

    def attenuation(
        self, phase: float, breath_mm: float, pan: Array | None = None
    ) -> npt.NDArray[np.float32]:
        y, x = np.mgrid[: self.size, : self.size] / self.size
        return np.asarray(3.5 + (x - 0.5) ** 2 + (y - 0.5) ** 2, dtype=np.float32)

    def heart_mask(self, phase: float, pan: Array | None = None) -> npt.NDArray[np.bool_]:
        return np.ones((self.size, self.size), dtype=np.bool_)

    def clutter_mask(self, phase: float, breath_mm: float, pan: Array | None = None) -> npt.NDArray[np.bool_]:
        return np.zeros((self.size, self.size), dtype=np.bool_)

    def field_mask(self) -> npt.NDArray[np.bool_]:
        return np.ones((self.size, self.size), dtype=np.bool_)


class WaterBaths:
    """Every patient is the same water bath."""

    def background(self, rng: np.random.Generator, view: View) -> WaterBath:
        return WaterBath(view.size)
