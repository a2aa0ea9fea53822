"""The header of one file, or why there is none.

Only headers are read here, never Pixel Data (7FE0,0010). A malformed value becomes a note, a broken file a
`SkippedFile`; nothing that a file holds may raise. What a value said is not repeated: it may be that of a
patient, and so may a file name, which is why no reason holds one.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from casgan_dicom.source.cine import Instance
from casgan_dicom.source.codes import mend_codes
from casgan_dicom.source.elements import integer
from casgan_dicom.source.encoding import before_pixels, begins_data_set, encoding_of
from casgan_dicom.source.inflate import HEADER_BYTES, HeaderBudget, InflateError, inflated
from casgan_dicom.source.numerals import mend_numerals
from casgan_dicom.source.shutters import shutter_group

NOT_DICOM = "no DICOM file"
DICOMDIR = "DICOMDIR"
ARCHIVE = "archive"
"""Begins the reason of a file that may hold DICOM files, but is none."""
DAMAGED = "damaged or incomplete DICOM file"
UNREADABLE = "cannot be read"

_ARCHIVES = (
    ("zip", 0, b"PK\x03\x04"), ("gzip", 0, b"\x1f\x8b"), ("7z", 0, b"7z\xbc\xaf\x27\x1c"),
    ("rar", 0, b"Rar!\x1a\x07"), ("bzip2", 0, b"BZh"), ("xz", 0, b"\xfd7zXZ\x00"), ("tar", 257, b"ustar"),
)  # fmt: skip
"""Kind, and the bytes at a place by which it is known."""
_DICM = b"DICM\x02\x00"
"""How File Meta Information begins, wherever that is."""
_NO_PREAMBLE = "no 128 bytes of preamble and DICM in front of it"
_BIT_POSITION = 0x0102
"""Overlay Bit Position (60xx,0102); above 0 where the overlay sits in the pixels, PS3.3 C.9.2 of 2004."""
_ECG_LIMIT = 2**20
"""Bytes of an ECG that are kept of a header."""
_NAMED_AT_MOST = 4
"""How many groups a note names."""


@dataclass(frozen=True, eq=False)
class Head:
    """One instance and its header."""

    instance: Instance
    """Where it is and what it holds."""
    ds: Dataset
    """Its data set without Pixel Data, `file_meta` included."""
    notes: tuple[str, ...] = ()
    """What was odd about its values, one sentence each."""


@dataclass(frozen=True)
class SkippedFile:
    """A file or folder that belongs to no series."""

    path: Path
    """The file, or the folder that cannot be searched."""
    reason: str
    """Why, in words that hold no patient data and no file name."""
    damaged: bool = False
    """Whether an image may be lost with it: it begins as a DICOM file but is broken or cut short, or it could
    not be read at all."""


def read_head(path: Path, budget: HeaderBudget | None = None) -> Head | SkippedFile:
    """Read the header of one file; never raises for what the file holds or for a file out of reach.

    `budget` is that of all deflated files of a search.
    """
    try:
        with path.open("rb") as file:
            start = file.read(262)
            if start[128:132] != b"DICM":
                return _what_else(path, start)
            file.seek(0)
            ds, has_pixels, inside, notes = _read_dataset(file, budget or HeaderBudget())
    except OSError as error:
        return unreadable(path, error)
    except Exception as error:  # a parser fed with garbage raises anything; its text may hold patient data
        why = f": {error}" if isinstance(error, InflateError) else f" ({type(error).__name__})"
        return SkippedFile(path, f"{DAMAGED}{why}", damaged=True)
    if ds.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        return SkippedFile(path, DICOMDIR)
    for keyword, tag in (("SOPInstanceUID", "(0008,0018)"), ("SeriesInstanceUID", "(0020,000E)")):
        if not ds.get(keyword):
            return SkippedFile(path, f"{DAMAGED}: {keyword} {tag} is absent", damaged=True)
    syntax = str(ds.file_meta.get("TransferSyntaxUID", ""))
    instance = Instance(path, str(ds.SOPInstanceUID), _frame_count(ds), syntax, has_pixels, inside)
    return Head(instance, ds, notes)


def _what_else(path: Path, start: bytes) -> SkippedFile:
    """A file that begins like this: archives are named, and DICOM whose beginning was lost is damaged."""
    for kind, at, magic in _ARCHIVES:
        if start[at:].startswith(magic):
            return SkippedFile(path, f"{ARCHIVE} ({kind}), not unpacked")
    if _DICM in start or begins_data_set(start):
        return SkippedFile(path, f"{DAMAGED}: {_NO_PREAMBLE}", damaged=True)
    return SkippedFile(path, NOT_DICOM)


def unreadable(path: Path, error: Exception) -> SkippedFile:
    """A file or folder that the operating system does not hand out, with what it says but no name."""
    said = getattr(error, "strerror", None) or type(error).__name__
    return SkippedFile(path, f"{UNREADABLE} ({said})", damaged=True)


def _read_dataset(file: BinaryIO, budget: HeaderBudget) -> tuple[Dataset, bool, bool, tuple[str, ...]]:
    """Data set without its pixels, whether it has any, whether overlays lie in them, and what was odd.

    Every value is converted here, once, so that a malformed one becomes a note instead of a warning or an
    exception wherever it is first touched.
    """
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoding = encoding_of(file)
        notes += [encoding.note] if encoding.note else []
        if encoding.found == DeflatedExplicitVRLittleEndian:
            ds, has_pixels = _deflated(file, budget)
            ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        else:
            ds, has_pixels = _before_pixels(file)
        notes += dict.fromkeys(_convert_values(ds.file_meta) + _convert_values(ds))
        inside = any(tag.group != shutter_group(ds) for tag in _overlays_in_pixels(ds))
        notes += _without_drawings(ds)
    if caught:
        notes.append(f"{len(caught)} header values break the standard's rules and were read as they stand")
    return ds, has_pixels, inside, tuple(notes)


def _deflated(file: BinaryIO, budget: HeaderBudget) -> tuple[Dataset, bool]:
    """The same of a deflated file. Raises InflateError where its header is longer than one may be."""
    with inflated(file, HEADER_BYTES, whole=False) as plain:
        if os.fstat(plain.fileno()).st_size > HEADER_BYTES and not _reaches_pixels(plain):
            raise InflateError(f"its header inflates to more than {HEADER_BYTES} bytes")
        before_pixels(plain, only_place=True)  # first without values: what is too much is never kept
        budget.take(plain.tell())
        return _before_pixels(plain)


def _reaches_pixels(file: BinaryIO) -> bool:
    """Whether Pixel Data begins in what there is of a data set."""
    try:
        before_pixels(file, only_place=True)
    except Exception:  # it ends in the middle of an element
        return False
    return _pixels_follow(file)


def _before_pixels(file: BinaryIO) -> tuple[Dataset, bool]:
    """Data set up to its pixels, and whether these follow."""
    return before_pixels(file), _pixels_follow(file)


def _pixels_follow(file: BinaryIO) -> bool:
    """Whether Pixel Data (7FE0,0010) begins where the file is."""
    return file.read(4) in (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")


def _convert_values(ds: Dataset) -> list[str]:
    """Convert every value of a data set from its bytes; mend or drop, and name, what cannot be.

    Inside a sequence only the elements that cannot be read are dropped, not the whole of it: the items of an
    Enhanced object hold all that is known of its frames.
    """
    dropped = []
    for tag in list(ds.keys()):
        try:
            element = ds[tag]
            for item in element.value if element.VR == "SQ" else ():
                dropped += _convert_values(item)
            dropped += mend_numerals(ds, element) + mend_codes(ds, element)
        except Exception as error:  # one bad element must not hide the run; what it held is not repeated
            dropped.append(f"{keyword_for_tag(tag) or 'private'} {tag} ignored: {type(error).__name__}")
            del ds[tag]
    return dropped


def _without_drawings(ds: Dataset) -> list[str]:
    """Remove overlays, curves and icon, which nothing here draws, and say so: they may be large.

    The overlay that is a bitmap shutter stays, and so does a curve that is an ECG of a usual length
    (``ecg_curve.py``).
    """
    shutter = shutter_group(ds)
    notes = []
    for kind, first in (("overlays", 0x6000), ("curves", 0x5000)):
        tags = [tag for tag in ds.keys() if first <= tag.group <= first + 0xFF and tag.group != shutter]  # noqa: SIM118
        groups = sorted({tag.group for tag in tags})
        inside = any(tag in tags for tag in _overlays_in_pixels(ds))
        for tag in tags:
            if not _is_ecg(ds, tag.group):
                del ds[tag]
        if groups:
            named = ", ".join(f"{group:04X}" for group in groups[:_NAMED_AT_MOST])
            where = ", in part in the bits above BitsStored (0028,0101)" if inside else ""
            notes.append(f"{len(groups)} {kind} not drawn (group {named}{where})")
    if "IconImageSequence" in ds:
        del ds.IconImageSequence
    return notes


def _is_ecg(ds: Dataset, group: int) -> bool:
    """Whether a curve calls itself an ECG and is not long."""
    kind, data = ds.get((group, 0x0020)), ds.get((group, 0x3000))
    if not 0x5000 <= group <= 0x50FF or kind is None or data is None or kind.value != "ECG":
        return False
    return isinstance(data.value, bytes) and len(data.value) <= _ECG_LIMIT


def _overlays_in_pixels(ds: Dataset) -> list[BaseTag]:
    """Overlay Bit Position (60xx,0102) of each overlay that lies in the words of the pixels."""
    positions = [tag for tag in ds.keys() if 0x6000 <= tag.group <= 0x60FF and tag.element == _BIT_POSITION]  # noqa: SIM118
    return [tag for tag in positions if ds[tag].value]


def _frame_count(ds: Dataset) -> int:
    """Number of Frames (0028,0008); 1 where absent or empty, 0 where below 1."""
    value = ds.get("NumberOfFrames")
    return 1 if value is None or value == "" else max(integer(value), 0)
