"""A second decoder for one frame, of another make than the one that decodes the run.

A decoder that is wrong about a stream raises nothing: it gives other pixels. What another implementation
makes of the same stream tells. Where no other implementation has a free licence, another build of the same
library takes its place (JPEG-LS: CharLS, JPEG 2000: OpenJPEG, both as GDCM brings them); it finds faults of
a version, of a build and of the way the decoder is called.

`imagecodecs` is an extra (`pip install "casgan-dicom[codecs]"`); the other decoders come with this package.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.uid import JPEGLSLossless, RLELossless

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.codestream import StreamHeader
from casgan_dicom.pixels.decoder_process import DecoderProcess, Way
from casgan_dicom.pixels.jpeg_xl import PACKAGE as CODECS
from casgan_dicom.pixels.plain_streams import frame_of_bytes
from casgan_dicom.pixels.rle import decode_rle
from casgan_dicom.pixels.syntaxes import decoding
from casgan_dicom.source.transfer_syntaxes import DEFLATED_FRAMES

Words = npt.NDArray[np.integer[Any]]

COSINE_LEVELS = 2
"""By how many levels two decoders of one JPEG may differ: each inverse cosine transform may be off by one
level from the exact one (IEEE 1180, peak error), in either direction."""
WAVELET_LEVELS = 1
"""Likewise for the irreversible wavelet of JPEG 2000 and HTJ2K: computed in floating point, rounded once, so
that a value near a half may go either way."""


@dataclass(frozen=True)
class Encoded:
    """One encoded frame."""

    stream: bytes
    """All its fragments."""
    header: StreamHeader | None
    """What the stream says of itself; None for deflated ones, which say nothing."""
    syntax: str
    """Transfer Syntax UID (0002,0010) of the file."""
    shape: tuple[int, int]
    """Rows and columns."""
    bits_allocated: int
    """Bits Allocated (0028,0100)."""


@dataclass(frozen=True)
class SecondDecoder:
    """Who decodes a frame once more."""

    name: str
    """What the report calls it."""
    decode: Callable[[Encoded, DecoderProcess], Words]
    """One frame as words, (rows, columns); raises anything on a stream that it cannot take."""
    tolerance: int = 0
    """By how many levels its values may differ from those of the first decoder."""
    package: str = ""
    """The package that it needs; empty where it comes with this one."""

    @property
    def installed(self) -> bool:
        """Whether it can be called."""
        return not self.package or find_spec(self.package) is not None


def second_decoder(syntax: str, header: StreamHeader | None) -> SecondDecoder | None:
    """Who can decode such a frame once more, installed or not; None where there is nobody.

    Parameters
    ----------
    syntax
        Transfer Syntax UID (0002,0010).
    header
        What the stream says of itself.
    """
    if header is None:
        return LIBDEFLATE if syntax == DEFLATED_FRAMES else OWN_RLE if syntax == RLELossless else None
    if header.kind == "JPEG":
        if not header.transformed:
            return LOSSLESS_JPEG
        return LIBJPEG_TURBO if header.precision == 8 else LIBJPEG_TURBO_12
    others = {
        "JPEG-LS": (GDCM_CHARLS, GDCM_CHARLS),
        "RLE": (OWN_RLE, OWN_RLE),
        "JPEG 2000": (GDCM_OPENJPEG, GDCM_OPENJPEG_LOSSY),
        "HTJ2K": (OPENJPH, OPENJPH_LOSSY),
    }
    known = others.get(header.kind)  # of JPEG XL there is no other
    return known[header.loses is True] if known else None


def _by_pillow(frame: Encoded, _: DecoderProcess) -> Words:
    with Image.open(io.BytesIO(frame.stream), formats=("JPEG",)) as picture:
        if picture.size != frame.shape[::-1]:
            raise PixelError(f"{picture.height} × {picture.width}")
        return np.asarray(picture)


def _by_gdcm(frame: Encoded, process: DecoderProcess) -> Words:
    """JPEG-LS and JPEG 2000, by the libraries that GDCM brings."""
    header = frame.header
    assert header is not None
    syntax = JPEGLSLossless if header.kind == "JPEG-LS" else decoding(frame.syntax, header)[1]
    return _alone(frame, process, Way("gdcm", str(syntax), frame.shape, header.signed))


def _alone(frame: Encoded, process: DecoderProcess, way: Way) -> Words:
    """One frame by the process; values as words without a sign."""
    (words,) = process.decode(iter([frame.stream]), way)
    return words.view(f"u{words.dtype.itemsize}")


def _by_own_rle(frame: Encoded, _: DecoderProcess) -> Words:
    return decode_rle(frame.stream, frame.shape, frame.bits_allocated // 8)


def _by_imagecodecs(function: str) -> Callable[[Encoded, DecoderProcess], Words]:
    def decode(frame: Encoded, process: DecoderProcess) -> Words:
        return _alone(frame, process, Way(function, frame.syntax, frame.shape))

    return decode


def _by_libdeflate(frame: Encoded, _: DecoderProcess) -> Words:
    width = frame.bits_allocated // 8
    size = frame.shape[0] * frame.shape[1] * width
    content = import_module(CODECS).deflate_decode(frame.stream, raw=True, out=size + size % 2)
    return frame_of_bytes(bytes(content), frame.shape, width)


LIBDEFLATE = SecondDecoder("libdeflate (imagecodecs)", _by_libdeflate, package=CODECS)
OWN_RLE = SecondDecoder("casgan-dicom (numpy)", _by_own_rle)
LIBJPEG_TURBO = SecondDecoder("libjpeg-turbo (Pillow)", _by_pillow, COSINE_LEVELS)
LIBJPEG_TURBO_12 = SecondDecoder(
    "libjpeg-turbo (imagecodecs)", _by_imagecodecs("jpeg8_decode"), COSINE_LEVELS, CODECS
)
LOSSLESS_JPEG = SecondDecoder("jpegsof3 (imagecodecs)", _by_imagecodecs("jpegsof3_decode"), package=CODECS)
GDCM_CHARLS = SecondDecoder("CharLS (GDCM)", _by_gdcm)
GDCM_OPENJPEG = SecondDecoder("OpenJPEG (GDCM)", _by_gdcm)
GDCM_OPENJPEG_LOSSY = SecondDecoder("OpenJPEG (GDCM)", _by_gdcm, WAVELET_LEVELS)
OPENJPH = SecondDecoder("OpenJPH (imagecodecs)", _by_imagecodecs("htj2k_decode"), package=CODECS)
OPENJPH_LOSSY = SecondDecoder(
    "OpenJPH (imagecodecs)", _by_imagecodecs("htj2k_decode"), WAVELET_LEVELS, CODECS
)
