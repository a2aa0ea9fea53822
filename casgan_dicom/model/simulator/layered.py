"""A patient in one view as a few pictures: what both backgrounds hand to the renderer.

Where the table is panned, the pictures are wider than the detector by the view's margin, so that panning
brings in anatomy. Nothing in them belongs to an artery, an injection or a phase: one background serves any
number of runs in its view.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.collimator import Collimator
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.layers import Deformation, Window, displacement, translate
from casgan_dicom.model.simulator.motion import Motion, contraction
from casgan_dicom.model.simulator.solids import Rays, length

FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

SOFT_TISSUE = 0.0205
"""Attenuation per mm at 60 to 65 keV."""
LUNG = 0.0055
"""Attenuation per mm of aerated lung without its larger vessels."""
CLUTTER_SEEN = 0.03
"""Line integral from which a pixel counts as covered by clutter."""
_BASE_WAY_MM = 6.0  # how far the heart's centre follows its base towards the apex at end-systole
_THINNING = 0.1
_STILL = np.zeros(2)


@dataclass(eq=False)
class LayeredBackground:
    """One patient in one view; see `Background`.

    The body with its lungs filled stays; the air in the lungs, whose border is the outline of heart and
    diaphragm, is bent by a smooth field, so that organs move and never come apart. Layers are float32
    (wide, wide), as `view.widened()` sees them.
    """

    heart: Heart
    view: View
    """The detector that is seen."""
    collimator: Collimator
    """Beam limits, which stay when the table moves; (size, size)."""
    still: FloatImage
    """Line integral with lungs as dense as soft tissue."""
    air: FloatImage
    """What air takes off, lung vessels left out of it, at end-diastole and breathed out."""
    clutter: FloatImage
    """Line integral of foreign bodies that stay."""
    implants: FloatImage
    """Line integral of foreign bodies that move with the heart."""

    def attenuation(self, phase: float, breath_mm: float, pan: Array | None = None) -> FloatImage:
        """Line integral at one moment, float32 (size, size)."""
        return self._patient(phase, breath_mm, pan) + self.collimator.attenuation

    def heart_mask(self, phase: float, pan: Array | None = None) -> Mask:
        """Where the heart's ellipsoid is projected, bool (size, size)."""
        squeeze = float(contraction(phase))
        thin, pull = 1.0 - _THINNING * squeeze, _BASE_WAY_MM * squeeze
        a, b, c = self.heart.semi_axes_mm
        solid = self._rays(pan).ellipsoid(
            self.heart.axes[2] * pull, self.heart.axes, (a * thin, b * thin, c - pull)
        )
        return np.asarray(length(solid) > 0)

    def clutter_mask(self, phase: float, breath_mm: float, pan: Array | None = None) -> Mask:
        """Where clutter takes off more than 3 %, bool (size, size)."""
        window = self._window(pan)
        foreign = window.cut(self.clutter)
        if self._has_implants:
            foreign = foreign + window.cut(self._beating(phase, breath_mm))
        return np.asarray(window.settle(foreign) > CLUTTER_SEEN)

    def field_mask(self) -> Mask:
        """Where the beam is open, bool (size, size)."""
        return self.collimator.field

    def _patient(self, phase: float, breath_mm: float, pan: Array | None) -> FloatImage:
        """All that lies on the table; only the table's fraction of a pixel is interpolated, on the sum."""
        window = self._window(pan)
        total = window.cut(self._fixed) - self._deformation.apply(
            self.air, window, float(contraction(phase)), breath_mm
        )
        if self._has_implants:
            total += window.cut(self._beating(phase, breath_mm))
        return window.settle(total)

    def _window(self, pan: Array | None) -> Window:
        return Window.of(self.still.shape[0], self.view.size, _STILL if pan is None else pan)

    def _beating(self, phase: float, breath_mm: float) -> FloatImage:
        """The heart's clutter at one moment, carried along as a whole."""
        pull = _BASE_WAY_MM * float(contraction(phase)) * self.heart.axes[2]
        way: Array = pull + np.array([0.0, 0.0, -Motion.breath_heart_share * breath_mm])
        return translate(self.implants, displacement(self.view, way))

    def _rays(self, pan: Array | None) -> Rays:
        if pan is None:
            return self._resting_rays
        right, down = (
            shift + pixels * self.view.pixel_mm
            for shift, pixels in zip(self.view.shift_mm, pan.tolist(), strict=True)
        )
        return Rays.of(replace(self.view, shift_mm=(right, down)))

    @cached_property
    def _fixed(self) -> FloatImage:
        return self.still + self.clutter

    @cached_property
    def _has_implants(self) -> bool:
        return bool(self.implants.any())

    @cached_property
    def _deformation(self) -> Deformation:
        return Deformation.of(self.view.widened(), self.heart)

    @cached_property
    def _resting_rays(self) -> Rays:
        return Rays.of(self.view)
