"""Frames in a file instead of in memory: what is made frame by frame is spooled, and read back for writing.

Frames lie one behind the other, row after row, in the layout of an uncompressed Pixel Data (7FE0,0010):
bytes for 8 bits, little-endian words above. So a file of frames is a legal value as it stands.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True)
class FrameFile:
    """Frames that were spooled."""

    file: BinaryIO
    """Holds the frames from position 0, padded to an even length; the file stays its maker's to close."""
    frames: int
    """How many."""
    rows: int
    """Height of each."""
    columns: int
    """Width of each."""
    sha256: str
    """Hex digest of all frames, without the padding."""
    bits: int = 8
    """Bits Stored (0028,0101), 8 to 16: frames are uint8 for 8, little-endian uint16 above."""

    @property
    def frame_bytes(self) -> int:
        """Length of one frame."""
        return self.rows * self.columns * stored_dtype(self.bits).itemsize

    def read(self, k: int) -> Frame:
        """Frame `k`, counted from 0: uint8 or uint16 (rows, columns). Raises IndexError beyond the last."""
        if not 0 <= k < self.frames:
            raise IndexError(f"frame {k} of {self.frames}")
        self.file.seek(k * self.frame_bytes)
        content = self.file.read(self.frame_bytes)
        return np.frombuffer(content, stored_dtype(self.bits)).reshape(self.rows, self.columns)


class FrameWriter:
    """Spools frames one at a time; `finish` gives them back as a `FrameFile`."""

    def __init__(self, file: BinaryIO, rows: int, columns: int, bits: int = 8) -> None:
        self._file = file
        self._rows = rows
        self._columns = columns
        self._bits = bits
        self._digest = hashlib.sha256()
        self._frames = 0

    def write(self, frame: npt.NDArray[np.unsignedinteger]) -> None:
        """Append a frame (rows, columns) of values below 2 ** bits. Raises ValueError for another shape."""
        if frame.shape != (self._rows, self._columns):
            raise ValueError(f"a frame of {frame.shape}, need {(self._rows, self._columns)}")
        content = np.ascontiguousarray(frame, dtype=stored_dtype(self._bits)).tobytes()
        self._digest.update(content)
        self._file.write(content)
        self._frames += 1

    def finish(self) -> FrameFile:
        """All frames that were written, at position 0 of the file."""
        made = FrameFile(
            self._file, self._frames, self._rows, self._columns, self._digest.hexdigest(), self._bits
        )
        if self._frames * made.frame_bytes % 2:
            self._file.write(b"\0")  # a value has an even length (PS3.5 7.1.1)
        self._file.seek(0)
        return made


def stored_dtype(bits: int) -> np.dtype[np.unsignedinteger]:
    """How a value of so many bits is stored."""
    return np.dtype("u1") if bits <= 8 else np.dtype("<u2")
