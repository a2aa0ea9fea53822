"""What a DICOM file says of itself before its data set: File Meta Information, PS3.10 7.1."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from pydicom.filereader import data_element_generator

from casgan_dicom.uids import is_like_uid

LONGEST_META = 64 * 1024
"""Bytes; private information in it is longer than that nowhere."""

_PREAMBLE, _PREFIX = 128, b"DICM"
_GROUP_LENGTH = b"\x02\0\0\0UL\x04\0"
"""(0002,0000), up to its value: it comes first, and is always there."""
_BEGINS = _PREAMBLE + len(_PREFIX) + len(_GROUP_LENGTH) + 4
_CLASS, _UID, _SYNTAX = 0x00020002, 0x00020003, 0x00020010


@dataclass(frozen=True)
class FileMeta:
    """What is needed of it."""

    sop_class_uid: str
    """Media Storage SOP Class UID (0002,0002)."""
    sop_uid: str
    """Media Storage SOP Instance UID (0002,0003)."""
    transfer_syntax: str
    """Transfer Syntax UID (0002,0010)."""
    offset: int
    """Where the data set begins in the file."""


def read_file_meta(content: bytes) -> FileMeta | None:
    """Read it from the first bytes of a file; None where there are too few of them.

    Raises ValueError that says what is wrong, without quoting what a sender wrote.
    """
    head = content[: _PREAMBLE + len(_PREFIX)]
    if head[_PREAMBLE:] != _PREFIX[: max(0, len(head) - _PREAMBLE)]:
        raise ValueError("is no DICOM file: there is no DICM behind 128 bytes")
    if len(content) < _BEGINS:
        return None
    if content[_BEGINS - 12 : _BEGINS - 4] != _GROUP_LENGTH:
        raise ValueError("has no length of its File Meta Information (0002,0000)")
    (length,) = struct.unpack_from("<I", content, _BEGINS - 4)
    if length > LONGEST_META:
        raise ValueError(f"has File Meta Information of more than {LONGEST_META} bytes")
    if len(content) < _BEGINS + length:
        return None
    uids = _uids(content[_BEGINS : _BEGINS + length])
    if not all(map(is_like_uid, uids)):
        raise ValueError("has File Meta Information without its UIDs")
    return FileMeta(*uids, _BEGINS + length)


def _uids(meta: bytes) -> tuple[str, str, str]:
    """The three UIDs; one that is not there is empty."""
    values: dict[int, bytes] = {}
    try:
        for element in data_element_generator(io.BytesIO(meta), is_implicit_VR=False, is_little_endian=True):
            if isinstance(element.value, bytes):
                values[int(element.tag)] = element.value
    except Exception as error:  # what is no DICOM file makes a parser raise anything
        raise ValueError("has File Meta Information that cannot be read") from error
    texts = (values.get(tag, b"").strip(b"\0 ").decode("latin-1") for tag in (_CLASS, _UID, _SYNTAX))
    sop_class_uid, sop_uid, syntax = texts
    return sop_class_uid, sop_uid, syntax
