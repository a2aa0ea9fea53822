"""Decoded words to stored values: which of their bits are value, PS3.5 8.1.1 and 8.2.

Uncompressed words hold Bits Stored (0028,0101); what stands in the bits above is no part of the value. A
decoder gives values of as many bits as its stream has, and all of them count: what lies beyond Bits Stored
there is the overshoot of a lossy encoder, white and not black.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from casgan_dicom.errors import PixelError

Words = npt.NDArray[np.integer[Any]]

_SLACK = 8
"""By which part of their range signed values of a stream may overshoot."""


@dataclass
class Clamped:
    """Counts values of streams that lay beyond Bits Stored and were clamped."""

    values: int = 0
    """How many."""
    frames: int = 0
    """In how many frames."""
    precision: int = 0
    """Bits of the stream; the most where streams differ."""

    def add(self, values: int, precision: int) -> None:
        """Count the values of one frame."""
        if values:
            self.values += values
            self.frames += 1
            self.precision = max(self.precision, precision)

    def notes(self, bits: int) -> tuple[str, ...]:
        """What is said of it, beside Bits Stored; nothing where nothing was clamped."""
        if not self.values:
            return ()
        return (
            f"{self.values} values of {self.frames} frames lie beyond BitsStored (0028,0101), which is "
            f"{bits}, in streams of {self.precision} bits: clamped",
        )


def unmasked(words: Words, bits: int, *, signed: bool) -> Words:
    """Values in the lowest `bits` of words, whatever stands above.

    `words` is of any shape and integer dtype; the result has the same shape and width, and a sign where the
    values have one.
    """
    width = 8 * words.dtype.itemsize
    if not signed:
        return words if bits >= width else words & words.dtype.type(2**bits - 1)
    values = words.view(f"i{words.dtype.itemsize}")
    shift = width - bits
    return values if shift <= 0 else (values << shift) >> shift


def in_range(words: Words, precision: int, bits: int, *, signed: bool) -> tuple[Words, int]:
    """Values of a decoded stream, clamped to what Bits Stored hold, and how many of them had to be.

    Parameters
    ----------
    words
        As a decoder gives them, any shape, of 8 or 16 bits.
    precision
        Bits of the stream's samples.
    bits
        Bits Stored (0028,0101).
    signed
        Pixel Representation (0028,0103).

    Raises
    ------
    PixelError
        Most values lie so far beyond that no encoder's overshoot explains it.

    Notes
    -----
    Streams but those of JPEG 2000 know no sign. Where they have more bits than are stored, negative values
    may have been encoded as words of `precision` bits, or of `bits`: the frame tells.
    """
    if precision <= bits:
        return unmasked(words, precision, signed=signed), 0
    values = unmasked(words, precision, signed=signed)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if signed and values.min() >= 0 and values.max() > high + 2**bits // _SLACK:
        return unmasked(words, bits, signed=True), 0
    beyond = int(np.count_nonzero((values < low) | (values > high)))
    if 2 * beyond > values.size and 2 * _far(values, low, high, 2**bits // _SLACK) > values.size:
        raise PixelError(
            f"{beyond} of {values.size} values of a frame lie beyond BitsStored (0028,0101), which is "
            f"{bits}: they go from {values.min()} to {values.max()}, in a stream of {precision} bits"
        )
    return (np.clip(values, low, high) if beyond else values), beyond


def _far(values: Words, low: int, high: int, slack: int) -> int:
    """How many values lie beyond these limits by more than the slack."""
    wide = values.astype(np.int64)
    return int(np.count_nonzero((wide < low - slack) | (wide > high + slack)))
