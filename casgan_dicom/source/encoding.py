"""How a data set is written, by its own bytes: one answer for header and pixels.

File Meta Information names a transfer syntax (PS3.10 7.1), and the data set may be in another: implicit named
explicit, big endian named little, deflated named plain, and the reverse. Its first element tells: the group
is small in the right byte order, and where VRs are explicit, two letters of one follow the tag.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_has_tag
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from casgan_dicom.source.inflate import InflateError, file_meta
from casgan_dicom.uids import uid_name

_HEAD_BYTES = 4096
_VRS = re.compile(
    rb"AE|AS|AT|CS|DA|DS|DT|FD|FL|IS|LO|LT|OB|OD|OF|OL|OV|OW|PN|SH|SL|SQ|SS|ST|SV|TM|UC|UI|UL|UN|UR|US|UT|UV"
)
_LONG_VRS = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
"""Those with a length of four bytes behind two that are reserved."""
_HIGHEST_FIRST_GROUP = 0x28
"""The highest group with which a data set of an image may begin."""
_LONGEST_FIRST = 2**16
"""Bytes that the first element may have."""
_PIXELS = 0x7FE00010


@dataclass(frozen=True)
class Encoding:
    """What File Meta Information says, and what there is."""

    declared: UID
    """Transfer Syntax UID (0002,0010); empty where absent."""
    written: UID
    """The native transfer syntax in which the data set is written; as declared where nothing can be told."""

    @property
    def named(self) -> UID:
        """The native syntax that the declared one means: that of encapsulated frames is PS3.5 A.4."""
        return ExplicitVRLittleEndian if _encapsulated(self.declared) else self.declared

    @property
    def found(self) -> UID:
        """The transfer syntax of data set and frames: encapsulated ones are what they are called."""
        plain = _encapsulated(self.declared) and self.written != DeflatedExplicitVRLittleEndian
        return self.declared if plain else self.written

    @property
    def note(self) -> str:
        """What is said where the two differ; empty where they do not."""
        if self.written == self.named:
            return ""
        written = f"the data set is in {uid_name(self.written)}"
        return f"TransferSyntaxUID (0002,0010) is {uid_name(self.declared)}, {written}: read as it is"


def encoding_of(file: BinaryIO) -> Encoding:
    """Tell how the data set of a file is written; the file is at its beginning afterwards."""
    file.seek(0)
    meta = file_meta(file)
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    declared = UID(str(meta.get("TransferSyntaxUID") or ""), IGNORE)
    known = not declared or declared.is_transfer_syntax
    written = written_syntax(head) if known else None  # nobody knows what a private one may be
    return Encoding(declared, written or Encoding(declared, declared).named)


def _encapsulated(uid: UID) -> bool:
    return uid.is_transfer_syntax and uid.is_encapsulated


def before_pixels(file: BinaryIO, *, only_place: bool = False) -> Dataset:
    """Read a data set up to its Pixel Data (7FE0,0010), where the file is afterwards.

    Parameters
    ----------
    file
        Open for reading, not deflated.
    only_place
        Keep no element: it is the place of the pixels that is looked for.

    Returns
    -------
    Dataset
        With its `file_meta`, whose Transfer Syntax UID (0002,0010) is that which was found.
    """
    encoding = encoding_of(file)
    if encoding.written in (encoding.named, DeflatedExplicitVRLittleEndian):
        return dcmread(file, stop_before_pixels=True, specific_tags=[] if only_place else None)
    meta = file_meta(file)
    meta.TransferSyntaxUID = encoding.found
    implicit = encoding.written == ImplicitVRLittleEndian
    little = encoding.written != ExplicitVRBigEndian
    ds = read_dataset(file, implicit, little, stop_when=_at_pixels)
    ds.file_meta = meta
    return ds


def refuse_deflated(path: Path) -> None:
    """Raise InflateError for a deflated file, before a parser inflates all of it in memory."""
    with path.open("rb") as file:
        encoding = encoding_of(file)
    if DeflatedExplicitVRLittleEndian in (encoding.declared, encoding.written):
        raise InflateError("the data set is deflated")


def _at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    """Whether the next element is Pixel Data."""
    return int(tag) == _PIXELS


def begins_data_set(head: bytes) -> bool:
    """Whether a file begins like a data set, without the preamble of 128 bytes and DICM (PS3.10 7.1).

    Its first two elements have to be known ones of File Meta Information or of identification, in order.
    """
    syntax = _plain(head)
    order: Literal["little", "big"] = "big" if syntax == ExplicitVRBigEndian else "little"
    tags: list[int] = []
    at = 0
    while syntax is not None and len(tags) < 2 and at + 12 <= len(head):
        group, element = (int.from_bytes(head[k : k + 2], order) for k in (at, at + 2))
        tags.append(group << 16 | element)
        vr = head[at + 4 : at + 6]
        place, size = (4, 4) if syntax == ImplicitVRLittleEndian else (8, 4) if vr in _LONG_VRS else (6, 2)
        at += place + size + int.from_bytes(head[at + place : at + place + size], order)
    known = all(tag >> 16 in (2, 8) and dictionary_has_tag(tag) for tag in tags)
    return len(tags) == 2 and tags[0] < tags[1] and known


def written_syntax(head: bytes) -> UID | None:
    """The native transfer syntax of a data set that begins with these bytes; None where none shows."""
    plain = _plain(head)
    if plain is not None:
        return plain
    try:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(head, _HEAD_BYTES)
    except zlib.error:
        return None
    return DeflatedExplicitVRLittleEndian if _plain(inflated) == ExplicitVRLittleEndian else None


def _plain(head: bytes) -> UID | None:
    """The syntax that is not deflated."""
    if len(head) < 8:
        return None
    little, big = int.from_bytes(head[:2], "little"), int.from_bytes(head[:2])
    if _VRS.fullmatch(head[4:6]):
        if 0 < little <= _HIGHEST_FIRST_GROUP:
            return ExplicitVRLittleEndian
        return ExplicitVRBigEndian if 0 < big <= _HIGHEST_FIRST_GROUP else None
    short = int.from_bytes(head[4:8], "little") < _LONGEST_FIRST
    return ImplicitVRLittleEndian if 0 < little <= _HIGHEST_FIRST_GROUP and short else None
