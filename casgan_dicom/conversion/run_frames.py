"""The frames of a run: decoded once, kept in a file as stored values, shown as often as a pass wants them.

Decoding is what costs, so only the first pass does it. The file is read frame by frame, not mapped: neither
memory nor what is counted as such grows with the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.decode import StoredFrame
from casgan_dicom.pixels.display import Display
from casgan_dicom.source.cine import Cine

Float = npt.NDArray[np.float32]


class RunFrames:
    """Frames of one cine. Only one pass at a time may ask for them.

    Parameters
    ----------
    cine
        The source.
    display
        Its stored values to display values.
    file
        Empty, open for reading and writing, for as long as frames are wanted. It takes one byte a pixel for
        up to 8 Bits Allocated (0028,0100), else two.
    """

    def __init__(self, cine: Cine, display: Display, file: BinaryIO) -> None:
        self.frames = cine.frames
        """How many the cine has."""
        self.pixels = cine.rows * cine.columns
        """Of each of them."""
        self._shape = cine.rows, cine.columns
        self._display = display
        self._file = file
        self._word = np.dtype("u1" if int(cine.header.BitsAllocated) <= 8 else "u2")
        self._size = self.pixels * self._word.itemsize
        self._kept = 0

    def decoded(self, frames: Iterable[StoredFrame]) -> Iterator[Float]:
        """The first pass: keep every frame as it is decoded, and hand on its display values (H, W)."""
        for k, stored in enumerate(frames):
            # Two's complement in the low bits is all that a display mapping looks at.
            self._file.write(np.ascontiguousarray(stored).astype(self._word, copy=False).data)
            self._kept = k + 1
            yield self._display.apply(k, stored)

    def shown(self, numbers: Iterable[int] | None = None) -> Iterator[Float]:
        """Display values (H, W) of frames by their numbers from 0, or of all; after the first pass.

        Raises
        ------
        PixelError
            A frame has not been decoded.
        """
        for k in range(self.frames) if numbers is None else numbers:
            if not 0 <= k < self._kept:
                raise PixelError(f"frame {k + 1} of {self.frames} has not been decoded")
            self._file.seek(k * self._size)
            words = np.frombuffer(self._file.read(self._size), self._word)
            yield self._display.apply(k, words.reshape(self._shape))
