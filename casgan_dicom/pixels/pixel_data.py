"""The value of Pixel Data (7FE0,0010) as it lies in a file: where it begins, and what it is cut into.

Bytes and lengths only; what they mean, ``decode.py`` knows, and what they have lost, ``lossy.py``.
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterator
from typing import BinaryIO

from pydicom import dcmread

from casgan_dicom.errors import PixelError
from casgan_dicom.source.cine import Cine, Instance

_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_HEAD_BYTES = 4096
"""How far into a fragment its frame size is looked for."""


def frame_bytes(cine: Cine) -> int:
    """Bytes of an uncompressed frame."""
    return cine.rows * cine.columns * int(cine.header.BitsAllocated) // 8


def seek_value(file: BinaryIO, instance: Instance) -> int:
    """Put the file at the value of Pixel Data and return the length it declares."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the header was judged when the series was found
        ds = dcmread(file, stop_before_pixels=True, specific_tags=[])
    implicit, little = ds.original_encoding
    file.seek(4 if implicit else 8, os.SEEK_CUR)  # tag, and with explicit VR: VR and two reserved bytes
    value = file.read(4)
    if len(value) < 4:
        raise instance_error(instance, "PixelData (7FE0,0010) is cut short before its length")
    return int(struct.unpack("<I" if little else ">I", value)[0])


def fragments(instance: Instance) -> Iterator[tuple[int, bytes]]:
    """Length and first bytes of each fragment of an encapsulated stream, PS3.5 A.4, offset table left out."""
    with instance.path.open("rb") as file:
        seek_value(file, instance)
        size = os.fstat(file.fileno()).st_size
        first = True
        while (tag := file.read(4)) == _ITEM:
            raw_length = file.read(4)
            length = struct.unpack("<I", raw_length)[0] if len(raw_length) == 4 else size
            start = file.tell()
            if start + length > size:
                raise instance_error(instance, f"PixelData (7FE0,0010) is cut short at byte {size}")
            if not first:
                yield length, file.read(min(length, _HEAD_BYTES))
            file.seek(start + length)
            first = False
        if tag != _SEQUENCE_END:
            raise instance_error(
                instance, f"PixelData (7FE0,0010) is cut short or damaged at byte {file.tell()}"
            )


def instance_error(instance: Instance, text: str) -> PixelError:
    """The error of one instance, named by its UID."""
    return PixelError(
        f"instance {instance.sop_instance_uid}: {text}",
        hint="the file is damaged or incomplete: fetch it again from the archive",
    )
