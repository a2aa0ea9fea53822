"""Pictures that are cut, shifted or bent: the cheap way to let a cached projection pan, breathe and beat."""

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
    window = Window.of(layer.shape[0], layer.shape[0], shift)
    return window.settle(window.cut(layer))


@dataclass(frozen=True)
class Window:
    """The part of a wider square picture that is seen, moved by a fraction of a pixel in the end."""

    rows: npt.NDArray[np.intp]
    """(size + 1,), which rows of the wide picture, borders replicated."""
    columns: npt.NDArray[np.intp]
    """(size + 1,)."""
    rest: tuple[np.float32, np.float32]
    """What is left to move, (column, row) in [0, 1) pixels."""

    @classmethod
    def of(cls, wide: int, size: int, shift: npt.ArrayLike) -> Window:
        """The middle `size` pixels of `wide` when the picture moves by (column, row) pixels."""
        whole = np.floor(np.asarray(shift, dtype=np.float64))
        column, row = np.asarray(np.asarray(shift) - whole, dtype=np.float32)
        at = np.arange(-1, size) + (wide - size) // 2
        columns, rows = (np.clip(at - int(step), 0, wide - 1) for step in whole)
        return cls(rows, columns, (np.float32(column), np.float32(row)))

    def cut(self, layer: FloatImage) -> FloatImage:
        """One pixel more than is seen, above and at the left, (size + 1, size + 1)."""
        rows, columns = self.rows, self.columns
        if rows[-1] - rows[0] == rows.size - 1 and columns[-1] - columns[0] == columns.size - 1:
            return layer[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return np.asarray(layer[rows][:, columns])

    def settle(self, near: FloatImage) -> FloatImage:
        """Move what was cut by the rest, linear between pixels, (size, size)."""
        column, row = self.rest
        if not column and not row:
            return near[1:, 1:]
        across = near[:, 1:] + column * (near[:, :-1] - near[:, 1:])
        return np.asarray(across[1:] + row * (across[:-1] - across[1:]))


@dataclass(frozen=True)
class Deformation:
    """How heart beat and breath bend what surrounds the heart, as smooth fields on the detector."""

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
        return cls((-weight * x, -weight * y), sinking.astype(np.float32), displacement(view, (0, 0, -1)))

    def apply(self, layer: FloatImage, window: Window, contraction: float, breath_mm: float) -> FloatImage:
        """Bend a picture and cut it, linear between pixels, borders replicated; `contraction` is 0 to 1."""
        if contraction == 0 and breath_mm == 0:
            return window.cut(layer)
        sink = self.sinking[window.rows] * np.float32(breath_mm)
        right, down = (np.float32(contraction) * window.cut(way) for way in self.inward)
        column = window.columns.astype(np.float32) - right - sink * np.float32(self.per_mm[0])
        row = window.rows[:, None].astype(np.float32) - down - sink * np.float32(self.per_mm[1])
        return np.asarray(ndimage.map_coordinates(layer, np.stack([row, column]), order=1, mode="nearest"))
