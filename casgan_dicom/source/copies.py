"""Whether two files hold the same instance: their content tells, not their SOP Instance UID (0008,0018).

A copy may be written anew, and go through other hands: File Meta Information, group lengths, padding, the
character set, the encoding of uncompressed data, and elements that say where an object is kept or what else
is there do not count. Streams of different compression are not decoded here, so they never pass for the same.
"""

from __future__ import annotations

import filecmp
import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import BinaryIO

from pydicom.config import IGNORE
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from casgan_dicom.source.elements import integer, plain, swap_bytes
from casgan_dicom.source.encoding import before_pixels
from casgan_dicom.source.header import Head
from casgan_dicom.source.inflate import HEADER_BYTES, inflated

_PADDING = 0xFFFCFFFC
_TRANSPORT = frozenset(
    Tag(word)
    for word in (
        "SpecificCharacterSet", "InstanceCoercionDateTime", "RetrieveAETitle", "InstanceAvailability",
        "RetrieveURL", "RetrieveURI", "RetrieveLocationUID",
        "StorageMediaFileSetID", "StorageMediaFileSetUID",
        "NumberOfPatientRelatedStudies", "NumberOfPatientRelatedSeries", "NumberOfPatientRelatedInstances",
        "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances",
        "AvailableTransferSyntaxUID", "QueryRetrieveView",
        "ContributingEquipmentSequence", "OriginalAttributesSequence",
        "MACParametersSequence", "DigitalSignaturesSequence",
    )
)  # fmt: skip
"""Elements of the way that an object went: the text is compared as it reads, in whatever character set.

Who had it in hand, what a value was before somebody coerced it, and seals on it are of that kind too: where
the values themselves are the same, so is the object.
"""
_CHUNK = 2**20
_UNDEFINED = 0xFFFFFFFF


def differences(first: Head, second: Head) -> tuple[str, ...]:
    """Name the elements in which two instances differ.

    Parameters
    ----------
    first, second
        Headers of two files.

    Returns
    -------
    tuple of str
        Keyword and tag of each element, Pixel Data (7FE0,0010) last; empty for copies of one instance.

    Raises
    ------
    OSError
        A file can no longer be read.
    """
    if filecmp.cmp(first.instance.path, second.instance.path, shallow=False):
        return ()
    tags = sorted({*_telling(first.ds), *_telling(second.ds)})
    named = [_name(tag) for tag in tags if plain(_value(first.ds, tag)) != plain(_value(second.ds, tag))]
    if not _comparable(first, second):
        named.append("TransferSyntaxUID (0002,0010)")
    elif not _same_pixels(first, second):
        named.append("PixelData (7FE0,0010)")
    return tuple(named)


def _telling(ds: Dataset) -> list[BaseTag]:
    """The elements that belong to the content."""
    return [
        tag
        for tag in ds.keys()  # noqa: SIM118
        if tag.element != 0 and tag != _PADDING and tag not in _TRANSPORT
    ]


def _value(ds: Dataset, tag: BaseTag) -> object:
    if tag not in ds:
        return None
    element = ds[tag]
    if element.VR == "PN":  # empty components behind the last may be left out, PS3.5 6.2.1.1
        return "=".join(group.rstrip("^ ") for group in str(element.value or "").split("=")).rstrip("=")
    return element.value


def _name(tag: BaseTag) -> str:
    return f"{keyword_for_tag(tag) or 'private'} {tag}"


def _comparable(first: Head, second: Head) -> bool:
    """Whether bytes of Pixel Data tell if two pictures are the same: both uncompressed, or both alike."""
    a, b = (UID(head.instance.transfer_syntax, IGNORE) for head in (first, second))
    return a == b or not any(uid.is_transfer_syntax and uid.is_encapsulated for uid in (a, b))


def _same_pixels(first: Head, second: Head) -> bool:
    """Whether two files hold the same bytes of Pixel Data."""
    if first.instance.has_pixels != second.instance.has_pixels or not first.instance.has_pixels:
        return first.instance.has_pixels == second.instance.has_pixels
    with _pixels(first) as one, _pixels(second) as other:
        return all(x == y for x, y in zip_longest(one, other))


@contextmanager
def _pixels(head: Head) -> Iterator[Iterator[bytes]]:
    """The value of Pixel Data in parts, in little endian."""
    ds = head.ds
    swapped = head.instance.transfer_syntax == ExplicitVRBigEndian and integer(ds.get("BitsAllocated")) > 8
    with head.instance.path.open("rb") as file:
        if head.instance.transfer_syntax == DeflatedExplicitVRLittleEndian:
            with inflated(file, _longest(ds), whole=True) as plain_file:
                yield _parts(plain_file, swapped=False)
        else:
            yield _parts(file, swapped=swapped)


def _longest(ds: Dataset) -> int:
    """Most bytes that a deflated data set inflates to: its frames, with a header before and behind."""
    words = ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames")
    samples = math.prod(max(1, integer(ds.get(keyword))) for keyword in words)
    return samples * max(1, integer(ds.get("BitsAllocated")) // 8) + 2 * HEADER_BYTES


def _parts(file: BinaryIO, *, swapped: bool) -> Iterator[bytes]:
    """The value of Pixel Data of an open file, as long as it says, or to the end of the file."""
    ds = before_pixels(file, only_place=True)
    implicit, little = ds.original_encoding
    file.seek(4 if implicit else 8, os.SEEK_CUR)
    head = file.read(4)
    left = struct.unpack("<I" if little else ">I", head)[0] if len(head) == 4 else 0
    while part := file.read(_CHUNK if left == _UNDEFINED else min(_CHUNK, left)):
        left -= 0 if left == _UNDEFINED else len(part)
        if swapped:
            part = swap_bytes(part)
        yield part
