"""A patient in one view as a few pictures: what both backgrounds hand to the renderer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.collimator import Collimator
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.layers import Deformation, displacement, translate
from casgan_dicom.model.simulator.motion import contraction
from casgan_dicom.model.simulator.solids import Rays, length

FloatImage = npt.NDArray[np.float32]

SOFT_TISSUE = 0.0205
"""Attenuation per mm at 60 to 65 keV."""
LUNG = 0.0055
"""Attenuation per mm of aerated lung without its larger vessels."""
_VESSEL_BREATH_SHARE = 0.7
_BASE_WAY_MM = 6.0  # how far the heart's centre follows its base towards the apex at end-systole
_THINNING = 0.1


@dataclass(eq=False)
class LayeredBackground:
    """One patient in one view; see `Background`.

    The body with its lungs filled stays; the air in the lungs, whose border is the outline of heart and
    diaphragm, is bent by a smooth field, so that organs move and never come apart.
    """

    heart: Heart
    view: View
    collimator: Collimator
    still: FloatImage
    """Line integral with lungs as dense as soft tissue, float32 (size, size)."""
    air: FloatImage
    """What the air in the lungs takes off, at end-diastole and breathed out, float32 (size, size)."""
    detail: FloatImage
    """Line integral of fine lung structure, which moves with the breath, float32 (size, size)."""

    def attenuation(self, phase: float, breath_mm: float) -> FloatImage:
        """Line integral at one moment, float32 (size, size)."""
        down = displacement(self.view, (0.0, 0.0, -_VESSEL_BREATH_SHARE * breath_mm))
        air = self._deformation.apply(self.air, float(contraction(phase)), breath_mm)
        return np.asarray(self.still - air + translate(self.detail, down))

    def heart_mask(self, phase: float) -> npt.NDArray[np.bool_]:
        """Where the heart's ellipsoid is projected, bool (size, size)."""
        squeeze = float(contraction(phase))
        thin, pull = 1.0 - _THINNING * squeeze, _BASE_WAY_MM * squeeze
        a, b, c = self.heart.semi_axes_mm
        solid = self._rays.ellipsoid(
            self.heart.axes[2] * pull, self.heart.axes, (a * thin, b * thin, c - pull)
        )
        return np.asarray(length(solid) > 0)

    def field_mask(self) -> npt.NDArray[np.bool_]:
        """Where the beam is open, bool (size, size)."""
        return self.collimator.field

    @cached_property
    def _deformation(self) -> Deformation:
        return Deformation.of(self.view, self.heart)

    @cached_property
    def _rays(self) -> Rays:
        return Rays.of(self.view)
