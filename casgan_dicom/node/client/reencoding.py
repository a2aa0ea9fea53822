"""A file in another transfer syntax, for a peer that does not take its own (PS3.5 10.1).

Implicit VR Little Endian is what every peer takes. The same values go out, in another encoding: an object is
never compressed here, and what was compressed with loss says so afterwards too.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from casgan_dicom.errors import CasganError, SeriesError
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.syntaxes import SYNTAXES
from casgan_dicom.source.series import find_series

_NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
"""Bytes of a word, for values that are kept as bytes."""


def other_syntaxes(syntax: UID) -> tuple[UID, ...]:
    """The transfer syntaxes that an object in `syntax` may be sent in instead, the best first."""
    known = UID(syntax, IGNORE)
    if known.is_private or not known.is_transfer_syntax:
        return ()  # nobody knows how to read it
    return tuple(each for each in _NATIVE if each != known)


def ways(syntax: UID, allowed: Sequence[UID] = ()) -> tuple[UID, ...]:
    """The transfer syntaxes that an object in `syntax` may go out in, its own first; of `allowed`, if any."""
    possible = (syntax, *other_syntaxes(syntax))
    return tuple(each for each in possible if not allowed or each in allowed)


@contextmanager
def reencoded(path: Path, syntax: UID) -> Iterator[Path]:
    """A temporary file with the object of `path` in another syntax, for the time of a block.

    Raises SeriesError if the file cannot be read, or its frames cannot be decoded.
    """
    with tempfile.TemporaryDirectory(prefix="casgan-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes malformed values, which may be those of a patient
        other = Path(folder) / "object.dcm"
        try:
            _write(path, other, syntax)
        except CasganError as error:
            raise SeriesError(f"{path}: cannot be sent as {syntax.name} ({error.message})") from error
        except Exception as error:  # a parser fed with garbage raises anything
            said = type(error).__name__
            raise SeriesError(f"{path}: cannot be sent as {syntax.name} ({said})") from None
        yield other


def _write(path: Path, other: Path, syntax: UID) -> None:
    ds = dcmread(path)
    before = ds.file_meta.TransferSyntaxUID
    for element in ds.iterall():  # a value that is still raw would keep its encoding
        if before == ExplicitVRBigEndian and element.VR in _WORDS and isinstance(element.value, bytes):
            element.value = _swapped(element.value, _WORDS[element.VR])
    if before.is_encapsulated:
        _decompress(ds, path)
        row = SYNTAXES.get(before)
        if row is not None and row.loss == "always":
            ds.LossyImageCompression = "01"
    plain = Dataset()
    plain.update({element.tag: element for element in ds})
    plain.file_meta = ds.file_meta
    plain.file_meta.TransferSyntaxUID = syntax
    plain.save_as(other, enforce_file_format=True)


def _swapped(value: bytes, width: int) -> bytes:
    return np.frombuffer(value[: len(value) // width * width], f">u{width}").astype(f"<u{width}").tobytes()


def _decompress(ds: Dataset, path: Path) -> None:
    """Make Pixel Data (7FE0,0010) native: grayscale by our own decoders, colour by those of pydicom."""
    if ds.get("SamplesPerPixel", 1) != 1:
        ds.decompress(generate_instance_uid=False)
    else:
        (cine,) = find_series([path]).cines
        bits = 8 if ds.BitsAllocated <= 8 else 16 if ds.BitsAllocated <= 16 else 32
        dtype = f"<{'i' if ds.PixelRepresentation else 'u'}{bits // 8}"
        value = b"".join(frame.astype(dtype).tobytes() for frame in iter_frames(cine))
        ds.BitsAllocated = bits
        ds.PixelData = value + bytes(len(value) % 2)
        ds["PixelData"].VR = "OB" if bits == 8 else "OW"
    ds["PixelData"].is_undefined_length = False
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        ds.pop(keyword, None)
