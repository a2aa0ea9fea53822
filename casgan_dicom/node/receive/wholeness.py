"""Whether a data set is what its presentation context says, from its first element to the end of its pixels.

What is acknowledged has to be readable later: the encoding of the elements (PS3.5 7, annex A), whether Pixel
Data (7FE0,0010) is native or encapsulated, and whether all of it came. No pixel is decoded, and of long
values only the lengths are read. What is deflated is inflated to its end, and nothing of it kept but the
header. Streams of JPEG and its heirs say themselves which they are, and are read as that under the name of
another (``pixels/codestream.py``); one of RLE says no size, and is refused there.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from pydicom.config import IGNORE
from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from casgan_dicom.node.receive.identity import UnreadableError
from casgan_dicom.node.receive.plain_header import PlainHeader
from casgan_dicom.source.encoding import written_syntax

_PIXELS = 0x7FE00010
_NAME = "PixelData (7FE0,0010)"
_UNDEFINED = 0xFFFFFFFF
_FIRST_BYTES = 4096
_ITEM, _DELIMITER = 0xFFFEE000, 0xFFFEE0DD
_SHORT = 0x00280002, 0x00280010, 0x00280011, 0x00280100
"""Samples per Pixel, Rows, Columns and Bits Allocated: US."""
_FRAMES = 0x00280008
WANTED = frozenset({*_SHORT, _FRAMES})
"""Tags of the elements that tell how much Pixel Data there has to be."""
_FIRST_GROUP = 0x0008
"""Groups below are those of messages, of files and of directories."""
HEADER_BYTES = 2**24
"""How far into a deflated data set Pixel Data is looked for."""
LONGEST_INFLATED = 2**32
"""Bytes of a deflated data set; more are no image that anybody can read."""
_CHUNK = 2**20
_JPEG_SYNTAXES = "1.2.840.10008.1.2.4."
"""What the transfer syntaxes of JPEG and its heirs begin with."""
_RLE, _MOST_SEGMENTS, _RLE_HEADER_BYTES = struct.Struct("<II"), 15, 64
"""Number of segments, and where the first begins."""


def check_whole(path: Path, offset: int, transfer_syntax: str, header: PlainHeader | None = None) -> None:
    """Make sure that a data set can be read in its transfer syntax, and is not cut short.

    Parameters
    ----------
    path
        A file.
    offset
        Where the data set begins in it.
    transfer_syntax
        That of the presentation context.
    header
        That of the same data set with the values of `WANTED`, if it is a plain one: what it says is not read
        again.

    Raises
    ------
    UnreadableError
        It is in another syntax, which is named, or some of it is missing.
    OSError
        The file cannot be read.
    """
    syntax = UID(transfer_syntax, IGNORE)
    with path.open("rb") as file:
        if header is not None:
            file.seek(offset + header.pixels)
            _check_pixels(file, os.fstat(file.fileno()).st_size, syntax, header.values)
            return
        file.seek(offset)
        head = file.read(_FIRST_BYTES)
        written = written_syntax(head)
        named = ExplicitVRLittleEndian if syntax.is_encapsulated else syntax
        if written is not None and written != named:
            raise UnreadableError(f"data set is {written.name}, want {named.name}")
        if written is None:  # an element of group 0000, or ``identity.py`` says what is wrong
            _check_group(int.from_bytes(head[:2], "big" if syntax == ExplicitVRBigEndian else "little"))
            return
        file.seek(offset)
        data: tuple[BinaryIO, int] = file, os.fstat(file.fileno()).st_size
        if syntax == DeflatedExplicitVRLittleEndian:
            syntax = named = ExplicitVRLittleEndian
            data = _inflated(file)
        _check_pixels(*data, syntax, _to_pixels(*data, named))


def _check_group(group: int) -> None:
    """Raise UnreadableError for an element of a group that no data set of an image holds, PS3.5 7.1."""
    if group < _FIRST_GROUP:
        raise UnreadableError(f"data set holds an element of group {group:04X}, which belongs to no data set")


def _inflated(file: BinaryIO) -> tuple[BinaryIO, int]:
    """The beginning of a deflated data set, and its whole length. Raises UnreadableError."""
    decoder, head, length = zlib.decompressobj(-zlib.MAX_WBITS), io.BytesIO(), 0
    try:
        while not decoder.eof:
            data = decoder.unconsumed_tail or file.read(_CHUNK)
            if not data:
                raise UnreadableError("the deflated data set is cut short")
            part = decoder.decompress(data, _CHUNK)
            length += len(part)
            if length > LONGEST_INFLATED:
                raise UnreadableError(f"inflates to more than {LONGEST_INFLATED} bytes")
            head.write(part[: max(0, HEADER_BYTES - head.tell())])
    except zlib.error:
        raise UnreadableError("the deflated data set is damaged") from None
    head.seek(0)
    return head, length


def _to_pixels(file: BinaryIO, size: int, syntax: UID) -> Mapping[int, bytes]:
    """Go to Pixel Data; what decides its length. Raises UnreadableError, also where there is none."""
    at_pixels, end, lowest = False, 0, _FIRST_GROUP

    def stop(tag: BaseTag, _vr: str | None, length: int) -> bool:
        nonlocal at_pixels, end, lowest
        at_pixels = int(tag) == _PIXELS
        lowest = min(lowest, tag.group)
        end = size if length == _UNDEFINED else file.tell() + length
        return at_pixels

    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    found = {}
    try:
        for element in data_element_generator(
            file, implicit, little, stop, specific_tags=[BaseTag(tag) for tag in WANTED]
        ):
            if isinstance(element, RawDataElement):
                found[int(element.tag)] = element.value or b""
    except Exception as error:  # a parser fed with garbage raises anything; its text may quote what it read
        raise UnreadableError(f"data set cannot be read ({type(error).__name__})") from None
    _check_group(lowest)
    if not at_pixels:
        raise UnreadableError("data set is cut short" if end != size else f"{_NAME} is absent")
    return found


def _check_pixels(file: BinaryIO, size: int, syntax: UID, values: Mapping[int, bytes]) -> None:
    """Look at the value of Pixel Data from outside. Raises UnreadableError."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    file.seek(4 if syntax == ImplicitVRLittleEndian else 8, os.SEEK_CUR)
    field = file.read(4)
    length = struct.unpack(f"{order}I", field)[0] if len(field) == 4 else 0
    is_native = length != _UNDEFINED
    if is_native == syntax.is_encapsulated:
        raise UnreadableError(f"{_NAME} is {'native' if is_native else 'encapsulated'}, want {syntax.name}")
    if is_native:
        _check_native(length, size - file.tell(), _promised(values, order))
    else:
        _check_fragments(file, size, syntax, _frames(values))


def _check_native(length: int, there: int, promised: int) -> None:
    if there < length:
        raise UnreadableError(f"{_NAME} is cut short: {there} of {length} bytes")
    if length < promised:
        raise UnreadableError(f"{_NAME} has {length} bytes, the header promises {promised}")


def _promised(values: Mapping[int, bytes], order: str) -> int:
    """Bytes of uncompressed grayscale frames; 0 where the header does not tell, or for other kinds."""
    shorts = [values.get(tag, b"") for tag in _SHORT]
    if any(len(value) != 2 for value in shorts):
        return 0
    samples, rows, columns, bits = (struct.unpack(f"{order}H", value)[0] for value in shorts)
    return rows * columns * (bits // 8) * _frames(values) if samples == 1 else 0


def _frames(values: Mapping[int, bytes]) -> int:
    """Number of Frames (0028,0008); 1 where absent, 0 where it is no number."""
    text = values.get(_FRAMES, b"").strip(b" \0") or b"1"
    return int(text) if text.isdigit() else 0


def _check_fragments(file: BinaryIO, size: int, syntax: UID, frames: int) -> None:
    """Walk over the items of encapsulated Pixel Data, PS3.5 A.4. Raises UnreadableError.

    The first is the offset table; a frame has one fragment at least.
    """
    items = 0
    while len(head := file.read(8)) == 8:
        group, element, length = struct.unpack("<HHI", head)
        tag = group << 16 | element
        if tag == _DELIMITER:
            if items - 1 < frames:
                found = f"{max(0, items - 1)} fragments"
                raise UnreadableError(f"{_NAME} has {found}, the header promises {frames} frames")
            return
        if tag != _ITEM or length == _UNDEFINED:
            raise UnreadableError(f"{_NAME} holds no items of encapsulated frames")
        if items == 1:
            _check_kind(file.read(min(length, _RLE.size)), syntax)
            file.seek(-min(length, _RLE.size), os.SEEK_CUR)
        file.seek(length, os.SEEK_CUR)
        items += 1
    # Some leave the delimiter out: then the frames have to be looked at one by one, when they are decoded.
    if items < 2 or file.tell() != size or head:
        raise UnreadableError(f"{_NAME} is cut short")


def _check_kind(head: bytes, syntax: UID) -> None:
    """Raise UnreadableError where a fragment begins as one of RLE (PS3.5 G.5), and is not to be."""
    if len(head) < _RLE.size or not syntax.startswith(_JPEG_SYNTAXES):
        return
    segments, first = _RLE.unpack(head)
    if 1 <= segments <= _MOST_SEGMENTS and first == _RLE_HEADER_BYTES:
        raise UnreadableError(f"{_NAME} is {RLELossless.name}, want {syntax.name}")
