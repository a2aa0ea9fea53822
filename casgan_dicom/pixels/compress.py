"""Frames encoded for storage: nothing, RLE, JPEG-LS, JPEG 2000, or JPEG Baseline where loss is accepted.

Frames are encoded one by one into a spool file, one frame per fragment (PS3.5 A.4), so memory does not grow
with their number. What the data set must say about lossy pixels is left to the caller: this module measures
the ratio and names the method.

Encoders: our own (RLE, see rle.py), CharLS (JPEG-LS), OpenJPEG (JPEG 2000), Pillow (JPEG).
"""

from __future__ import annotations

import io
import struct
from array import array
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from casgan_dicom.errors import ConfigError, OutputError
from casgan_dicom.pixels.framefile import FrameFile, stored_dtype
from casgan_dicom.pixels.rle import encode_rle
from casgan_dicom.pixels.syntaxes import lossy_method

CompressionName = Literal["none", "rle", "jpegls", "j2k", "jpeg"]

_SYNTAXES = MappingProxyType(
    {
        "none": ExplicitVRLittleEndian,
        "rle": RLELossless,
        "jpegls": JPEGLSLossless,
        "j2k": JPEG2000Lossless,
        "jpeg": JPEGBaseline8Bit,
    }
)
_PLUGINS = MappingProxyType({JPEGLSLossless: "pyjpegls", JPEG2000Lossless: "pylibjpeg"})
_ITEM = b"\xfe\xff\x00\xe0"
_LARGEST_OFFSET = 2**32 - 1
"""What the Basic Offset Table can say: it is of 32-bit numbers."""


@dataclass(frozen=True)
class Compression:
    """How frames are encoded.

    Raises
    ------
    ConfigError
        No such name, or a quality that is out of range, missing for jpeg or given for another.
    """

    name: CompressionName = "none"
    """none, rle, jpegls, j2k: lossless for 8 to 16 bits; jpeg: lossy, 8 bits only."""
    quality: int | None = None
    """Of jpeg only, 1 to 100 on the scale of the Independent JPEG Group: more is better and larger."""

    def __post_init__(self) -> None:
        if self.name not in get_args(CompressionName):
            names = ", ".join(get_args(CompressionName))
            raise ConfigError(f"compression is {self.name!r}, need one of {names}")
        if self.name != "jpeg" and self.quality is not None:
            raise ConfigError(f"compression {self.name} has no quality, found {self.quality}")
        if self.name == "jpeg" and not 1 <= (self.quality or 0) <= 100:
            raise ConfigError(f"compression jpeg needs a quality of 1 to 100, found {self.quality}")

    @property
    def syntax(self) -> UID:
        """Transfer Syntax UID (0002,0010)."""
        return _SYNTAXES[self.name]

    @property
    def lossy_method(self) -> str | None:
        """Lossy Image Compression Method (0028,2114); None where nothing is lost."""
        return lossy_method(self.syntax)

    def check_bits(self, bits: int) -> None:
        """Raise ConfigError where frames of so many bits cannot be encoded like this."""
        if self.name == "jpeg" and bits > 8:
            raise ConfigError(
                f"compression jpeg stores 8 bits, found {bits}",
                hint="use jpegls or j2k, which are lossless, or store 8 bits",
            )


@dataclass(frozen=True)
class EncodedFrames:
    """What becomes Pixel Data (7FE0,0010)."""

    file: BinaryIO
    """At the value's first byte: the value is what follows to the end, without the closing delimiter.

    pydicom writes a file as a value in pieces, and ends an encapsulated one with the delimiter itself.
    """
    vr: Literal["OB", "OW"]
    """Value representation: OB, or OW for uncompressed frames of more than 8 bits (PS3.5 A.2, A.4)."""
    syntax: UID
    """Transfer syntax of the whole object."""
    ratio: float
    """Bytes of the frames before by bytes after, the value of Lossy Image Compression Ratio (0028,2112)."""


def encode_frame(frame: npt.NDArray[np.integer[Any]], bits: int, compression: Compression) -> bytes:
    """Encode one frame.

    Parameters
    ----------
    frame
        Stored values, (rows, columns), uint8 for 8 bits, uint16 above.
    bits
        Bits Stored (0028,0101), 8 to 16; also the precision that the stream declares.
    compression
        How.

    Returns
    -------
    bytes
        The stream, of even length: what one fragment holds.

    Raises
    ------
    ConfigError
        jpeg for more than 8 bits.
    OutputError
        The encoder cannot: OpenJPEG needs sides of 32 at least, CharLS some 16.
    ValueError
        A value of the frame needs more than `bits` bits, or the frame is of another type or shape.
    """
    compression.check_bits(bits)
    if frame.ndim != 2 or frame.dtype != stored_dtype(bits) or frame.max() >> bits:
        raise ValueError(
            f"frame is {frame.dtype} {frame.shape} up to {frame.max()}, need {bits} bits of two sides"
        )
    if compression.name == "none":
        stream = frame.tobytes()
    elif compression.name == "rle":
        stream = encode_rle(frame)
    elif compression.name == "jpeg":
        stream = _jpeg(frame, compression.quality)
    else:
        stream = _lossless(frame, bits, compression.syntax)
    return stream + b"\0" * (len(stream) % 2)


def encode(frames: FrameFile, compression: Compression, spool: BinaryIO) -> EncodedFrames:
    """Encode frames into a file that pydicom can write as Pixel Data (7FE0,0010).

    Parameters
    ----------
    frames
        The frames. Uncompressed, their own file is the value.
    compression
        How.
    spool
        Where the encoded frames go, from its position on; what stood behind is cut off. Not used for none.

    Returns
    -------
    EncodedFrames
        Their file is that of `frames` or `spool`, and must stay open until the object is written.

    Raises
    ------
    ConfigError
        jpeg for more than 8 bits.
    OutputError
        As for `encode_frame`.
    """
    if compression.name == "none":
        frames.file.seek(0)
        vr: Literal["OB", "OW"] = "OB" if frames.bits <= 8 else "OW"
        return EncodedFrames(frames.file, vr, compression.syntax, 1.0)
    start = spool.tell()
    first = spool.seek(start + len(_ITEM) + 4 + 4 * frames.frames)  # the table is written last
    offsets, encoded = array("Q"), 0
    for k in range(frames.frames):
        stream = encode_frame(frames.read(k), frames.bits, compression)
        offsets.append(spool.tell() - first)
        spool.write(_ITEM + struct.pack("<I", len(stream)) + stream)
        encoded += len(stream)
    spool.truncate()
    table = _offset_table(offsets)
    value = spool.seek(first - len(table))
    spool.write(table)
    spool.seek(value)
    return EncodedFrames(spool, "OB", compression.syntax, frames.frames * frames.frame_bytes / encoded)


def _offset_table(offsets: array[int]) -> bytes:
    """Basic Offset Table (PS3.5 A.4), without a value where an offset does not fit into 32 bits.

    Every frame is one fragment, so a reader finds each without a table.
    """
    if offsets[-1] > _LARGEST_OFFSET:
        return _ITEM + struct.pack("<I", 0)
    return _ITEM + struct.pack(f"<I{len(offsets)}I", 4 * len(offsets), *offsets)


def _jpeg(frame: npt.NDArray[np.integer[Any]], quality: int | None) -> bytes:
    """JPEG Baseline, grayscale, with the usual tables."""
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, format="JPEG", quality=quality)
    return stream.getvalue()


def _lossless(frame: npt.NDArray[np.integer[Any]], bits: int, syntax: UID) -> bytes:
    """JPEG-LS or JPEG 2000 by the encoders of pydicom."""
    rows, columns = frame.shape
    try:
        stream = get_encoder(syntax).encode(
            frame,
            encoding_plugin=_PLUGINS[syntax],
            rows=rows,
            columns=columns,
            number_of_frames=1,
            samples_per_pixel=1,
            bits_allocated=8 * frame.dtype.itemsize,
            bits_stored=bits,
            pixel_representation=0,
            photometric_interpretation="MONOCHROME2",
        )
    except RuntimeError as error:
        raise OutputError(f"a frame of {rows} × {columns} cannot be encoded as {syntax.name}") from error
    return bytes(stream)
