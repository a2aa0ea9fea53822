"""Elements of a plain data set, without a parser: little endian, in order, sequences with a length.

It takes a third of the time of pydicom's parser, which knows what else there may be. Where there is anything
else, nothing is told, and the parser has to be asked.
"""

from __future__ import annotations

import struct
from collections.abc import Container

from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

_ELEMENT, _LENGTH = struct.Struct("<HH2sH"), struct.Struct("<I")
_LONGEST_HEAD = 12
"""Bytes of tag, VR and length of an element."""
_LONG_VRS = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_32)
_SHORT_VRS = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_16)


def scan(
    content: bytes, implicit: bool, wanted: Container[int], last: int
) -> tuple[dict[int, bytes], int] | None:
    """Read plain elements up to a tag.

    Parameters
    ----------
    content
        The first bytes of a data set, little endian.
    implicit
        Whether value representations are left out (PS3.5 A.1).
    wanted
        Tags whose values are wanted.
    last
        The last tag of interest.

    Returns
    -------
    tuple of dict and int, or None
        The wanted values as they stand, by tag, and where the first element behind `last` begins, in bytes.
        None where there is anything but plain elements in order, or `content` does not go on behind `last`.
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
