"""Deflated files (Deflated Explicit VR Little Endian, PS3.5 A.5) as plain ones, in bounded memory.

Deflate has no random access, so the data set is inflated into a temporary file, which is gone as soon as it
is closed. How much is inflated is limited: a few kilobytes may hold gigabytes of zeros.
"""

from __future__ import annotations

import tempfile
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRLittleEndian

HEADER_BYTES = 2**24
"""Most bytes that the header of one deflated file may inflate to."""
ALL_HEADERS_BYTES = 2**28
"""Most bytes that the headers of the deflated files of one search may inflate to: all are kept in memory."""
_CHUNK = 2**16


class InflateError(Exception):
    """The stream is cut short or inflates to more than it may; the text holds nothing of the file."""


class HeaderBudget:
    """What the headers of deflated files may still take in one search."""

    def __init__(self, left: int = ALL_HEADERS_BYTES) -> None:
        self._left = left

    def take(self, count: int) -> None:
        """Take `count` bytes; raises InflateError where there are not as many left."""
        if count > self._left:
            raise InflateError("the headers of the deflated files inflate to more than may be kept in memory")
        self._left -= count


@contextmanager
def inflated(file: BinaryIO, limit: int, *, whole: bool) -> Iterator[BinaryIO]:
    """Give a deflated file as one in Explicit VR Little Endian, from its preamble on.

    Parameters
    ----------
    file
        The file, open for reading.
    limit
        Most bytes of the data set that are inflated.
    whole
        Whether a data set of more than `limit` bytes is an error; otherwise the result ends there.

    Yields
    ------
    BinaryIO
        A temporary file at position 0.

    Raises
    ------
    InflateError
        The stream ends before its end marker, or is longer than it may be.
    zlib.error
        It is no deflated stream.
    """
    meta = file_meta(file)
    with tempfile.TemporaryFile() as plain:
        plain.write(bytes(128) + b"DICM")
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the header was judged when it was read, and they quote values
            write_file_meta_info(DicomIO(plain), meta, enforce_standard=False)
        complete = _inflate(file, plain, limit)
        if not complete and whole:
            raise InflateError(f"inflates to more than {limit} bytes")
        plain.seek(0)
        yield plain


def file_meta(file: BinaryIO) -> FileMetaDataset:
    """File Meta Information (PS3.10 7.1); leaves the file where the data set begins."""
    file.seek(132)
    meta = read_dataset(file, is_implicit_VR=False, is_little_endian=True, stop_when=_after_meta)
    return FileMetaDataset(meta)


def _after_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    """Whether File Meta Information is over."""
    return tag.group != 2


def _inflate(file: BinaryIO, plain: BinaryIO, limit: int) -> bool:
    """Inflate what follows; False where it was stopped at `limit` bytes. Raises InflateError if cut short."""
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    left = limit
    while not decoder.eof:
        data = decoder.unconsumed_tail or file.read(_CHUNK)
        if not data:
            raise InflateError("the deflated stream is cut short")
        part = decoder.decompress(data, min(_CHUNK, left + 1))
        if len(part) > left:
            plain.write(part[:left])
            return False
        plain.write(part)
        left -= len(part)
    return True
