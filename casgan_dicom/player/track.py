"""One cine of a run as it is played: its frames as stored values, and how these are shown.

What a stored value means is told by tables (``pixels/display.py``): the browser looks each value up. So it
shows what a conversion reads, MONOCHROME1, windows of each kind and VOI LUTs among it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.bit_frames import iter_bit_frames
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.display import Display
from casgan_dicom.player.reel import Pattern, Reel
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.elements import integer
from casgan_dicom.source.eligible import MAX_BYTES, MAX_SIDE

_Each = TypeVar("_Each")


class Track:
    """One cine.

    Parameters
    ----------
    cine
        Its files and headers.

    Raises
    ------
    PixelError
        Its pixels are of a kind that cannot be shown, or too large.
    """

    def __init__(self, cine: Cine) -> None:
        _refuse_unshowable(cine)
        self.cine = cine
        """Its files and headers."""
        self.display = Display.of(cine)
        """How it is shown."""
        self.bits = integer(cine.header.get("BitsStored"))
        """Bits Stored (0028,0101)."""
        pixels = cine.rows * cine.columns
        self.reel = Reel(partial(_patterns, cine, self.display), cine.frames, pixels, self.bits)
        """Its frames."""

    def table(self, k: int) -> bytes:
        """Display value in [0, 1] of each stored value of frame `k`: float32, little endian, 2 ** bits."""
        _, mapping = self.display.mapping_of(self._known(k))
        return mapping.table.astype("<f4").tobytes()

    def visible(self, k: int) -> bytes:
        """What shutters leave visible of frame `k`: a byte for each pixel, 1 or 0."""
        return self.display.visible(self._known(k)).astype(np.uint8).tobytes()

    def tables(self) -> list[int]:
        """For each frame the first one that has the same table; one entry where all have one."""
        first: dict[int, int] = {}
        return _short([first.setdefault(self.display.mapping_of(k)[0], k) for k in range(self.cine.frames)])

    def shutters(self) -> list[int | None]:
        """For each frame the first one that is visible alike, None where all of it is; one entry for all."""
        return _short([self.display.shutter_of(k) for k in range(self.cine.frames)])

    def _known(self, k: int) -> int:
        if not 0 <= k < self.cine.frames:
            raise PixelError(f"frame {k + 1}: the run has {self.cine.frames}")
        return k


def _short(each: list[_Each]) -> list[_Each]:
    """One entry where all are the same."""
    return each[:1] if len(set(each)) == 1 else each


def _patterns(cine: Cine, display: Display) -> Iterator[Pattern]:
    """Stored values in the low bits of words, frame by frame."""
    one_bit = cine.header.get("BitsAllocated") == 1
    decode: Callable[[Cine], Iterator[npt.NDArray[np.integer]]] = iter_bit_frames if one_bit else iter_frames
    for k, stored in enumerate(decode(cine)):
        yield display.mapping_of(k)[1].patterns(stored)


def _refuse_unshowable(cine: Cine) -> None:
    """Raise PixelError for what nothing here decodes, or what is too large for a browser."""
    header, rows, columns = cine.header, cine.rows, cine.columns
    allocated, samples = header.get("BitsAllocated"), header.get("SamplesPerPixel", 1)
    if not all(instance.has_pixels for instance in cine.instances):
        raise PixelError("PixelData (7FE0,0010) is absent")
    if allocated not in (1, 8, 16) or samples != 1:
        raise PixelError(
            f"BitsAllocated (0028,0100) is {integer(allocated)}, SamplesPerPixel (0028,0002) "
            f"{integer(samples)}: need 8 or 16, and 1"
        )
    size = f"{cine.frames} frames of {rows} × {columns}"
    if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE and cine.frames > 0):
        raise PixelError(f"{size}: nothing that can be shown, at most {MAX_SIDE} × {MAX_SIDE} can")
    if cine.frames * rows * columns > MAX_BYTES:
        raise PixelError(f"{size} are more than {MAX_BYTES} pixels")
