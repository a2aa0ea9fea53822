"""Frames as a value of Pixel Data (7FE0,0010), and what the header has to say about it.

Here ends what is known of pixels: whose they are and what they show, ``derived/picture.py`` and its
neighbours tell.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import BinaryIO, Literal

from pydicom.uid import UID

from casgan_dicom.pixels.compress import Compression, encode
from casgan_dicom.pixels.framefile import FrameFile, FrameWriter


@dataclass(frozen=True)
class StoredPixels:
    """A value of Pixel Data (7FE0,0010) and what it means."""

    value: BinaryIO
    """The value, from its present position; must stay open until the object is written."""
    vr: Literal["OB", "OW"]
    """Value representation."""
    syntax: UID
    """Transfer syntax that it is in."""
    frames: int
    """Number of frames."""
    rows: int
    """Height of each."""
    columns: int
    """Width of each."""
    bits: int
    """Bits Stored (0028,0101): 8, or 12 or 16 in words."""
    sha256: str
    """Hex digest of what a reader decodes; of the encoded stream where encoding loses."""
    lossy: tuple[str, float] | None = None
    """Method (0028,2114) and ratio (0028,2112) if this encoding loses."""


def stored_pixels(frames: FrameFile, compression: Compression, spool: BinaryIO) -> StoredPixels:
    """Frames as a value of Pixel Data (7FE0,0010), compressed into `spool` if at all.

    The file of `frames`, or `spool`, must stay open until the object is written. Raises ConfigError where
    frames of so many bits cannot be compressed like this.
    """
    made = encode(frames, compression, spool)
    lossy, digest = None, frames.sha256
    if compression.lossy_method is not None:
        lossy = (compression.lossy_method, round(made.ratio, 4))
        start = made.file.tell()
        digest = hashlib.file_digest(made.file, "sha256").hexdigest()  # type: ignore[arg-type]
        made.file.seek(start)
    return StoredPixels(
        value=made.file,
        vr=made.vr,
        syntax=made.syntax,
        frames=frames.frames,
        rows=frames.rows,
        columns=frames.columns,
        bits=frames.bits,
        sha256=digest,
        lossy=lossy,
    )


def single_frame(frames: FrameFile, k: int, compression: Compression) -> StoredPixels:
    """Frame `k`, from 0, as a value of its own, in memory."""
    writer = FrameWriter(io.BytesIO(), frames.rows, frames.columns, frames.bits)
    writer.write(frames.read(k))
    return stored_pixels(writer.finish(), compression, io.BytesIO())
