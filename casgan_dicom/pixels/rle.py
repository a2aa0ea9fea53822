"""Frames encoded as RLE Lossless (PS3.5 Annex G), by whole arrays at a time.

Written here because the encoders at hand do not do: GDCM ends the process over a frame of an odd number of
pixels, pydicom's takes a byte at a time, and pylibjpeg-rle's makes replicate runs of two bytes, so that the
noise of fluoroscopy takes 7 % more room than here and hardly less than uncompressed. Runs are decoded by
pydicom; `decode_rle` is there to check it.

A frame is cut into one segment for each byte of its values, the highest first; a row into replicate runs
(three or more equal bytes: their number and the byte) and literal runs (other bytes as they are), each of
at most 128 bytes (Annex G.3).
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]

_HEADER_BYTES = 64
"""Number of segments and fifteen offsets (Annex G.5)."""
_VALUES_AT_ONCE = 2**15
"""The arrays that place the runs take a hundred bytes for each value, and best fit into a cache."""
_LONGEST_RUN, _SHORTEST_REPLICATE = 128, 3


def encode_rle(frame: npt.NDArray[np.integer[Any]]) -> bytes:
    """Encode one frame.

    Parameters
    ----------
    frame
        Stored values, (rows, columns), uint8 or uint16, not empty.

    Returns
    -------
    bytes
        Header and segments, of even length.
    """
    width = frame.dtype.itemsize
    planes = np.ascontiguousarray(frame, dtype=f">u{width}").view(np.uint8).reshape(*frame.shape, width)
    segments = [_segment(planes[..., k]) for k in range(width)]
    offsets = [_HEADER_BYTES + sum(map(len, segments[:k])) for k in range(width)]
    header = struct.pack(f"<{1 + width}I", width, *offsets).ljust(_HEADER_BYTES, b"\0")
    return header + b"".join(segments)


def decode_rle(stream: bytes, shape: tuple[int, int], width: int) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Decode one frame of one sample per pixel.

    Parameters
    ----------
    stream
        Header and segments.
    shape
        Rows and columns.
    width
        Bytes of a value: 1 or 2.

    Raises
    ------
    ValueError
        There are not as many segments as bytes of a value, or one ends before its values do.
    """
    segments, *offsets = struct.unpack("<16I", stream[:_HEADER_BYTES].ljust(_HEADER_BYTES, b"\0"))
    if segments != width:
        raise ValueError(f"{segments} segments for values of {width} bytes")
    size = shape[0] * shape[1]
    planes = [_unpacked(stream, at, size) for at in offsets[:width]]
    values = np.stack([np.frombuffer(plane, np.uint8) for plane in planes], axis=-1)
    return values.view(f">u{width}").reshape(shape).astype(f"u{width}")


def check_segments(stream: bytes, size: int) -> None:
    """Raise ValueError where a segment holds more than the `size` bytes that it should; nothing is unpacked.

    Two bytes may stand for 128, so a decoder that goes on to the end of a segment takes 64 times its length.
    Up to a run more is let pass, for who fills a segment up. What is short, a decoder says.
    """
    segments, *offsets = struct.unpack("<16I", stream[:_HEADER_BYTES].ljust(_HEADER_BYTES, b"\0"))
    ends = [*offsets[1:segments], len(stream)]
    for at, end in zip(offsets[:segments], ends, strict=False):
        place, held = at, 0
        while place < min(end, len(stream)):
            control = stream[place]
            held += control + 1 if control < 128 else 257 - control if control > 128 else 0
            place += control + 2 if control < 128 else 2 if control > 128 else 1
            if held > size + _LONGEST_RUN:
                raise ValueError(f"a segment of RLE holds more than the {size} bytes of a frame")


def _unpacked(stream: bytes, at: int, size: int) -> bytes:
    """So many bytes of the segment that begins at `at` (Annex G.3.2)."""
    plane = bytearray()
    while len(plane) < size:
        if at + 1 >= len(stream):
            raise ValueError(f"a segment ends after {len(plane)} of {size} bytes")
        control = stream[at]
        if control < 128:
            plane += stream[at + 1 : at + 2 + control]
            at += 2 + control
        else:
            plane += stream[at + 1 : at + 2] * (257 - control) if control > 128 else b""
            at += 2 if control > 128 else 1
    return bytes(plane[:size])


def _segment(plane: Plane) -> bytes:
    """Encode one byte of the values, (rows, columns), a few rows at a time."""
    step = max(1, _VALUES_AT_ONCE // plane.shape[1])
    segment = b"".join(_packed(plane[at : at + step]) for at in range(0, len(plane), step))
    return segment + b"\0" * (len(segment) % 2)


def _packed(plane: Plane) -> bytes:
    """Runs of some rows."""
    values = plane.ravel()
    new_row = np.zeros(values.size, dtype=bool)
    new_row[:: plane.shape[1]] = True  # no run crosses rows

    equal, lengths = _runs(new_row | _differs(values))
    literal = np.repeat(lengths < _SHORTEST_REPLICATE, lengths)
    replicates = equal[lengths >= _SHORTEST_REPLICATE]
    counts = lengths[lengths >= _SHORTEST_REPLICATE]
    parts, sizes = _runs(new_row | _differs(literal))
    literals, sizes = parts[literal[parts]], sizes[literal[parts]]

    taken = literal.astype(np.intp)  # bytes that each value takes in the segment
    taken[literals] += 1
    taken[replicates] += 2
    end = np.cumsum(taken)
    packed = np.empty(end[-1], dtype=np.uint8)
    packed[end[literal] - 1] = values[literal]
    packed[end[literals] - 2] = sizes - 1
    packed[end[replicates] - 2] = 257 - counts
    packed[end[replicates] - 1] = values[replicates]
    return packed.tobytes()


def _differs(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether each value is another than the one before; the first is."""
    return np.concatenate([[True], values[1:] != values[:-1]])


def _runs(begins: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where runs start and how long they are, when those that begin here are cut to the longest allowed."""
    at = np.flatnonzero(begins)
    within = np.arange(begins.size) - np.repeat(at, np.diff(at, append=begins.size))
    starts = np.flatnonzero(within % _LONGEST_RUN == 0)
    return starts, np.diff(starts, append=begins.size)
