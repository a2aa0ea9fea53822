"""The electronic shutter: which rectangle or circle a console blackens around the open field.

A shutter is what a header can say of it: rows and columns count from 1, edges and rim belong to what is
visible (as PS3.3 C.7.6.11 has it). A field of another shape has none and can only be burned into the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

_MISFIT = 0.012
"""Share of the picture by which a field may differ from its shutter."""


@dataclass(frozen=True)
class Rectangle:
    """A rectangular shutter; the first and last visible row and column, from 1."""

    left: int
    """First visible column."""
    right: int
    """Last visible column."""
    upper: int
    """First visible row."""
    lower: int
    """Last visible row."""

    def visible(self, shape: tuple[int, int]) -> Mask:
        """What it leaves of a picture of (rows, columns), bool."""
        inside = np.zeros(shape, dtype=np.bool_)
        inside[self.upper - 1 : self.lower, self.left - 1 : self.right] = True
        return inside


@dataclass(frozen=True)
class Circle:
    """A circular shutter."""

    row: int
    """Row of the centre, from 1."""
    column: int
    """Column of the centre, from 1."""
    radius: int
    """Radius in pixels."""

    def visible(self, shape: tuple[int, int]) -> Mask:
        """What it leaves of a picture of (rows, columns), bool."""
        row, column = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
        return np.asarray((row - self.row) ** 2 + (column - self.column) ** 2 <= self.radius**2)


Shutter = Rectangle | Circle


def fit_shutter(field: Mask) -> Shutter | None:
    """Find the shutter that an open field was drawn with, bool (H, W); None without, or of another shape.

    A circle may reach beyond the picture: its rim is where the field's farthest pixels are.
    """
    if field.all() or not field.any():
        return None
    rows, columns = np.nonzero(field)
    upper, lower, left, right = (int(i) + 1 for i in (rows.min(), rows.max(), columns.min(), columns.max()))
    row, column = (upper + lower) // 2, (left + right) // 2
    radius = round(float(np.hypot(rows + 1 - row, columns + 1 - column).max()))
    fits: tuple[Shutter, ...] = (Rectangle(left, right, upper, lower), Circle(row, column, radius))
    misfits = [float(np.mean(fit.visible((field.shape[0], field.shape[1])) ^ field)) for fit in fits]
    best = int(np.argmin(misfits))
    return fits[best] if misfits[best] <= _MISFIT else None
