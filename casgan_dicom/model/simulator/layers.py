"""Pictures that are shifted or bent: the cheap way to let a cached projection breathe and beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart

FloatImage = npt.NDArray[np.float32]

_SQUEEZE = 0.1
"""Share by which the heart's outline draws in at end-systole."""


def displacement(view: View, motion_mm: npt.ArrayLike) -> Array:
    """How far the isocentre's picture moves, (column, row) in pixels, when the patient moves by (3,) mm."""
    moved, _ = view.project(np.asarray([motion_mm, (0.0, 0.0, 0.0)], dtype=np.float64))
    return np.asarray(moved[0] - moved[1])


def translate(layer: FloatImage, shift: Array) -> FloatImage:
    """Move a picture by (column, row) pixels, linear between pixels, borders replicated."""
    if not np.any(shift):
        return layer
    whole = np.floor(shift).astype(int)
    column, row = np.asarray(shift - whole, dtype=np.float32)
    height, width = layer.shape
    rows = np.clip(np.arange(-1, height) - whole[1], 0, height - 1)
    columns = np.clip(np.arange(-1, width) - whole[0], 0, width - 1)
    near = layer[rows][:, columns]
    across = near[:, 1:] + column * (near[:, :-1] - near[:, 1:])
    return np.asarray(across[1:] + row * (across[:-1] - across[1:]))


@dataclass(frozen=True)
class Deformation:
    """How heart beat and breath bend what surrounds the heart, as smooth fields on the detector."""

    rows: FloatImage
    """Row of each pixel, (size, 1)."""
    columns: FloatImage
    """Column of each pixel, (1, size)."""
    inward: tuple[FloatImage, FloatImage]
    """Way towards the heart at full contraction, (column, row) in pixels, each (size, size)."""
    sinking: FloatImage
    """Share of the diaphragm's way, (size, 1): little at the top, all from the diaphragm on."""
    per_mm: Array
    """Way of the isocentre per mm towards the feet, (column, row) in pixels."""

    @classmethod
    def of(cls, view: View, heart: Heart) -> Deformation:
        """The fields of one run."""
        axis = np.arange(view.size, dtype=np.float32)
        rows, columns = axis[:, None], axis[None, :]
        centre, scale = view.project(heart.axes[2] * 0.3 * heart.semi_axes_mm[2])
        radius = float(scale) * float(np.mean(heart.semi_axes_mm))
        x, y = columns - np.float32(centre[0]), rows - np.float32(centre[1])
        distance = np.hypot(x, y) / np.float32(radius)
        weight = np.float32(_SQUEEZE) * np.exp(-((distance / np.float32(1.25)) ** 4))
        height = -y / np.float32(scale)  # mm above the heart's lower half
        sinking = 0.2 + 0.8 / (1.0 + np.exp((height + 25.0) / 14.0))
        return cls(
            rows,
            columns,
            (-weight * x, -weight * y),
            sinking.astype(np.float32),
            displacement(view, (0, 0, -1)),
        )

    def apply(self, layer: FloatImage, contraction: float, breath_mm: float) -> FloatImage:
        """Bend a picture, linear between pixels, borders replicated; `contraction` is 0 to 1."""
        if contraction == 0 and breath_mm == 0:
            return layer
        sink = self.sinking * np.float32(breath_mm)
        squeeze = np.float32(contraction)
        column = self.columns - squeeze * self.inward[0] - sink * np.float32(self.per_mm[0])
        row = self.rows - squeeze * self.inward[1] - sink * np.float32(self.per_mm[1])
        return np.asarray(ndimage.map_coordinates(layer, np.stack([row, column]), order=1, mode="nearest"))
