"""JPEG streams to stored values, by GDCM in a process of its own.

Some damaged streams make GDCM end the process it runs in, so it never runs in ours. This file is both halves:
`JpegDecoder`, and the child that it starts, which runs this same file as a script. Hence nothing of ours is
imported here, and the child loads neither numpy nor pydicom: it is there in a tenth of a second.

    to the child    _REQUEST  rows, columns, precision, signed, transfer syntax, length; then the stream
    from the child  _REPLY    whether it could be decoded, length; then the values, or a word on what failed

Streams are ITU-T T.81 with one component: baseline, extended, progressive and lossless (DICOM PS3.5 8.2.1).
As a second decoder it also takes JPEG-LS (T.87) and JPEG 2000 (T.800).
"""

from __future__ import annotations

import os
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

_REQUEST = struct.Struct("<4H64sQ")
_REPLY = struct.Struct("<?Q")
_WORDS = 200
"""Most bytes of a word on what failed."""

_EOI = b"\xff\xd9"
"""Ends a stream of JPEG and JPEG-LS, and as EOC one of JPEG 2000."""
_SOC_SIZ = b"\xff\x4f\xff\x51"
_INVENTED = re.compile(
    rb"^(Premature end of JPEG|Corrupt JPEG data: (?!\d+ extraneous bytes before marker 0xd9)).*",
    re.MULTILINE,
)
"""What libjpeg says on stderr when it makes values up, as it does where a scan ends before its image.

It says the first such line only. Bytes too many before the end marker harm nothing: the image is complete.
"""


class JpegError(Exception):
    """A stream cannot be decoded; the text names no file and holds no data."""


@dataclass(frozen=True)
class FrameHeader:
    """What a stream says about its frame, T.81 B.2.2."""

    precision: int
    """Bits of a sample."""
    rows: int
    """Number of lines; 0 if it follows after the first scan (DNL)."""
    columns: int
    """Samples per line."""
    components: int
    """Samples per pixel."""

    @property
    def nbytes(self) -> int:
        """Size of the decoded frame: one byte for each sample of up to 8 bits, else two."""
        return self.rows * self.columns * self.components * (1 if self.precision <= 8 else 2)


class JpegDecoder:
    """Decodes in a child process that starts with the first stream and ends with the `with` block."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> JpegDecoder:
        return self

    def __exit__(self, *_: object) -> None:
        """End the child, if there is one."""
        if self._child is None:
            return
        self._child.kill()
        with suppress(BrokenPipeError), self._child:  # closes the pipes and waits
            pass
        self._child = None

    def decode(
        self, streams: Iterator[bytes], syntax: str, *, signed: bool
    ) -> Iterator[tuple[FrameHeader, bytes]]:
        """Decode one stream after the other; the child is one ahead of whoever takes the frames.

        Parameters
        ----------
        streams
            One frame each.
        syntax
            Transfer Syntax UID (0002,0010).
        signed
            Pixel Representation (0028,0103).

        Yields
        ------
        FrameHeader, bytes
            `nbytes` of values of the machine's byte order, row after row.

        Raises
        ------
        JpegError
            A stream cannot be decoded, ends before its image, has several components, or ended the child.
        """
        waiting: FrameHeader | None = None
        for stream in streams:
            header = frame_header(stream)
            if header is None or header.components != 1 or not header.rows:
                raise JpegError("no JPEG stream of one component and a known size")
            done = None if waiting is None else (waiting, self._receive(waiting))
            self._send(header, stream, syntax, signed=signed)
            waiting = header
            if done is not None:
                yield done
        if waiting is not None:
            yield waiting, self._receive(waiting)

    def _send(self, header: FrameHeader, stream: bytes, syntax: str, *, signed: bool) -> None:
        """Hand a stream to the child, which is waiting for one."""
        child = self._child = self._child or _start()
        assert child.stdin is not None
        fields = header.rows, header.columns, header.precision, signed
        with suppress(BrokenPipeError):  # it is dead: the answer that does not come says so
            child.stdin.write(_REQUEST.pack(*fields, syntax.encode(), len(stream)))
            child.stdin.write(stream)
            child.stdin.flush()

    def _receive(self, header: FrameHeader) -> bytes:
        """Take the child's answer to the stream that was sent last."""
        child = self._child
        assert child is not None
        assert child.stdout is not None
        head = child.stdout.read(_REPLY.size)
        decoded, length = _REPLY.unpack(head) if len(head) == _REPLY.size else (False, 0)
        if (length != header.nbytes) if decoded else (length > _WORDS):
            raise JpegError(f"decoded to {length} bytes, {header.nbytes} are wanted")
        body = child.stdout.read(length)
        if len(head) < _REPLY.size or len(body) < length:
            raise JpegError(f"the decoder {_ending(child.wait())}")
        if not decoded:
            raise JpegError(body.decode("ascii", "replace"))
        return body


def frame_header(stream: bytes) -> FrameHeader | None:
    """Frame header of the JPEG, JPEG-LS or JPEG 2000 stream that begins here; None where none shows."""
    if stream[:4] == _SOC_SIZ and len(stream) > 42:  # T.800 A.5.1
        right, bottom, left, top = struct.unpack(">4I", stream[8:24])
        components = int.from_bytes(stream[40:42])
        return FrameHeader((stream[42] & 0x7F) + 1, bottom - top, right - left, components)
    if stream[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 10 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return FrameHeader(*struct.unpack(">B2HB", stream[at + 4 : at + 10]))
        at += 1 if marker == 0xFF else 2 + int.from_bytes(stream[at + 2 : at + 4])
    return None


def _start() -> subprocess.Popen[bytes]:
    """Start the child.

    By its path, not as a module: it is found however the caller came to find this package. `-P` keeps this
    folder and the working directory out of its imports.
    """
    command = [sys.executable, "-P", "-W", "ignore", __file__]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)


def _ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended early with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was ended by {name}"


def _decode(stream: bytes, rows: int, columns: int, precision: int, signed: int, syntax: str) -> bytes | None:
    """Child: values of one frame; None if GDCM says no.

    The end marker is there twice, since GDCM refuses some streams that lack nothing else.
    """
    import gdcm  # type: ignore[import-untyped]  # noqa: PLC0415  # never in the parent

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(stream + _EOI)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(
        gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2)
    )
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    allocated, stored = (8, 8) if precision <= 8 else (16, precision)
    image.SetPixelFormat(gdcm.PixelFormat(1, allocated, stored, stored - 1, signed))
    text = image.GetBuffer()  # bytes, but in a str
    return None if text is None else str(text).encode("utf-8", "surrogateescape")


def _answer(
    stream: bytes, fields: tuple[int, int, int, int], syntax: str, talk: BinaryIO
) -> tuple[bool, bytes]:
    """Child: whether a stream could be decoded, and the values or a word on what failed."""
    try:
        values = _decode(stream, *fields, syntax)
    except Exception as error:
        return False, f"{type(error).__name__}: {error}".encode("ascii", "replace")[:_WORDS]
    talk.seek(0)
    invented = _INVENTED.search(talk.read())
    talk.seek(0)
    talk.truncate()
    if values is None:
        return False, b"GDCM finds no image in the stream"
    return (False, invented.group()[:_WORDS]) if invented else (True, values)


def _serve(requests: BinaryIO, replies: BinaryIO, talk: BinaryIO) -> None:
    """Child: answer until nobody asks any more. `talk` is where libjpeg's stderr went."""
    while len(head := requests.read(_REQUEST.size)) == _REQUEST.size:
        *fields, syntax, length = _REQUEST.unpack(head)
        rows, columns, precision, signed = fields
        name = syntax.rstrip(b"\0").decode("ascii")
        decoded, body = _answer(requests.read(length), (rows, columns, precision, signed), name, talk)
        replies.write(_REPLY.pack(decoded, len(body)) + body)
        replies.flush()


def _main() -> None:
    """Child: keep stdout for the answers, and stderr to ourselves."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to handle: this process ends with its stdin
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold a patient's pixels
    with os.fdopen(os.dup(1), "wb") as replies, tempfile.TemporaryFile(buffering=0) as talk:
        os.dup2(talk.fileno(), 2)
        os.dup2(2, 1)
        _serve(sys.stdin.buffer, replies, talk)


if __name__ == "__main__":
    _main()
