"""The other half of decoder_process.py: a script that decodes streams, in a process of its own.

It is run by its path and imports nothing of ours, and a library only when a stream needs it: it is there in a
tenth of a second, and what a hostile stream does to it ends with it. For each stream it may take so much
memory and so much time of the processor as an honest one of that size could need, and no more.

    to the child    REQUEST  library, rows, columns, precision, signed, syntax, length; then the stream
    from the child  REPLY    whether it could be decoded, length; then the values, or a word on what failed

Values are in the machine's byte order, row after row, in one byte for samples of up to 8 bits, else two.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import struct
import sys
import tempfile
from typing import BinaryIO

REQUEST = struct.Struct("<32s4H64sQ")
REPLY = struct.Struct("<?Q")
WORDS = 200
"""Most bytes of a word on what failed."""
CPU_SECONDS = 60
"""Most time of the processor for one stream: a hundred times what the largest honest ones take."""
MEMORY_BYTES, MEMORY_PER_PIXEL = 2**28, 64
"""Address space for one stream, beside what the libraries have taken before it. Decoders of wavelets hold a
sample in 4 bytes and several copies."""

_EOI = b"\xff\xd9"
"""Ends a stream of JPEG and JPEG-LS, and as EOC one of JPEG 2000."""
_INVENTED = re.compile(
    rb"^(Premature end of JPEG|Corrupt JPEG data: (?!\d+ extraneous bytes before marker 0xd9)).*",
    re.MULTILINE,
)
"""What libjpeg says on stderr when it makes values up, as it does where a scan ends before its image.

It says the first such line only. Bytes too many before the end marker harm nothing: the image is complete.
"""


def _by_gdcm(stream: bytes, rows: int, columns: int, form: tuple[int, int], syntax: str) -> bytes | None:
    """Values of one frame; None if GDCM says no.

    The end marker is there twice, since GDCM refuses some streams that lack nothing else.
    """
    import gdcm  # type: ignore[import-untyped]  # noqa: PLC0415  # never in the parent

    precision, signed = form
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


def _by_openjpeg(stream: bytes) -> bytes:
    from openjpeg.utils import decode_pixel_data  # noqa: PLC0415

    return bytes(decode_pixel_data(stream, version=2))


def _by_charls(stream: bytes) -> bytes:
    from jpeg_ls import decode_pixel_data  # type: ignore[import-untyped]  # noqa: PLC0415

    return bytes(decode_pixel_data(stream)[0])


def _by_imagecodecs(function: str, stream: bytes) -> bytes:
    from importlib import import_module  # noqa: PLC0415

    words = getattr(import_module("imagecodecs"), function)(stream)
    if words.ndim != 2 or words.dtype.kind not in "iu":
        raise ValueError(f"values of shape {words.shape} and type {words.dtype}, one component is wanted")
    return bytes(words.tobytes())


def _decode(library: str, stream: bytes, fields: tuple[int, int, int, int], syntax: str) -> bytes | None:
    rows, columns, precision, signed = fields
    if library == "gdcm":
        return _by_gdcm(stream, rows, columns, (precision, signed), syntax)
    if library == "openjpeg":
        return _by_openjpeg(stream)
    return _by_charls(stream) if library == "charls" else _by_imagecodecs(library, stream)


def _answer(
    library: str, stream: bytes, fields: tuple[int, int, int, int], syntax: str, talk: BinaryIO
) -> tuple[bool, bytes]:
    """Whether a stream could be decoded, and the values or a word on what failed."""
    try:
        values = _decode(library, stream, fields, syntax)
    except MemoryError:
        return False, b"needs more memory than a stream of its size may take"
    except Exception as error:
        return False, f"{type(error).__name__}: {error}".encode("ascii", "replace")[:WORDS]
    talk.seek(0)
    invented = _INVENTED.search(talk.read())
    talk.seek(0)
    talk.truncate()
    if values is None:
        return False, b"GDCM finds no image in the stream"
    return (False, invented.group()[:WORDS]) if invented else (True, values)


def _bound(pixels: int) -> None:
    """Let one more stream take its share of memory and time, counted from what has been taken until now."""
    with open("/proc/self/statm") as file:  # noqa: PTH123  # pathlib would be loaded for it
        taken = int(file.read().split()[0]) * resource.getpagesize()
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS
    _lower(resource.RLIMIT_AS, taken + MEMORY_BYTES + MEMORY_PER_PIXEL * pixels)
    _lower(resource.RLIMIT_CPU, seconds)


def _lower(limit: int, value: int) -> None:
    """Set a limit, within what the system allows this process at most."""
    _, most = resource.getrlimit(limit)
    resource.setrlimit(limit, (value if most == resource.RLIM_INFINITY else min(value, most), most))


def _load(library: str) -> None:
    """Import what decodes, before memory is bounded: libraries reserve more than they use."""
    modules = {"gdcm": "gdcm", "openjpeg": "openjpeg", "charls": "jpeg_ls"}
    __import__(modules.get(library, "imagecodecs"))


def _serve(requests: BinaryIO, replies: BinaryIO, talk: BinaryIO) -> None:
    """Answer until nobody asks any more. `talk` is where stderr of the libraries went."""
    loaded: set[str] = set()
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        raw_library, *fields, raw_syntax, length = REQUEST.unpack(head)
        rows, columns, precision, signed = fields
        library, syntax = (raw.rstrip(b"\0").decode("ascii") for raw in (raw_library, raw_syntax))
        if library not in loaded:
            resource.setrlimit(resource.RLIMIT_AS, (resource.getrlimit(resource.RLIMIT_AS)[1],) * 2)
            _load(library)
            loaded.add(library)
        stream = requests.read(length)
        _bound(rows * columns)
        decoded, body = _answer(library, stream, (rows, columns, precision, signed), syntax, talk)
        replies.write(REPLY.pack(decoded, len(body)) + body)
        replies.flush()


def _main() -> None:
    """Keep stdout for the answers, and stderr to ourselves."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to handle: this process ends with its stdin
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold a patient's pixels
    with os.fdopen(os.dup(1), "wb") as replies, tempfile.TemporaryFile(buffering=0) as talk:
        os.dup2(talk.fileno(), 2)
        os.dup2(2, 1)
        _serve(sys.stdin.buffer, replies, talk)


if __name__ == "__main__":
    _main()
