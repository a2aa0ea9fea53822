"""The header of an ordinary data set at one glance, from its first bytes and without a parser.

pydicom's parser knows whatever there may be in a data set and takes longer for it than a small instance takes
to come over the network. Nearly every header is a plain one: little endian, its elements in order, its
sequences with a length, its pixels not far. Of any other nothing is told here, and ``identity.py`` and
``wholeness.py`` read it with the parser.
"""

from __future__ import annotations

import struct
from collections.abc import Container
from dataclasses import dataclass
from functools import cache

from pydicom.config import IGNORE
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from casgan_dicom.source.encoding import written_syntax

GLANCE_BYTES = 64 * 1024
"""How far a glance goes: headers of real cines take some thousand bytes."""
_HEAD_BYTES = 4096
_PIXELS = 0x7FE00010
_FIRST_GROUP = 0x0008
_ELEMENT, _TAG, _LENGTH = struct.Struct("<HH2sH"), struct.Struct("<HH"), struct.Struct("<I")
_LONGEST_HEAD = 12
"""Bytes of tag, VR and length of an element."""
_LONG_VRS = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_32)
_SHORT_VRS = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_16)


@dataclass(frozen=True)
class PlainHeader:
    """What stands before Pixel Data (7FE0,0010)."""

    content: bytes
    """The first bytes of the data set, tag and length of Pixel Data among them."""
    values: dict[int, bytes]
    """The wanted values as they stand, by tag."""
    pixels: int
    """Where Pixel Data begins in the data set, bytes."""


def plain_header(content: bytes, transfer_syntax: str, wanted: Container[int]) -> PlainHeader | None:
    """Read a plain header.

    Parameters
    ----------
    content
        The first `GLANCE_BYTES` of a data set, or all of it.
    transfer_syntax
        That of the presentation context.
    wanted
        Tags whose values are wanted; of an element with a length only.

    Returns
    -------
    PlainHeader or None
        None for any header that is not plain, or not in this syntax.
    """
    named = _named(transfer_syntax)
    if named is None or written_syntax(content[:_HEAD_BYTES]) != named:
        return None
    found = scan(content, named == ImplicitVRLittleEndian, wanted, _PIXELS - 1)
    if found is None or _TAG.unpack_from(content)[0] < _FIRST_GROUP:
        return None
    values, at = found
    group, number = _TAG.unpack_from(content, at)
    return PlainHeader(content, values, at) if group << 16 | number == _PIXELS else None


def scan(
    content: bytes, implicit: bool, wanted: Container[int], last: int
) -> tuple[dict[int, bytes], int] | None:
    """The wanted values of a header of plain elements, up to the tag `last`, and where the next one begins.

    None where there is anything but plain elements in order, or the header does not go on behind `last`.
    """
    values, at, before, end = dict[int, bytes](), 0, -1, len(content) - _LONGEST_HEAD
    while at <= end:
        group, number, vr, short = _ELEMENT.unpack_from(content, at)
        tag = group << 16 | number
        if tag > last:
            return values, at
        if tag <= before:
            return None
        before = tag
        if implicit or vr in _LONG_VRS:
            at += 4 if implicit else 8
            (length,) = _LENGTH.unpack_from(content, at)
            at += 4
        elif vr in _SHORT_VRS:
            length, at = short, at + 8
        else:
            return None
        if tag in wanted:
            values[tag] = content[at : at + length]
        at += length  # that of a sequence without one leads behind the end
    return None


@cache
def _named(transfer_syntax: str) -> UID | None:
    """The native syntax in which the header has to be, PS3.5 A.4; None for one that is not plain.

    Called with syntaxes that were negotiated, so there are few.
    """
    syntax = UID(transfer_syntax, IGNORE)
    if syntax.is_encapsulated:
        return ExplicitVRLittleEndian
    return syntax if syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian) else None
