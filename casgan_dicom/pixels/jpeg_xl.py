"""What a JPEG XL stream says of itself (ISO/IEC 18181-1), and who decodes it.

Read are size, bits and the colour transform at the beginning of the codestream, which may lie in boxes
(18181-2). XYB is the colour space of lossy encoders, and its rounding loses; a stream without XYB may have
lost all the same, which nothing in its header tells.

The decoder is libjxl, by `imagecodecs` (`pip install "casgan-dicom[codecs]"`).
"""

from __future__ import annotations

from dataclasses import dataclass

PACKAGE = "imagecodecs"

_SIGNATURE, _BOXES = b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Columns over rows, where the width is not written (D.2)."""
_SIDE = ((0, 9), (0, 13), (0, 18), (0, 30))
_DEPTH = ((8, 0), (10, 0), (12, 0), (1, 6))


@dataclass(frozen=True)
class XlHeader:
    """What stands at the beginning of a JPEG XL codestream."""

    rows: int
    columns: int
    precision: int
    """Bits of a sample."""
    in_xyb: bool
    """Whether colours are in XYB."""
    holds_jpeg: bool
    """Whether boxes tell how to rebuild the JPEG stream that it was made of."""


def begins_xl(head: bytes, *, bare: bool) -> bool:
    """Whether a JPEG XL file with boxes begins here, or (`bare`) a codestream.

    The mark of a codestream, two bytes, is too short to be told from what other streams may hold.
    """
    return head.startswith((_BOXES, _SIGNATURE) if bare else _BOXES)


def xl_header(head: bytes) -> XlHeader | None:
    """Read the beginning of a stream; None where it is no JPEG XL of one channel, or not enough of it."""
    codestream, holds_jpeg = _codestream(head) if head.startswith(_BOXES) else (head, False)
    if not codestream.startswith(_SIGNATURE) or len(codestream) < 8:
        return None
    bits = _Bits(codestream[2:])
    rows, columns = _size(bits)
    metadata = _metadata(bits)
    return None if metadata is None else XlHeader(rows, columns, *metadata, holds_jpeg)


class _Bits:
    """Reads fields of a few bits, the lowest first (B.2)."""

    def __init__(self, content: bytes) -> None:
        self._left = int.from_bytes(content[:64], "little")

    def take(self, count: int) -> int:
        value = self._left & ((1 << count) - 1)
        self._left >>= count
        return value

    def choose(self, forms: tuple[tuple[int, int], ...]) -> int:
        """U32: two bits choose an offset and a number of bits."""
        offset, count = forms[self.take(2)]
        return offset + self.take(count)


def _size(bits: _Bits) -> tuple[int, int]:
    """SizeHeader (D.2): rows and columns."""
    small = bits.take(1)

    def side() -> int:
        return 8 * (bits.take(5) + 1) if small else bits.choose(_SIDE) + 1

    rows = side()
    ratio = bits.take(3)
    if not ratio:
        return rows, side()
    over, under = _RATIOS[ratio - 1]
    return rows, rows * over // under


def _metadata(bits: _Bits) -> tuple[int, bool] | None:
    """ImageMetadata (D.3): bits of a sample, and whether it is in XYB; None where it says more than that."""
    if bits.take(1):  # all as by default
        return 8, True
    if bits.take(1) and (bits.take(3), bits.take(3))[1]:  # orientation; size, preview, animation
        return None
    if bits.take(1):  # floating point
        return None
    precision = bits.choose(_DEPTH)
    bits.take(1)  # whether 16 bits are enough for the decoder's buffers
    if bits.take(2):  # further channels
        return None
    return precision, bool(bits.take(1))


def _codestream(head: bytes) -> tuple[bytes, bool]:
    """The beginning of the codestream in its boxes, and whether they tell how to rebuild a JPEG stream."""
    at, holds_jpeg, found = 0, False, b""
    while at + 8 <= len(head):
        length, kind = int.from_bytes(head[at : at + 4]), head[at + 4 : at + 8]
        holds_jpeg = holds_jpeg or kind == b"jbrd"
        if kind in (b"jxlc", b"jxlp"):
            found = found or head[at + (8 if kind == b"jxlc" else 12) :]
        if length < 8:
            break
        at += length
    return found, holds_jpeg
