"""Is what an object says about its pixels true? Format, length, number of frames, loss, and the banner.

Only two frames are ever decoded, the first and the last, to see whether the banner really is where Derivation
Description (0008,2111) claims it. Everything else is counted in the stored stream, which is not held in
memory where the data set was read with deferred values.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.utils import iter_pixels
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    RLELossless,
)

from casgan_dicom.derived.provenance import BANNER_ABSENT, BANNER_BURNED
from casgan_dicom.pixels.banner import banner_for
from casgan_dicom.pixels.codestream import stream_header
from casgan_dicom.pixels.decoder_process import Way, decoder_process
from casgan_dicom.pixels.syntaxes import decoder_of, lossy_method
from casgan_dicom.uids import uid_name
from casgan_dicom.verification.kinds import (
    CAPTURES,
    DOCUMENTS,
    EVERY,
    IMAGES,
    ObjectKind,
    Rule,
    coded,
    kind_of,
    several,
)
from casgan_dicom.verification.roadmap_rules import banner_texts

WRITTEN = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)
"""Transfer syntaxes of derived objects."""

LEGIBLE = 0.95
"""Share of the banner's pixels that have to be on their side of mid-grey: loss may turn a few, a picture that
happens to lie there turns a third of them and more."""
MAX_SIDE = 4096
"""Rows and columns above which nothing is decoded."""

_HEAD_BYTES = 4096
"""How far into a fragment its stream's header is looked for."""
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"


def _transfer_syntax(ds: Dataset) -> Iterator[str]:
    wanted = set(WRITTEN)
    if kind_of(ds) in DOCUMENTS:
        wanted = {ExplicitVRLittleEndian, ImplicitVRLittleEndian}
    if (syntax := _syntax(ds)) not in wanted:
        yield f"TransferSyntaxUID (0002,0010) is {uid_name(syntax)}, which is not written here"


def _lossy_chain(ds: Dataset) -> Iterator[str]:
    if ds.get("LossyImageCompression") or kind_of(ds) is ObjectKind.SEGMENTATION:  # absent means unknown
        yield from coded(ds, "LossyImageCompression", ("00", "01"))
    lossy = ds.get("LossyImageCompression") == "01"
    ratios, methods = several(ds, "LossyImageCompressionRatio"), several(ds, "LossyImageCompressionMethod")
    last, who = lossy_method(_syntax(ds)), "transfer syntax"  # its lossless streams have a UID of their own
    if not last:
        last, who = _lost_by(ds), "encoded stream"
    if last and not lossy:
        yield f"LossyImageCompression (0028,2110) is not 01, but the {who} loses"
    if last and methods[-1:] != [last]:
        yield f"LossyImageCompressionMethod (0028,2114) does not end with {last} of the {who}"
    if last and not ratios:  # a step before this one may be lost to history; this one is not
        yield f"LossyImageCompressionRatio (0028,2112) is absent, but the {who} loses"
    if len(ratios) != len(methods):
        yield f"LossyImageCompressionRatio has {len(ratios)} values, the Method (0028,2114) {len(methods)}"
    if ratios and not lossy:
        yield "LossyImageCompressionRatio (0028,2112) is present, LossyImageCompression (0028,2110) not 01"


def _presentation(ds: Dataset) -> Iterator[str]:
    if "VOILUTFunction" in ds:  # even LINEAR: a widely used viewer then shows black
        yield "VOILUTFunction (0028,1056) is present, need it absent, which means LINEAR"
    yield from coded(ds, "PhotometricInterpretation", ("MONOCHROME2",))
    if kind_of(ds) is ObjectKind.SEGMENTATION:
        return
    yield from coded(ds, "PresentationLUTShape", ("IDENTITY",))
    top = 2.0 ** _number(ds, "BitsStored")
    for keyword, wanted in (
        ("WindowCenter", top / 2),
        ("WindowWidth", top),
        ("RescaleSlope", 1.0),
        ("RescaleIntercept", 0.0),
    ):
        values = several(ds, keyword)
        if values and [float(value) for value in values] != [wanted]:
            yield f"{keyword} {Tag(keyword)} is not {wanted:g}: viewers would not show what is stored"


def _pixel_format(ds: Dataset) -> Iterator[str]:
    words = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel")
    allocated, stored, high, signed, samples = (ds.get(word) for word in words)
    legal = {8: (8,), 16: (12, 16)}
    if kind_of(ds) is ObjectKind.SEGMENTATION:
        legal = {1: (1,), 8: (8,), 16: (16,)}
    elif ds.get("SOPClassUID") == MultiFrameGrayscaleByteSecondaryCaptureImageStorage:
        legal = {8: (8,)}
    elif kind_of(ds) is ObjectKind.CINE:
        legal = {16: (12, 16)}
    if stored not in legal.get(allocated, ()) or high != stored - 1:
        wanted = " or ".join(f"{a}/{s}/{s - 1}" for a, bits in legal.items() for s in bits)
        found = f"{allocated}/{stored}/{high}"
        yield f"Bits Allocated/Stored/HighBit (0028,0100) to (0028,0102) are {found}, need {wanted}"
    if signed != 0 or samples != 1:
        found = f"PixelRepresentation (0028,0103) is {signed}, SamplesPerPixel (0028,0002) {samples}"
        yield f"{found}, need 0 and 1"


def _pixel_length(ds: Dataset) -> Iterator[str]:
    if "PixelData" not in ds:
        yield "PixelData (7FE0,0010) is absent"
    elif not _syntax(ds).is_encapsulated:
        rows, columns, samples, bits = (
            _number(ds, word) for word in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
        )
        wanted = (_frames(ds) * rows * columns * samples * bits + 7) // 8
        if (found := _native_bytes(ds)) != wanted + wanted % 2:
            yield f"PixelData (7FE0,0010) has {found} bytes, the header means {wanted + wanted % 2}"


def _pixel_frames(ds: Dataset) -> Iterator[str]:
    """As many encapsulated frames as promised, PS3.5 A.4: by the offset table, else one fragment each."""
    if "PixelData" not in ds or not _syntax(ds).is_encapsulated:
        return
    frames = _frames(ds)
    try:
        table, starts, _ = _fragments(ds)
    except ValueError as error:
        yield f"PixelData (7FE0,0010) {error}"
        return
    if table and len(table) != frames:
        yield f"the offset table of PixelData (7FE0,0010) has {len(table)} entries for {frames} frames"
    elif table and not set(table) <= set(starts):
        yield "the offset table of PixelData (7FE0,0010) points between fragments"
    elif not table and len(starts) != frames and not (frames == 1 and starts):
        yield f"PixelData (7FE0,0010) has {len(starts)} fragments for {frames} frames"


def _banner_pixels(ds: Dataset) -> Iterator[str]:
    """The banner is in the pixels of the first and the last frame if, and only if, the header says so."""
    text = str(ds.get("DerivationDescription") or "")
    claimed = BANNER_BURNED in text
    if claimed == (BANNER_ABSENT in text):
        return
    rows, columns = _number(ds, "Rows"), _number(ds, "Columns")
    unsound = any(any(rule(ds)) for rule in (_transfer_syntax, _pixel_format, _pixel_length, _pixel_frames))
    if unsound or not 0 < rows <= MAX_SIDE or not 0 < columns <= MAX_SIDE:
        return
    try:
        shares = [
            _legible_share(frame, ds.BitsStored, banner_texts(ds, index))
            for index, frame in _first_and_last(ds)
        ]
    except Exception as error:  # decoders raise anything on a broken stream
        yield f"the first or the last frame cannot be decoded ({type(error).__name__})"
        return
    legible = [share >= LEGIBLE for share in shares]
    if claimed and not all(legible):
        yield f"DerivationDescription (0008,2111) says '{BANNER_BURNED}', but the pixels do not show it"
    if not claimed and any(legible):
        yield f"DerivationDescription (0008,2111) says '{BANNER_ABSENT}', but the pixels show one"


def _first_and_last(ds: Dataset) -> Iterator[tuple[int, npt.NDArray[np.integer[Any]]]]:
    """Places from 0 and stored values of two frames, (rows, columns); of one, where there is no other."""
    indices, syntax = sorted({0, _frames(ds) - 1}), _syntax(ds)
    who = decoder_of(syntax)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # padding behind the last fragment is no fault
        if who.way != "process":
            where = Path(str(ds.filename)) if _deferred(ds) else ds
            plugin = "pydicom" if syntax == RLELossless else ""
            frames = iter_pixels(where, raw=True, indices=indices, decoding_plugin=plugin)
            yield from zip(indices, frames, strict=True)
            return
        way = Way(who.library, str(syntax), (_number(ds, "Rows"), _number(ds, "Columns")))
        with decoder_process() as process:
            frames = process.decode(map(partial(_stream, ds), indices), way)
            yield from zip(indices, frames, strict=True)


def _stream(ds: Dataset, index: int) -> bytes:
    """The encoded frame at `index`, from 0."""
    offsets = (ds.get("ExtendedOffsetTable"), ds.get("ExtendedOffsetTableLengths"))
    options: dict[str, Any] = {"number_of_frames": _frames(ds)}
    if all(offsets):
        options["extended_offsets"] = offsets
    raw = _deferred(ds)
    if raw is None:
        return get_frame(ds.PixelData, index, **options)
    with Path(str(ds.filename)).open("rb") as file:
        file.seek(raw.value_tell)
        return get_frame(file, index, **options)


def _legible_share(frame: npt.NDArray[np.integer[Any]], bits: int, texts: tuple[str, ...]) -> float:
    """Share of the banner's pixels that are bright where it has ink and dark where it has none; 0 to 1.

    0 for a frame in which no banner has room.
    """
    try:
        banner = banner_for(frame.shape[0], frame.shape[1], texts)
    except ValueError:
        return 0.0
    bright = frame[banner.rows, banner.columns] >= 2 ** (bits - 1)
    return float(np.mean(bright == banner.ink))


PIXEL_RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "transfer-syntax": Rule(_transfer_syntax, EVERY),
        "lossy-chain": Rule(_lossy_chain, IMAGES),
        "presentation": Rule(_presentation, IMAGES),
        "pixel-format": Rule(_pixel_format, IMAGES),
        "pixel-length": Rule(_pixel_length, IMAGES),
        "pixel-frames": Rule(_pixel_frames, IMAGES),
        "banner-pixels": Rule(_banner_pixels, CAPTURES),
    }
)
"""Rules of the pixels by their names, in the order in which they are asked."""


def _syntax(ds: Dataset) -> UID:
    return UID(str(ds.file_meta.get("TransferSyntaxUID", "")))


def _frames(ds: Dataset) -> int:
    return int(ds.get("NumberOfFrames") or 1)


def _number(ds: Dataset, keyword: str) -> int:
    return int(ds.get(keyword) or 0)


def _deferred(ds: Dataset) -> RawDataElement | None:
    """Pixel Data (7FE0,0010) as the parser left it in the file; None where it is in memory."""
    raw = ds.get_item("PixelData", keep_deferred=True)
    return raw if isinstance(raw, RawDataElement) and raw.value is None else None


def _native_bytes(ds: Dataset) -> int:
    """Length of uncompressed Pixel Data as far as the file really holds it: the header alone may lie."""
    raw = _deferred(ds)
    if raw is None:
        return len(ds.PixelData)
    return min(raw.length, Path(str(ds.filename)).stat().st_size - raw.value_tell)


def _lost_by(ds: Dataset) -> str | None:
    """Method by which a stream has lost information although its transfer syntax names none."""
    if "PixelData" not in ds or not _syntax(ds).is_encapsulated:
        return None
    try:
        lost = _fragments(ds)[2]
    except ValueError:  # another rule says so
        return None
    return lost[0] if lost else None


def _fragments(ds: Dataset) -> tuple[list[int], list[int], list[str]]:
    """Offsets that the offset table names, those at which fragments begin, and methods of streams that lose.

    Both kinds of offsets count from the first fragment.

    Raises ValueError, in words for a finding, where the stream breaks off.
    """
    raw = _deferred(ds)
    if raw is not None:
        with Path(str(ds.filename)).open("rb") as file:
            file.seek(raw.value_tell)
            basic, starts, lost = _walk(file)
    else:
        basic, starts, lost = _walk(io.BytesIO(ds.PixelData))
    extended = ds.get("ExtendedOffsetTable") or b""
    table = struct.unpack(f"<{len(extended) // 8}Q", extended[: len(extended) // 8 * 8]) if extended else ()
    return list(table) or basic, starts, lost


def _walk(file: BinaryIO) -> tuple[list[int], list[int], list[str]]:
    """Basic Offset Table, offset of each fragment, and the methods of those that lose, from here on."""
    first = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(first)
    table: list[int] | None = None
    starts: list[int] = []
    lost: list[str] = []
    while (tag := file.read(4)) == _ITEM:
        length = int.from_bytes(file.read(4), "little")
        if file.tell() + length > end:
            raise ValueError("is cut short")
        if table is None:
            table = list(struct.unpack(f"<{length // 4}I", file.read(length)[: length // 4 * 4]))
            first = file.tell()
        else:
            start = file.tell()
            starts.append(start - 8 - first)
            header = stream_header(file.read(min(length, _HEAD_BYTES)))
            lost += [header.method] if header and header.loses else []
            file.seek(start + length)
    if table is None or tag not in (_END, b""):
        raise ValueError("is no sequence of fragments")
    return table, starts, lost
