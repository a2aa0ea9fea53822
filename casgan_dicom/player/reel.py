"""The frames of one cine, decoded once, on the disk: whoever asks for some waits until these are there.

A thread decodes from the first frame to the last, so that playing begins before all is there; memory does not
grow with the run. The file has no name and is gone with the reel.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic

import numpy as np
import numpy.typing as npt

from casgan_dicom.errors import CasganError, PixelError

Pattern = npt.NDArray[np.uint16]

PATIENCE_S = 60.0
"""How long one request waits for frames that are not decoded yet."""


class Reel:
    """Frames of one cine as stored values.

    Parameters
    ----------
    decode
        Gives the frames in order, each as bit patterns of its stored values, uint16 (rows, columns).
    frames
        How many there are.
    pixels
        Of each frame.
    bits
        Bits Stored: a value takes one byte for up to 8, else two, the lower first.
    """

    def __init__(self, decode: Callable[[], Iterator[Pattern]], frames: int, pixels: int, bits: int) -> None:
        self.frames = frames
        """How many there are."""
        self._word = np.dtype("u1" if bits <= 8 else "<u2")
        self.frame_bytes = pixels * self._word.itemsize
        """Of each frame."""
        self._decode = decode
        self._change = threading.Condition()
        self._file: int | None = None
        self._done = 0
        self._over = False
        self._error: CasganError | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to decode, if nobody has."""
        with self._change:
            if self._thread is None and not self._over:
                self._thread = threading.Thread(target=self._run, name="reel", daemon=True)
                self._thread.start()

    def read(self, first: int, last: int) -> bytes:
        """Stored values of some frames, from 0, the last among them.

        Raises
        ------
        PixelError
            There is no such frame, it cannot be decoded, or its time is over.
        """
        if not 0 <= first <= last < self.frames:
            raise PixelError(f"frames {first + 1} to {last + 1}: the run has {self.frames}")
        self.start()
        deadline = monotonic() + PATIENCE_S
        with self._change:
            while self._done <= last and not self._over:
                if not self._change.wait(deadline - monotonic()):
                    raise PixelError(f"frame {last + 1} is not decoded yet, {self._done} are")
            if self._done <= last or self._file is None:
                raise self._error or PixelError("these frames were let go meanwhile: load the page again")
            count = (last - first + 1) * self.frame_bytes
            return os.pread(self._file, count, first * self.frame_bytes)

    def close(self) -> None:
        """Let go of the frames; what is decoding ends with its next frame."""
        with self._change:
            self._over = True
            self._let_go()
            self._change.notify_all()

    def _run(self) -> None:
        error: CasganError | None = PixelError("decoding ended with a fault")
        try:
            with tempfile.TemporaryFile() as file:
                self._fill(file.fileno())
            error = None
        except CasganError as fault:
            error = fault
        except OSError as fault:
            error = PixelError(f"decoded frames cannot be kept ({fault.strerror or type(fault).__name__})")
        finally:
            with self._change:
                self._error = error
                self._over = True
                self._change.notify_all()

    def _fill(self, temporary: int) -> None:
        with self._change:
            if self._over:
                return
            kept = self._file = os.dup(temporary)
        for pattern in self._decode():
            content = np.ascontiguousarray(pattern, self._word).tobytes()
            with self._change:
                if self._over:
                    return
                _write(kept, content)
                self._done += 1
                self._change.notify_all()

    def _let_go(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
            self._file = None


def _write(file: int, content: bytes) -> None:
    """Write all of it; one call may take a part only."""
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
