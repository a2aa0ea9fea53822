"""Encoded frames to stored values, in a process of its own (decoder_child.py).

Some damaged streams make a decoder end the process that it runs in, and some hostile ones make it take all
memory or all day: so none runs in ours. What a stream says of its own size is compared with what the header
lets expect before it is decoded, and the child may take no more memory and time than an honest stream of that
size could need.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from casgan_dicom.pixels import decoder_child
from casgan_dicom.pixels.codestream import StreamHeader, stream_header
from casgan_dicom.pixels.decoder_child import REPLY, REQUEST, WORDS

Words = npt.NDArray[np.integer[Any]]

SECONDS = 600.0
"""How long an answer is waited for; before that, the child's time on the processor is over."""


_AROUND: ContextVar[DecoderProcess | None] = ContextVar("_AROUND", default=None)


class DecodeError(Exception):
    """A stream cannot be decoded; the text names no file and holds no data."""


@dataclass(frozen=True)
class Way:
    """How streams are decoded."""

    library: str
    """``gdcm``, ``openjpeg``, ``charls``, or the name of a function of imagecodecs."""
    syntax: str
    """Transfer Syntax UID (0002,0010) that the streams follow."""
    shape: tuple[int, int]
    """Rows and columns that they have to have."""
    signed: bool = False
    """Whether samples are signed: the sign of what comes out, and for GDCM of what goes in."""


class DecoderProcess:
    """Decodes in a child process that starts with the first stream and ends with the `with` block."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> DecoderProcess:
        return self

    def __exit__(self, *_: object) -> None:
        """End the child, if there is one."""
        if self._child is None:
            return
        self._child.kill()
        with suppress(BrokenPipeError), self._child:  # closes the pipes and waits
            pass
        self._child = None

    def decode(self, streams: Iterator[bytes], way: Way) -> Iterator[Words]:
        """Decode one stream after the other; the child is one ahead of whoever takes the frames.

        Parameters
        ----------
        streams
            One frame each.
        way
            Of all of them.

        Yields
        ------
        integer (rows, columns)
            One byte for samples of up to 8 bits, else two.

        Raises
        ------
        DecodeError
            A stream cannot be decoded, ends before its image, has several components or another size, takes
            more than an honest one would, or ended the child.
        """
        waiting: StreamHeader | None = None
        try:
            for stream in streams:
                header = _checked(stream, way)
                done = None if waiting is None else self._receive(waiting, way)
                self._send(header, stream, way)
                waiting = header
                if done is not None:
                    yield done
            last, waiting = waiting, None
            if last is not None:
                yield self._receive(last, way)
        finally:
            if waiting is not None:  # an answer is still to come, which nobody must take for another's
                self.__exit__()

    def _died(self) -> DecodeError:
        """What ended the child, which the next stream starts anew."""
        assert self._child is not None
        code = self._child.wait()
        self.__exit__()
        return DecodeError(f"the decoder {_ending(code)}")

    def _send(self, header: StreamHeader, stream: bytes, way: Way) -> None:
        """Hand a stream to the child, which is waiting for one."""
        child = self._child = self._child or _start()
        assert child.stdin is not None
        fields = *way.shape, header.precision, way.signed
        with suppress(BrokenPipeError):  # it is dead: the answer that does not come says so
            child.stdin.write(REQUEST.pack(way.library.encode(), *fields, way.syntax.encode(), len(stream)))
            child.stdin.write(stream)
            child.stdin.flush()

    def _receive(self, header: StreamHeader, way: Way) -> Words:
        """Take the child's answer to the stream that was sent last."""
        child = self._child
        assert child is not None
        deadline = monotonic() + SECONDS
        head = _read(child, REPLY.size, deadline)
        if len(head) < REPLY.size:
            raise self._died()
        decoded, length = REPLY.unpack(head)
        wanted = header.rows * header.columns * (1 if header.precision <= 8 else 2)
        if (length != wanted) if decoded else (length > WORDS):
            raise DecodeError(f"decoded to {length} bytes, {wanted} are wanted")
        body = _read(child, length, deadline)
        if len(body) < length:
            raise self._died()
        if not decoded:
            raise DecodeError(body.decode("ascii", "replace"))
        dtype = np.dtype(f"{'i' if way.signed else 'u'}{wanted // (header.rows * header.columns)}")
        return np.frombuffer(body, dtype).reshape(header.rows, header.columns)


@contextmanager
def decoder_process() -> Iterator[DecoderProcess]:
    """That of the block around, else one of its own: many small files need not start one each."""
    if (around := _AROUND.get()) is not None:
        yield around
        return
    with DecoderProcess() as own:
        token = _AROUND.set(own)
        try:
            yield own
        finally:
            _AROUND.reset(token)


def _checked(stream: bytes, way: Way) -> StreamHeader:
    """What a stream says of itself. Raises DecodeError unless it is one that may be decoded."""
    header = stream_header(stream, xl=way.library.startswith("jpegxl"))
    if header is None or header.components != 1 or not header.rows or not header.columns:
        raise DecodeError("no stream of one component and a known size")
    if header.boxed:
        raise DecodeError("a JP2 file, want the codestream alone (PS3.5 A.4.4)")
    if (header.rows, header.columns) != way.shape:
        found, wanted = f"{header.rows} × {header.columns}", " × ".join(map(str, way.shape))
        raise DecodeError(f"encoded as {found}, {wanted} is wanted")
    if header.precision > 16:
        raise DecodeError(f"encoded with {header.precision} bits, at most 16 are wanted")
    return header


def _start() -> subprocess.Popen[bytes]:
    """Start the child.

    By its path, not as a module: it is found however the caller came to find this package. `-P` keeps its
    folder and the working directory out of its imports. One arena for all threads keeps the memory that it
    reserves near the memory that it uses.
    """
    command = [sys.executable, "-P", "-W", "ignore", str(decoder_child.__file__)]
    pipe = subprocess.PIPE
    environment = os.environ | {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, bufsize=0, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment
    )


def _read(child: subprocess.Popen[bytes], count: int, deadline: float) -> bytes:
    """So many bytes of the child's, or as many as come before it ends. Raises DecodeError at the deadline."""
    assert child.stdout is not None
    parts, left = [], count
    while left:
        if not select.select([child.stdout], [], [], max(0.0, deadline - monotonic()))[0]:
            child.kill()
            raise DecodeError(f"no answer of the decoder in {SECONDS:g} seconds")
        part = os.read(child.stdout.fileno(), left)
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended early with exit code {code}"
    if -code == signal.SIGXCPU:
        return f"took more than {decoder_child.CPU_SECONDS} seconds of the processor for one frame"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was ended by {name}"
