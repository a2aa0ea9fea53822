"""Frames in fragments whose streams have no header: uncompressed (PS3.5 A.4.11) and deflated ones (A.4.14).

Their length tells where they end: that of an uncompressed frame is known, and a deflated stream (RFC 1951,
without zlib's header and checksum) ends by itself. Either is padded to an even length.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from casgan_dicom.errors import PixelError
from casgan_dicom.source.transfer_syntaxes import UNCOMPRESSED_FRAMES

Words = npt.NDArray[np.unsignedinteger[Any]]


def frame_of_bytes(content: bytes, shape: tuple[int, int], width: int) -> Words:
    """The words of an uncompressed frame, little endian, of `width` bytes; a byte of padding may follow.

    Raises PixelError where it is shorter or longer.
    """
    wanted = shape[0] * shape[1] * width
    if not wanted <= len(content) <= wanted + wanted % 2:
        raise PixelError(f"a frame has {len(content)} bytes, {wanted} are wanted")
    return np.frombuffer(content[:wanted], f"<u{width}").reshape(shape).astype(f"u{width}")


def inflated_frame(stream: bytes, nbytes: int) -> bytes:
    """The content of a deflated frame of so many bytes.

    Raises
    ------
    PixelError
        The stream ends before its end, holds more than a frame, or is followed by other bytes than padding.
    zlib.error
        It is no such stream.
    """
    one = zlib.decompressobj(-zlib.MAX_WBITS)
    content = one.decompress(stream, nbytes + 2)
    if len(content) > nbytes + nbytes % 2:
        raise PixelError(f"a deflated frame holds more than {nbytes} bytes")
    if not one.eof:
        raise PixelError(f"a deflated frame is cut short after {len(content)} of {nbytes} bytes")
    if one.unused_data.strip(b"\0"):
        raise PixelError(f"{len(one.unused_data)} bytes follow the end of a deflated frame")
    return content


def last_parts(syntax: str, parts: Iterable[bytes], nbytes: int) -> Iterator[bool]:
    """Whether a frame ends with each of these fragments, which belong to frames of so many bytes.

    Parameters
    ----------
    syntax
        Transfer Syntax UID (0002,0010), UNCOMPRESSED_FRAMES or DEFLATED_FRAMES.
    parts
        The contents of all fragments, in order.
    nbytes
        Bytes of an uncompressed frame.

    Raises zlib.error where a fragment is no deflated stream.
    """
    one, length = zlib.decompressobj(-zlib.MAX_WBITS), 0
    for part in parts:
        if syntax == UNCOMPRESSED_FRAMES:
            length += len(part)
            ends = length >= nbytes
        else:
            length += len(one.decompress(part, nbytes + 2 - length))
            ends = one.eof or length > nbytes + 1  # what holds too much is refused when it is decoded
        yield ends
        if ends:
            one, length = zlib.decompressobj(-zlib.MAX_WBITS), 0
