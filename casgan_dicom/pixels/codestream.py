"""What an encoded stream says of itself: its size, its bits, and whether it has lost information.

A header names a transfer syntax, and a file may hold something else: it is the stream that was made by an
encoder. Read are the markers before the first data of JPEG (ITU-T T.81), JPEG-LS (T.87), JPEG 2000 (T.800)
and HTJ2K (T.814), the header of RLE (PS3.5 G.5), and of JPEG XL what jpeg_xl.py reads; nothing is decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Literal

from casgan_dicom.pixels.jpeg_xl import begins_xl, xl_header

Kind = Literal["JPEG", "JPEG-LS", "JPEG 2000", "HTJ2K", "JPEG XL", "RLE"]

_METHODS: Mapping[Kind, str] = MappingProxyType(
    {
        "JPEG": "ISO_10918_1",
        "JPEG-LS": "ISO_14495_1",
        "JPEG 2000": "ISO_15444_1",
        "HTJ2K": "ISO_15444_15",
        "JPEG XL": "ISO_18181_1",
    }
)
"""Lossy Image Compression Method (0028,2114), PS3.3 C.7.6.1.1.5."""

_SOI, _SOC_SIZ = b"\xff\xd8\xff", b"\xff\x4f\xff\x51"
_JP2, _JP2C = b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"jp2c"
_RLE_HEADER, _SEGMENTS = struct.Struct("<16I"), range(1, 16)
_NO_FRAME_HEADER = (0xC4, 0xC8, 0xCC)
"""Markers among those of frame headers that are none: DHT, JPG, DAC."""
_WITHOUT_TRANSFORM = (0xC3, 0xC7, 0xCB, 0xCF)
"""Frame headers of the lossless processes of T.81; the others use a cosine transform and lose."""
_JPEG_LS, _SOS = 0xF7, 0xDA
_CAP, _COD, _SOT = 0x50, 0x52, 0x90
_IRREVERSIBLE = 0


@dataclass(frozen=True)
class StreamHeader:
    """What stands at the beginning of one frame's stream."""

    kind: Kind
    """The standard it follows."""
    precision: int
    """Bits of a sample, as the encoder saw them; of RLE those of the words that hold it."""
    rows: int
    """Height; 0 if it follows after the first scan (DNL), or if the stream says nothing of it (RLE)."""
    columns: int
    """Width."""
    loses: bool | None
    """Whether information was lost; None where the stream does not tell. What a reversible wavelet gave may
    have been cut off."""
    near: int = 0
    """JPEG-LS: by how many levels a sample may be off."""
    process: int = 0
    """JPEG: the marker of its frame header."""
    signed: bool = False
    """JPEG 2000: whether samples are signed; other streams do not tell."""
    holds_jpeg: bool = False
    """JPEG XL: whether it packs a JPEG stream, which lost before."""
    components: int = 1
    """Samples per pixel."""
    boxed: bool = False
    """JPEG 2000: whether the codestream lies in a file of JP2, which PS3.5 A.4.4 forbids."""

    @property
    def transformed(self) -> bool:
        """Whether JPEG went through a cosine transform, which loses."""
        return self.kind == "JPEG" and self.process not in _WITHOUT_TRANSFORM

    @property
    def method(self) -> str:
        """Defined term of Lossy Image Compression Method (0028,2114)."""
        return _METHODS["JPEG" if self.holds_jpeg else self.kind]


def begins_stream(head: bytes, *, xl: bool = False) -> bool:
    """Whether a stream of a known kind begins here; a bare one of JPEG XL only where `xl` says so."""
    return head.startswith((_SOI, _SOC_SIZ, _JP2)) or begins_xl(head, bare=xl) or bool(_rle_segments(head))


def without_box(stream: bytes) -> bytes:
    """The codestream itself, where a file of JP2 stands in its place (T.800 Annex I)."""
    at = stream.find(_JP2C + _SOC_SIZ) if stream.startswith(_JP2) else -1
    return stream if at < 0 else stream[at + len(_JP2C) :]


def stream_header(head: bytes, *, xl: bool = False) -> StreamHeader | None:
    """Read the header of the stream that begins here.

    Parameters
    ----------
    head
        The first bytes of a frame; some thousand are enough.
    xl
        Whether a bare codestream of JPEG XL is expected.

    Returns
    -------
    StreamHeader or None
        None where no known stream begins, or too little of it is there.
    """
    if begins_xl(head, bare=xl):
        return _jpeg_xl(head)
    if segments := _rle_segments(head):
        return StreamHeader("RLE", 8 * segments, 0, 0, loses=False)
    boxed = head.startswith(_JP2)
    head = without_box(head)
    try:
        if head.startswith(_SOC_SIZ):
            return replace(_jpeg_2000(head), boxed=boxed)
        return _jpeg(head) if head.startswith(_SOI) else None
    except (struct.error, IndexError):
        return None


def _rle_segments(head: bytes) -> int:
    """Number of segments of an RLE stream: where they begin rises from 64, the other offsets are 0."""
    if len(head) < _RLE_HEADER.size:
        return 0
    segments, first, *others = _RLE_HEADER.unpack_from(head)
    used, unused = others[: segments - 1], others[max(segments - 1, 0) :]
    known = segments in _SEGMENTS and first == _RLE_HEADER.size and not any(unused)
    return segments if known and all(a < b for a, b in pairwise((first, *used))) else 0


def _jpeg(head: bytes) -> StreamHeader | None:
    """JPEG or JPEG-LS: the frame header, and of the first scan what tells of loss."""
    found: StreamHeader | None = None
    for marker, body in _segments(head):
        if marker == _JPEG_LS or (0xC0 <= marker <= 0xCF and marker not in _NO_FRAME_HEADER):
            precision, rows, columns = struct.unpack(">B2H", body[:5])
            transformed = marker not in (*_WITHOUT_TRANSFORM, _JPEG_LS)
            kind: Kind = "JPEG-LS" if marker == _JPEG_LS else "JPEG"
            loses = True if transformed else None
            found = StreamHeader(kind, precision, rows, columns, loses, process=marker, components=body[5])
        if marker == _SOS and found is not None and found.loses is None:
            return _with_scan(found, body)
    return found


def _with_scan(found: StreamHeader, body: bytes) -> StreamHeader:
    """A stream without transform, and what its first scan drops: NEAR (T.87 C.2.3), point transform."""
    first = 1 + 2 * body[0]
    near = body[first] if found.kind == "JPEG-LS" else 0
    dropped = body[first + 2] & 0x0F
    return replace(found, loses=bool(near or dropped), near=near)


def _jpeg_xl(head: bytes) -> StreamHeader | None:
    """JPEG XL: XYB loses, and what packs a JPEG stream lost before; others do not tell."""
    found = xl_header(head)
    if found is None:
        return None
    loses = True if found.in_xyb or found.holds_jpeg else None
    return StreamHeader(
        "JPEG XL", found.precision, found.rows, found.columns, loses, holds_jpeg=found.holds_jpeg
    )


def _jpeg_2000(head: bytes) -> StreamHeader:
    """JPEG 2000 or HTJ2K: SIZ, and of the main header which wavelet is used."""
    width, height, left, top = struct.unpack(">4I", head[8:24])
    depth = head[42]
    kind: Kind = "JPEG 2000"
    loses: bool | None = None
    for marker, body in _segments(head):
        if marker == _CAP:
            kind = "HTJ2K"
        elif marker == _COD:
            loses = True if body[9] == _IRREVERSIBLE else None
    components = int.from_bytes(head[40:42])
    size, signed = (height - top, width - left), bool(depth & 0x80)
    return StreamHeader(kind, (depth & 0x7F) + 1, *size, loses, signed=signed, components=components)


def _segments(head: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and body of each segment up to the data."""
    at = 2
    while at + 4 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        length = int.from_bytes(head[at + 2 : at + 4])
        if marker == _SOT:
            return
        yield marker, head[at + 4 : at + 2 + length]
        if marker == _SOS:
            return
        at += 2 + length
