"""The value of Pixel Data (7FE0,0010) as it lies in a file: where it begins, and what it is cut into.

Bytes and lengths only; which of them are a frame, ``layout.py`` knows, what they mean, ``decode.py``, and
what they have lost, ``lossy.py``.
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.codestream import StreamHeader, begins_stream, stream_header
from casgan_dicom.source.cine import Cine, Instance
from casgan_dicom.source.elements import swap_bytes
from casgan_dicom.source.encoding import before_pixels
from casgan_dicom.source.transfer_syntaxes import JPEG_XL, JPEG_XL_LOSSLESS, JPEG_XL_OF_JPEG
from casgan_dicom.uids import shown_uid, uid_name

UNDEFINED_LENGTH = 2**32 - 1

_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_BEHIND_PIXELS = (b"\xfc\xff\xfc\xff", b"\xfa\xff\xfa\xff")
"""Data Set Trailing Padding (FFFC,FFFC) and Digital Signatures (FFFA,FFFA): all that may follow."""
_LITTLE, _BIG = b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10"
_EXPLICIT = (b"OB", b"OW", b"UN")
"""How the element goes on in explicit VR; as a length in implicit VR each would be odd, which none may be."""
_HEAD_BYTES, _LONG_HEAD_BYTES = 2**12, 2**17
"""How far into a fragment its stream's header is looked for, and how far where that does not do."""


class PixelElement(NamedTuple):
    """Where the value of Pixel Data begins, as the file itself is written."""

    start: int
    """Its position."""
    length: int
    """The length that it declares; `UNDEFINED_LENGTH` for fragments."""
    little: bool
    """Whether its words are little endian."""
    vr: str
    """Its value representation; OW where the file does not say, in implicit VR."""


class Fragment(NamedTuple):
    """One fragment of an encapsulated stream."""

    start: int
    """Position of its first byte, behind the item's tag and length."""
    length: int
    """Bytes."""
    begins: bool
    """Whether a stream of a known kind begins here."""
    header: StreamHeader | None
    """What that stream says of itself."""


@dataclass(frozen=True)
class Encapsulated:
    """An encapsulated value, PS3.5 A.4."""

    table: tuple[int, ...]
    """Basic Offset Table; empty where it is."""
    fragments: tuple[Fragment, ...]
    """In the order of the file."""
    delimited: bool
    """Whether a Sequence Delimitation Item ends it."""


def content_of(file: BinaryIO, fragments: Iterable[Fragment]) -> bytes:
    """What stands in some fragments of an open file, one behind the other."""
    parts = []
    for fragment in fragments:
        file.seek(fragment.start)
        parts.append(file.read(fragment.length))
    return b"".join(parts)


def part_of_value(file: BinaryIO, start: int, at: int, count: int, *, swapped: bool) -> bytes:
    """So many bytes of an uncompressed value that begins at `start`, from its byte `at` on.

    `swapped` is whether it lies in words of two, of which the second byte comes first (PS3.5 7.3).
    """
    odd = at % 2 if swapped else 0
    file.seek(start + at - odd)
    if not swapped:
        return file.read(count)
    return swap_bytes(file.read(count + odd + (count + odd) % 2))[odd : odd + count]


def frame_bytes(cine: Cine) -> int:
    """Bytes of an uncompressed frame."""
    return cine.rows * cine.columns * int(cine.header.BitsAllocated) // 8


def pixel_element(file: BinaryIO, instance: Instance) -> PixelElement:
    """Find the value of Pixel Data; the file is at its beginning afterwards.

    How the element is written is read where it stands: a file may hold another encoding than its
    Transfer Syntax UID (0002,0010) names, and header and pixels have to be read alike.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the header was judged when the series was found
        before_pixels(file, only_place=True)
    head = file.read(8)
    little = head[:4] != _BIG
    explicit = head[4:6] in _EXPLICIT
    value = file.read(4) if explicit else head[4:8]
    if len(value) < 4 or head[:4] not in (_LITTLE, _BIG):
        raise instance_error(instance, "PixelData (7FE0,0010) is cut short before its length")
    length = int(struct.unpack("<I" if little else ">I", value)[0])
    return PixelElement(file.tell(), length, little, head[4:6].decode() if explicit else "OW")


def encapsulated(instance: Instance) -> Encapsulated:
    """Walk through the fragments of an encapsulated stream.

    Raises
    ------
    PixelError
        A fragment is cut short, or what lies between fragments is no item.
    """
    xl = instance.transfer_syntax in (JPEG_XL_LOSSLESS, JPEG_XL_OF_JPEG, JPEG_XL)
    with instance.path.open("rb") as file:
        pixel_element(file, instance)
        size = os.fstat(file.fileno()).st_size
        table: tuple[int, ...] | None = None
        found: list[Fragment] = []
        while (tag := file.read(4)) == _ITEM:
            raw_length = file.read(4)
            length = struct.unpack("<I", raw_length)[0] if len(raw_length) == 4 else size
            start = file.tell()
            if start + length > size:
                raise instance_error(instance, f"PixelData (7FE0,0010) is cut short at byte {size}")
            if table is None:
                table = struct.unpack(f"<{length // 4}I", file.read(length)[: length // 4 * 4])
            elif length:
                found.append(fragment_at(file, start, length, xl=xl))
            file.seek(start + length)
        delimited = tag == _SEQUENCE_END
        if table is None or not (delimited or _ends(tag, file)):
            where = file.tell()
            raise instance_error(instance, f"PixelData (7FE0,0010) is cut short or damaged at byte {where}")
    return Encapsulated(table, tuple(found), delimited)


def fragment_at(file: BinaryIO, start: int, length: int, *, xl: bool = False) -> Fragment:
    """The fragment, or a part of one, that begins here."""
    file.seek(start)
    head = file.read(min(length, _HEAD_BYTES))
    begins = begins_stream(head, xl=xl)
    header = stream_header(head, xl=xl)
    if begins and (header is None or header.loses is None) and length > len(head):
        header = stream_header(head + file.read(min(length, _LONG_HEAD_BYTES) - len(head)), xl=xl)
    return Fragment(start, length, begins, header)


def _ends(tag: bytes, file: BinaryIO) -> bool:
    """Whether nothing of the stream follows although no delimiter does: the file's end, zeros, an element."""
    if _SEQUENCE_END.startswith(tag) or tag in _BEHIND_PIXELS:  # nothing at all, or the delimiter cut off
        return True
    rest = tag + file.read(_LONG_HEAD_BYTES)
    return not rest.strip(b"\0") and not file.read(1)


def instance_error(instance: Instance, text: str) -> PixelError:
    """The error of one instance, named by its UID."""
    return PixelError(
        f"instance {shown_uid(instance.sop_instance_uid)}: {text}",
        hint="the file is damaged or incomplete: fetch it again from the archive",
    )


def wrong_syntax(instance: Instance, found: str, wanted: str) -> PixelError:
    """The error of a file whose frames are not stored as its transfer syntax says."""
    name = uid_name(instance.transfer_syntax)
    return instance_error(
        instance,
        f"PixelData (7FE0,0010) holds {found}, TransferSyntaxUID (0002,0010) {name} means {wanted}",
    )
