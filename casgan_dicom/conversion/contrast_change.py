"""What changed in a run against its own quiet state, and what that state looks like, from its looks.

The quiet state is made of the looks with the lowest cover, once what lasts no longer than a beat is taken
out of the series (an opening in time): a catheter that swings with the heart comes back, contrast does not.
Change is told by what cannot be put down to a segmentor that flickers: how many marks are darker than
anything near their place in the quiet looks, less what became lighter, as where the table moves. The quiet
state itself may be filled: then much of the picture is marked, in a long connected line that moves.

Every figure is a ratio or the logarithm of one, so that neither the size of a picture nor a display that
compresses all contrast alike changes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.conversion.contrast_looks import Look, Mask

BEAT_S = 0.9
"""What lasts shorter is put down to the heart."""
USUAL_LOOKS_PER_SECOND = 7.5
"""Where nothing is known of a run's rate."""
MOST_QUIET = 8
"""Looks that stand for the quiet state, at most, spread over it."""
QUIET_SHARE = 0.2
"""How far up from the lowest to the highest cover, both logarithms, the quiet state reaches."""
LEAST_SPREAD = 0.15
"""What the cover of a quiet state may vary by, as a logarithm."""
NEAR = 2
"""How far a line may move within the quiet state, pixels of a look: 1.6 % of the picture."""
DARKER, DARKER_BY = 1.1, 2.0
"""A pixel is darker from so many times the darkness, plus so many levels."""
OFTEN = 0.5
"""Share of the quiet looks in which what is always there is marked."""
STILL = 0.6
"""Share of all looks in which what stands still is marked; what beats or floats is not."""
ONE_BEAT = 8
"""Looks of a run from which movement can be judged."""
FAINT_COVER, FAINT_LENGTH, FAINT_AREA = 0.002, 0.05, 0.001
"""What is added before a logarithm is taken: about what is still nothing."""

Float = npt.NDArray[np.float64]
Dark = npt.NDArray[np.uint8]

RISE = ("cover", "darker area", "lighter area")
"""Columns of `Change.rise`: logarithm of the cover over that of the quiet state; logarithm of the area of
marks that are darker than anything near them in the quiet state; logarithm of the area that is marked there
and has become lighter."""
SHAPE = ("cover", "length", "moving")
"""Columns of `Change.shape`: logarithms of the cover, of the length of the largest connected line, and of
what is marked in passing as a share of what is marked at all."""


@dataclass(frozen=True)
class Change:
    """A run."""

    rise: Float
    """How each look differs from the quiet state, (T, len(RISE)), opened in time; where there is nothing to
    compare with, as if nothing differed."""
    shape: Float
    """What each look shows by itself, (T, len(SHAPE)); NaN for movement in a run that is too short for it."""
    quiet: tuple[int, ...]
    """The looks that stand for the quiet state."""


def change_of(looks: Sequence[Look], per_second: float | None) -> Change:
    """Measure a run; `looks` in the order of time, at least one, so many `per_second` or None for unknown."""
    window = max(1, round(BEAT_S * (per_second or USUAL_LOOKS_PER_SECOND)))
    cover = np.log([look.cover + FAINT_COVER for look in looks])
    lasting = opened(cover, window)
    quiet = _quiet(lasting)
    known = _known([looks[q] for q in quiet])
    without = {q: _known([looks[other] for other in quiet if other != q]) for q in quiet}
    appeared = np.array([_appeared(look, without.get(k, known)) for k, look in enumerate(looks)])
    rise = np.column_stack([cover - lasting[list(quiet)].mean(), appeared])
    length = np.log([look.length + FAINT_LENGTH for look in looks])
    shape = np.column_stack([cover, length, _moving(looks)])
    return Change(np.column_stack([opened(column, window) for column in rise.T]), shape, quiet)


def opened(values: Float, window: int) -> Float:
    """The series without what rises for less than `window` looks; a rise that an end cuts off stays."""
    if window < 2:
        return values
    low = ndimage.grey_opening(np.pad(values, window, mode="edge"), size=window)
    return np.asarray(low[window:-window], dtype=np.float64)


def _quiet(lasting: Float) -> tuple[int, ...]:
    """Which looks stand for the quiet state."""
    low, high = float(lasting.min()), float(lasting.max())
    below = np.flatnonzero(lasting <= low + max(LEAST_SPREAD, QUIET_SHARE * (high - low)))
    few = np.linspace(0, len(below) - 1, min(MOST_QUIET, len(below))).round().astype(np.intp)
    return tuple(int(k) for k in below[few])


@dataclass(frozen=True)
class _Known:
    """What quiet looks show."""

    darkest: Float
    """The darkest near each pixel in any of them, in levels."""
    dark: Float
    """How dark each pixel is, their median, in levels."""
    often: Mask
    """Marked in many of them."""


def _known(looks: Sequence[Look]) -> _Known | None:
    """What they have in common; None where there are none."""
    if not looks:
        return None
    dark = np.stack([look.dark for look in looks])
    often = np.mean([look.marks for look in looks], axis=0) >= OFTEN
    return _Known(_around(dark.max(axis=0), NEAR).astype(np.float64), np.median(dark, axis=0), often)


def _appeared(look: Look, known: _Known | None) -> tuple[float, float]:
    """Logarithms of the areas that became darker and lighter, for one look."""
    if known is None or not look.visible:
        return float(np.log(FAINT_AREA)), float(np.log(FAINT_AREA))
    darker = look.marks & (look.dark > DARKER * known.darkest + DARKER_BY)
    lighter = known.often & (known.dark > DARKER * _around(look.dark, NEAR) + DARKER_BY)
    areas = [np.count_nonzero(changed) / look.visible + FAINT_AREA for changed in (darker, lighter)]
    return float(np.log(areas[0])), float(np.log(areas[1]))


def _around(picture: Dark, reach: int) -> Dark:
    """The largest value no farther than `reach` pixels away along either axis."""
    return np.asarray(ndimage.maximum_filter(picture, size=2 * reach + 1))


def _moving(looks: Sequence[Look]) -> Float:
    """The last column of SHAPE."""
    if len(looks) < ONE_BEAT:
        return np.full(len(looks), np.nan)
    often = np.mean([ndimage.binary_dilation(look.marks, np.ones((3, 3))) for look in looks], axis=0)
    passing = [np.count_nonzero(look.marks & (often < STILL)) / max(1, look.visible) for look in looks]
    cover = np.array([look.cover for look in looks])
    return np.log((np.array(passing) + FAINT_COVER) / (cover + FAINT_COVER))
