"""What the roadmap is told of its two runs: pixels of the filled one, and of both clock, table and scale.

Pictures are (H, W), rows first; display values in [0, 1]. Pairs of places or ways are (down, right). Unknown
is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Array = npt.NDArray[np.float64]

Engaged = Callable[[FloatImage, Mask], float | None]
"""Tells whether the catheter lies in the artery of a tree: frames (T, H, W) in [0, 1] and trees, bool
of that shape, in; evidence out, above 0 where it is seen there, None where nobody can tell."""

Scale = Literal["linear", "log"]
"""Whether display values are intensities or their logarithms: Pixel Intensity Relationship (0028,1040)."""


@dataclass(frozen=True, eq=False)
class ReferenceRun:
    """A run of R frames in which contrast fills the vessels."""

    frames: Iterable[FloatImage]
    """R display pictures, float32 (H, W) in [0, 1], in the order of time; read once, together with `vessels`.
    An array (R, H, W) will do, and so will a generator: no more than one frame is held."""
    vessels: Iterable[FloatImage]
    """R pictures of vessel probability, float32 (H, W) in [0, 1], as from `Generator.vessels`."""
    filled: Sequence[bool]
    """Whether each frame shows opacified vessels, as from `Opacification.opacified`; R entries."""
    times_s: Sequence[float]
    """Time of each frame in s, growing; R entries."""
    r_waves_s: Sequence[float] | None = None
    """Times of the R waves on the same clock, in s; None or fewer than two where there is no ECG."""
    table_mm: npt.ArrayLike | None = None
    """How far the table has moved the patient's picture, (down, right) in mm on the detector, from an origin
    that both runs share: (2,) or (R, 2); see `table.picture_shift_mm`. None where unknown."""
    pixel_mm: float | None = None
    """Imager Pixel Spacing (0018,1164) of a pixel of `frames`; None where unknown."""
    visible: Mask | None = None
    """False behind shutters and collimator, bool (H, W); None for everywhere."""
    scale: Scale = "linear"
    """Of the display values."""


@dataclass(frozen=True, eq=False)
class TargetRun:
    """A run of N frames without contrast, of the same matrix, field and view."""

    times_s: Sequence[float]
    """Time of each frame in s, growing; N entries. Its zero need not be that of the reference."""
    r_waves_s: Sequence[float] | None = None
    """Times of the R waves on the same clock, in s; None where there is no ECG."""
    table_mm: npt.ArrayLike | None = None
    """As in `ReferenceRun`: (2,) or (N, 2); None where unknown."""
    pixel_mm: float | None = None
    """As in `ReferenceRun`."""
    visible: Mask | None = None
    """As in `ReferenceRun`, (H, W); or (N, H, W) where it differs from frame to frame."""
