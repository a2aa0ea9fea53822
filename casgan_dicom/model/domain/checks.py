"""What needs no network to see that a picture is none of a heart: no picture at all, noise, a ramp.

They look at the frame as `view.bare` gives it, but a ramp begins black, which is no border: it is looked for
in the whole frame, too.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.domain.sampling import Frame
from casgan_dicom.model.domain.view import bare, halved, whole

FLAT = 0.004
"""Standard deviation of a frame below which there is nothing in it: one level of 8 bits."""
ALIKE = 0.5
"""Correlation of neighbours, each the mean of many pixels, below which a picture is noise;
187 simulated frames have 0.85 and more."""
SMOOTH = 0.1
"""Share of a frame's standard deviation that a ramp leaves; 187 simulated frames leave 0.26 and more."""
_DEGREE = 2
"""Of the polynomial that a ramp is."""


def oddity(frame: Frame, picture: Frame | None = None) -> str:
    """What a frame is in place of a heart, a few words; empty where it may be one.

    `frame` is (H, W), display values in [0, 1]; `picture` is what `view.bare` makes of it, if it is known.
    """
    picture = halved(bare(frame) if picture is None else picture)
    deviation = float(picture.std())
    if deviation < FLAT:
        return "a picture of one grey value"
    if _neighbours(picture) < ALIKE:
        return "noise: neighbouring pixels have nothing to do with each other"
    if min(_left_by_a_ramp(picture), _left_by_a_ramp(halved(whole(frame)))) < SMOOTH:
        return "an even ramp of grey"
    return ""


def _neighbours(picture: Frame) -> float:
    """Correlation of each pixel with those beside and below it, the weaker of the two."""
    pairs = ((picture[:, 1:], picture[:, :-1]), (picture[1:], picture[:-1]))
    return min(float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) for a, b in pairs)


def _left_by_a_ramp(picture: Frame) -> float:
    """Share of the standard deviation that a polynomial of rows and columns does not explain."""
    values = picture.ravel().astype(np.float64)
    basis = _polynomials(len(picture))
    left = values - basis @ (basis.T @ values)
    return float(left.std() / max(float(values.std()), 1e-9))


@cache
def _polynomials(side: int) -> npt.NDArray[np.float64]:
    """Orthonormal polynomials of rows and columns, (side · side, 6)."""
    at = np.linspace(-1, 1, side)
    column, row = (axis.ravel() for axis in np.meshgrid(at, at))
    powers = [column**i * row**j for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)]
    return np.asarray(np.linalg.qr(np.stack(powers, axis=1))[0])
