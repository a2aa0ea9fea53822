"""Every transfer syntax that is read, once: who decodes it, whether it loses, in which order it is taken.

``decode.py`` and ``conversion/inspection.py`` ask who decodes, ``lossy_history`` and the rules ask what is
lost, and the listener takes, of those that a peer offers for one context, the one that stands first here. A
row more is a transfer syntax more. What is written, and by which encoder, ``compress.py`` knows.

The way from a file to its frames is ``decode.py``; this is its table, and opens no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import Literal

from pydicom.config import IGNORE
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from casgan_dicom.pixels.codestream import StreamHeader
from casgan_dicom.pixels.jpeg_xl import PACKAGE
from casgan_dicom.source.transfer_syntaxes import (
    DEFLATED_FRAMES,
    JPEG_XL,
    JPEG_XL_LOSSLESS,
    JPEG_XL_OF_JPEG,
    UNCOMPRESSED_FRAMES,
)


@dataclass(frozen=True)
class Decoder:
    """Who decodes frames, and how it is called."""

    name: str
    """What `inspect` calls it."""
    way: Literal["native", "inflated", "pydicom", "process", "fragments", "deflated"]
    """As they lie; inflated into a temporary file; by pydicom's own code; in a process of its own; as they
    lie in fragments; each inflated by itself."""
    library: str = ""
    """What decodes in a process of its own, as `Way.library` names it; empty for another way."""
    package: str = ""
    """The package that it needs beside those that are always there."""

    @property
    def missing(self) -> str:
        """The package that it needs and that is not installed; empty where nothing is missing."""
        return self.package if self.package and find_spec(self.package) is None else ""


@dataclass(frozen=True)
class Syntax:
    """One Transfer Syntax UID (0002,0010)."""

    uid: UID
    """The UID, which knows its name."""
    decoder: Decoder
    """Who decodes it."""
    loss: Literal["never", "may", "always"] = "never"
    """Whether its frames have lost information: ``may`` leaves it to what the header declares."""
    lossy_method: str | None = None
    """Lossy Image Compression Method (0028,2114), PS3.3 C.7.6.1.1.5; None where nothing is ever lost."""


NUMPY = Decoder("numpy, frame by frame", "native")
ZLIB = Decoder("zlib, into a temporary file, then numpy", "inflated")
FRAGMENTS = Decoder("numpy, frame by frame", "fragments")
INFLATE = Decoder("zlib, frame by frame", "deflated")
PYDICOM = Decoder("pydicom, frame by frame", "pydicom")
GDCM = Decoder("GDCM, in a process of its own", "process", "gdcm")
CHARLS = Decoder("CharLS (pyjpegls)", "process", "charls")
OPENJPEG = Decoder("OpenJPEG (pylibjpeg)", "process", "openjpeg")
LIBJXL = Decoder("libjxl (imagecodecs)", "process", "jpegxl_decode", PACKAGE)

JPEG_WITHOUT_TRANSFORM = (JPEGLossless, JPEGLosslessSV1)
"""JPEG that loses nothing."""

SYNTAXES: Mapping[UID, Syntax] = MappingProxyType(
    {
        row.uid: row
        for row in (
            Syntax(ExplicitVRLittleEndian, NUMPY),
            Syntax(ImplicitVRLittleEndian, NUMPY),
            Syntax(JPEGLosslessSV1, GDCM),
            Syntax(JPEGLossless, GDCM),
            Syntax(JPEGLSLossless, CHARLS),
            Syntax(JPEG2000Lossless, OPENJPEG),
            Syntax(RLELossless, PYDICOM),
            Syntax(DEFLATED_FRAMES, INFLATE),
            Syntax(UNCOMPRESSED_FRAMES, FRAGMENTS),
            Syntax(HTJ2KLossless, OPENJPEG),
            Syntax(HTJ2KLosslessRPCL, OPENJPEG),
            Syntax(JPEG_XL_LOSSLESS, LIBJXL),
            Syntax(JPEGExtended12Bit, GDCM, "always", "ISO_10918_1"),
            Syntax(JPEGBaseline8Bit, GDCM, "always", "ISO_10918_1"),
            Syntax(JPEGLSNearLossless, CHARLS, "may", "ISO_14495_1"),
            Syntax(JPEG2000, OPENJPEG, "may", "ISO_15444_1"),
            Syntax(HTJ2K, OPENJPEG, "may", "ISO_15444_15"),
            Syntax(JPEG_XL_OF_JPEG, LIBJXL, "always", "ISO_10918_1"),
            Syntax(JPEG_XL, LIBJXL, "may", "ISO_18181_1"),
            Syntax(DeflatedExplicitVRLittleEndian, ZLIB),
            Syntax(ExplicitVRBigEndian, NUMPY),
        )
    }
)
"""Every row by its UID; the first of those that a peer offers is the one that is taken."""


def decoder_of(uid: str) -> Decoder:
    """Who decodes this Transfer Syntax UID; pydicom, which will refuse it, where there is no row."""
    row = _row(uid)
    return PYDICOM if row is None else row.decoder


def decoding(uid: str, stream: StreamHeader | None) -> tuple[Decoder, UID]:
    """Who decodes a stream, and the transfer syntax that it really follows.

    Parameters
    ----------
    uid
        Transfer Syntax UID (0002,0010), which may name another.
    stream
        What the stream says of itself; None where it is of no known kind.
    """
    named = UID(uid, IGNORE)
    if stream is None:
        return decoder_of(uid), named
    kinds = {
        "JPEG-LS": JPEGLSNearLossless,
        "JPEG 2000": JPEG2000,
        "HTJ2K": HTJ2K,
        "JPEG XL": JPEG_XL,
        "RLE": RLELossless,
    }
    if stream.kind != "JPEG":
        own = kinds[stream.kind]
        return SYNTAXES[own].decoder, named if decoder_of(uid) == SYNTAXES[own].decoder else own
    if not stream.transformed:
        return GDCM, named if named in JPEG_WITHOUT_TRANSFORM else JPEGLossless
    fits = named in (JPEGBaseline8Bit, JPEGExtended12Bit) and (named, stream.precision) != (
        JPEGBaseline8Bit,
        12,
    )
    return GDCM, named if fits else JPEGBaseline8Bit if stream.precision == 8 else JPEGExtended12Bit


def decoder_name(uid: str) -> str:
    """What `inspect` calls the decoder; empty where nothing here decodes."""
    row = _row(uid)
    return "" if row is None else row.decoder.name


def lossy_method(uid: str) -> str | None:
    """Lossy Image Compression Method (0028,2114) of what may lose; None for others."""
    row = _row(uid)
    return None if row is None else row.lossy_method


def always_loses(uid: str) -> bool:
    """Whether frames have lost information whatever their header declares."""
    row = _row(uid)
    return row is not None and row.loss == "always"


def loss_of(uid: str) -> Literal["never", "may", "always"]:
    """Whether frames of this transfer syntax lose information, if they are what it names."""
    row = _row(uid)
    return "never" if row is None else row.loss


def _row(uid: str) -> Syntax | None:
    """The row of a UID, which may be anything; None where there is none."""
    return SYNTAXES.get(UID(uid, IGNORE))
