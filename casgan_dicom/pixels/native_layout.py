"""Where uncompressed frames lie in Pixel Data (7FE0,0010): one behind the other, and what is more than that.

Some writers put a byte of padding behind each frame of an odd size, others pad all frames or the end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from casgan_dicom.pixels.pixel_data import (
    UNDEFINED_LENGTH,
    PixelElement,
    frame_bytes,
    instance_error,
    part_of_value,
    pixel_element,
    wrong_syntax,
)
from casgan_dicom.pixels.syntaxes import decoder_of
from casgan_dicom.source.cine import Cine, Instance
from casgan_dicom.source.inflate import inflated

_HEADER_BYTES = 2**28
"""What a deflated data set may hold beside its frames."""


@dataclass(frozen=True)
class NativeLayout:
    """Uncompressed frames."""

    start: int
    """Position of the first."""
    stride: int
    """Bytes from one to the next."""
    little: bool
    """Whether their words are little endian."""
    swapped: bool
    """Whether their bytes lie in words of two, of which the second comes first."""
    notes: tuple[str, ...]
    """What was read otherwise than the header says."""


@contextmanager
def native_file(instance: Instance, cine: Cine) -> Iterator[BinaryIO]:
    """The file of uncompressed frames, inflated where it was deflated; gone or closed behind the block."""
    if decoder_of(instance.transfer_syntax).way != "inflated":
        with instance.path.open("rb") as file:
            yield file
        return
    limit = (instance.frames + 1) * (frame_bytes(cine) + 1) + _HEADER_BYTES
    with instance.path.open("rb") as packed, inflated(packed, limit, whole=True) as file:
        yield file


def native_layout(file: BinaryIO, instance: Instance, cine: Cine) -> NativeLayout:
    """Say where the uncompressed frames of a file lie.

    Raises PixelError unless so many bytes, all present, are the frames promised.
    """
    element = pixel_element(file, instance)
    present = os.fstat(file.fileno()).st_size - element.start
    if element.length == UNDEFINED_LENGTH:
        raise wrong_syntax(instance, "encapsulated frames", "uncompressed ones")
    if element.length > present:
        found = f"{present} of {element.length} bytes"
        raise instance_error(instance, f"PixelData (7FE0,0010) is cut short: {found}")
    each, frames = frame_bytes(cine), instance.frames
    surplus = element.length - frames * each
    padded = each % 2 == 1 and surplus == frames
    if not (0 <= surplus < max(each, 2) or padded):
        raise instance_error(
            instance,
            f"PixelData (7FE0,0010) holds {element.length} bytes, NumberOfFrames (0028,0008) {frames} × "
            f"{each} bytes are wanted",
        )
    stride = each
    notes: tuple[str, ...] = ()
    swapped = not element.little and element.vr == "OW" and int(cine.header.BitsAllocated) == 8
    if surplus not in (0, frames * each % 2):  # an even length is the rule, PS3.5 7.1.1
        stride, notes = _with_surplus(
            partial(part_of_value, file, element.start, swapped=swapped), element, frames, each
        )
    return NativeLayout(element.start, stride, element.little, swapped, notes)


def _with_surplus(
    part: Callable[[int, int], bytes], element: PixelElement, frames: int, each: int
) -> tuple[int, tuple[str, ...]]:
    """Bytes from frame to frame, and a note, where there are more bytes than the frames take.

    Padding behind each frame is told from padding behind them all by being the same everywhere. `part` gives
    so many bytes of the value from a place on.
    """
    surplus = element.length - frames * each
    padding, rest = divmod(surplus, frames)
    said = f"PixelData (7FE0,0010) holds {surplus} bytes more than its {frames} frames of {each}"
    if frames > 1 and padding and not rest:
        between, behind = _paddings(part, surplus, frames, each)
        odd = each % 2 == padding == 1
        if (odd and (between or not behind)) or (between and not behind):
            return each + padding, (f"{said}: read as {padding} of padding behind each frame",)
    return each, (f"{said}: those at the end are passed over",)


def _paddings(part: Callable[[int, int], bytes], surplus: int, frames: int, each: int) -> tuple[bool, bool]:
    """Whether what would be padding behind each frame is one value, and what would be behind them all."""
    padding = surplus // frames
    values: set[int] = set()
    for k in range(frames):
        values.update(part(k * (each + padding) + each, padding))
    return len(values) == 1, len(set(part(frames * each, surplus))) == 1
