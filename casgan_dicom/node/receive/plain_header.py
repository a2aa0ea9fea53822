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

from casgan_dicom.source.encoding import written_syntax
from casgan_dicom.source.plain_elements import scan

GLANCE_BYTES = 64 * 1024
"""How far a glance goes: headers of real cines take some thousand bytes."""
_HEAD_BYTES = 4096
_PIXELS = 0x7FE00010
_FIRST_GROUP = 0x0008
_TAG = struct.Struct("<HH")


@dataclass(frozen=True)
class PlainHeader:
    """What stands before Pixel Data (7FE0,0010)."""

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
    return PlainHeader(values, at) if group << 16 | number == _PIXELS else None


@cache
def _named(transfer_syntax: str) -> UID | None:
    """The native syntax in which the header has to be, PS3.5 A.4; None for one that is not plain.

    Called with syntaxes that were negotiated, so there are few.
    """
    syntax = UID(transfer_syntax, IGNORE)
    if syntax.is_encapsulated:
        return ExplicitVRLittleEndian
    return syntax if syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian) else None
