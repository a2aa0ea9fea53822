"""Which files make which cine, in which order, and how fast it ran.

A *series* is what a Series Instance UID names; a *cine* is one run of frames to convert. A multi-frame
instance is a cine of its own. Single-frame instances of a series are one cine if they share their geometry
and their kind of transfer syntax and have increasing times; otherwise each is a cine of one frame, because
three copies of a picture are no run. Everything is keyed by SOP Instance UID (0008,0018): file names mean
nothing, and both planes of a biplane run may share an Instance Number.

Only headers are read here, never Pixel Data (7FE0,0010).
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from casgan_dicom.errors import SeriesError
from casgan_dicom.timing import FrameTiming, moments, timing_of_instance, timing_of_moments

__all__ = ["Cine", "Found", "FrameTiming", "Instance", "Series", "SkippedFile", "find_series"]

NOT_DICOM = "no DICOM file"
DICOMDIR = "DICOMDIR"
DUPLICATE = "another copy of a SOP Instance UID (0008,0018)"

_PIXEL_FORMAT = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "ImagerPixelSpacing", "PositionerPrimaryAngle",
    "PositionerSecondaryAngle",
)  # fmt: skip


@dataclass(frozen=True)
class Instance:
    """One SOP instance in one file."""

    path: Path
    """The file that holds it."""
    sop_instance_uid: str
    """SOP Instance UID (0008,0018)."""
    frames: int
    """Number of Frames (0028,0008); 1 where absent, 0 where the header says nonsense."""
    transfer_syntax: str
    """Transfer Syntax UID (0002,0010)."""
    has_pixels: bool
    """Whether the file holds Pixel Data (7FE0,0010) at all."""


@dataclass(frozen=True, eq=False)
class Cine:
    """One run of frames, the unit of conversion."""

    series_uid: str
    """Series Instance UID (0020,000E)."""
    instances: tuple[Instance, ...]
    """One multi-frame instance, or the single-frame instances in the order of time."""
    frames: int
    """Frames that the headers promise, over all instances."""
    rows: int
    """Rows (0028,0010); 0 where absent."""
    columns: int
    """Columns (0028,0011); 0 where absent."""
    header: Dataset
    """Data set of the first instance without Pixel Data, its `file_meta` included."""
    timing: FrameTiming
    """When the frames were taken."""
    notes: tuple[str, ...] = ()
    """What was odd about the headers and how it was read, one sentence each."""


@dataclass(frozen=True)
class Series:
    """The cines that share a Series Instance UID (0020,000E)."""

    uid: str
    """Series Instance UID."""
    cines: tuple[Cine, ...]
    """At least one, in the order of time or Instance Number (0020,0013)."""


@dataclass(frozen=True)
class SkippedFile:
    """A file that belongs to no series."""

    path: Path
    """The file."""
    reason: str
    """Why, in words that hold no patient data."""


@dataclass(frozen=True)
class Found:
    """What a search brought to light."""

    series: tuple[Series, ...]
    """In the order of their UIDs."""
    skipped: tuple[SkippedFile, ...]
    """Every file that was passed over."""

    @property
    def cines(self) -> tuple[Cine, ...]:
        """All cines of all series."""
        return tuple(cine for series in self.series for cine in series.cines)

    @property
    def skipped_counts(self) -> Mapping[str, int]:
        """How many files were passed over for each reason, the most frequent first."""
        return dict(Counter(file.reason for file in self.skipped).most_common())


@dataclass(frozen=True)
class _Head:
    """One instance and its header while series are put together."""

    instance: Instance
    ds: Dataset
    notes: tuple[str, ...] = field(default=())


def find_series(paths: Sequence[Path]) -> Found:
    """Find every series in files and folders.

    Parameters
    ----------
    paths
        Files, or folders that are searched with all their sub-folders; links to folders are not followed.
        File names and endings do not matter.

    Returns
    -------
    Found
        At least one series, and every file that was passed over with the reason. The order depends on the
        content only, not on names or on the file system.

    Raises
    ------
    SeriesError
        A path does not exist, or no file holds a DICOM instance.
    """
    for path in paths:
        if not path.exists():
            raise SeriesError(f"{path}: no such file or folder", hint="check the spelling of the path")
    heads: dict[str, _Head] = {}
    skipped: list[SkippedFile] = []
    for path in _files(paths):
        head = _read_head(path)
        if isinstance(head, str):
            skipped.append(SkippedFile(path, head))
        elif head.instance.sop_instance_uid in heads:
            skipped.append(SkippedFile(path, DUPLICATE))
        else:
            heads[head.instance.sop_instance_uid] = head
    by_series: dict[str, list[_Head]] = {}
    for _, head in sorted(heads.items()):
        by_series.setdefault(str(head.ds.SeriesInstanceUID), []).append(head)
    found = Found(
        tuple(Series(uid, _cines(uid, by_series[uid])) for uid in sorted(by_series)), tuple(skipped)
    )
    if not found.series:
        names = ", ".join(str(path) for path in paths) or "nothing given"
        counts = "; ".join(f"{count} × {reason}" for reason, count in found.skipped_counts.items())
        raise SeriesError(
            f"{names}: no DICOM files" + (f" ({counts})" if counts else ""),
            hint="pass the folder that holds the DICOM files of an XA or RF series",
        )
    return found


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """Every regular file once, sorted within its folder so that the walk is the same everywhere."""
    seen: set[Path] = set()
    for top in paths:
        walk: Iterable[Path] = [top]
        if top.is_dir():
            walk = sorted(Path(folder) / name for folder, _, names in os.walk(top) for name in names)
        for path in walk:
            if path.is_file() and (real := path.resolve()) not in seen:
                seen.add(real)
                yield path


def _read_head(path: Path) -> _Head | str:
    """Header of one file, or the reason why it is passed over."""
    try:
        with path.open("rb") as file:
            if file.read(132)[128:] != b"DICM":
                return NOT_DICOM
            file.seek(0)
            ds, has_pixels, notes = _read_dataset(file)
    except Exception as error:  # a parser fed with garbage raises anything; its text may hold patient data
        return f"unreadable ({type(error).__name__})"
    if ds.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        return DICOMDIR
    for keyword, tag in (("SOPInstanceUID", "(0008,0018)"), ("SeriesInstanceUID", "(0020,000E)")):
        if not ds.get(keyword):
            return f"{keyword} {tag} is absent"
    syntax = str(ds.file_meta.get("TransferSyntaxUID", ""))
    instance = Instance(path, str(ds.SOPInstanceUID), _frame_count(ds), syntax, has_pixels)
    return _Head(instance, ds, notes)


def _read_dataset(file: BinaryIO) -> tuple[Dataset, bool, tuple[str, ...]]:
    """Data set without its pixels, whether it has any, and what was wrong with its values.

    Every value is converted here, once, so that a malformed one becomes a note instead of a warning or an
    exception wherever it is first touched.
    """
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ds = dcmread(file, stop_before_pixels=True)
        if ds.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            file.seek(0)  # the inflated stream is gone: whether pixels follow shows only in the whole
            ds = dcmread(file)
            has_pixels = "PixelData" in ds
            if has_pixels:
                del ds.PixelData
        else:
            has_pixels = file.read(4) in (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
        notes += _convert_values(ds.file_meta) + _convert_values(ds)
    if caught:
        notes.append(f"{len(caught)} header values break the standard's rules and were read as they stand")
    return ds, has_pixels, tuple(notes)


def _convert_values(ds: Dataset) -> list[str]:
    """Convert every value of a data set from its bytes; drop and name the elements that cannot be."""
    dropped = []
    for tag in list(ds.keys()):
        try:
            element = ds[tag]
            for item in element.value if element.VR == "SQ" else ():
                for _ in item.iterall():
                    continue
        except Exception as error:  # one bad element must not hide the run; what it held is not repeated
            dropped.append(f"{keyword_for_tag(tag) or 'private'} {tag} ignored: {type(error).__name__}")
            del ds[tag]
    return dropped


def _frame_count(ds: Dataset) -> int:
    """Number of Frames (0028,0008); 1 where absent or empty, 0 where below 1."""
    value = ds.get("NumberOfFrames")
    return 1 if value is None or value == "" else max(_integer(value), 0)


def _integer(value: object) -> int:
    """The value as an integer; 0 for nothing, for several values and for whatever else is none."""
    return int(value) if isinstance(value, int | float) else 0


def _cines(series_uid: str, heads: Sequence[_Head]) -> tuple[Cine, ...]:
    """The cines of one series, in the order of their Instance Numbers."""
    single = [head for head in heads if head.instance.frames == 1]
    others = [head for head in heads if head.instance.frames != 1]
    cines = [_cine(series_uid, [head], _own_timing(head)) for head in others]
    if single:
        cines += _single_frame_cines(series_uid, single)
    return tuple(sorted(cines, key=lambda cine: _place(cine.header)))


def _single_frame_cines(series_uid: str, heads: Sequence[_Head]) -> list[Cine]:
    """One cine of all heads where they are a run, otherwise one each, noting why."""
    times, source = moments([head.ds for head in heads])
    why = _why_no_run(heads, times)
    if not why:
        order = sorted(range(len(heads)), key=lambda k: (times[k], _place(heads[k].ds)))
        timing = timing_of_moments([times[k] for k in order], source)
        return [_cine(series_uid, [heads[k] for k in order], timing)]
    note = f"one of {len(heads)} single-frame images that are no run: {', '.join(why)}"
    notes = (note,) if len(heads) > 1 else ()
    return [_cine(series_uid, [head], _own_timing(head), notes) for head in heads]


def _own_timing(head: _Head) -> FrameTiming:
    """Timing that one instance states for itself."""
    return timing_of_instance(head.ds, head.instance.frames)


def _why_no_run(heads: Sequence[_Head], times: Sequence[int]) -> list[str]:
    """Every reason against joining single frames to a run; empty if they are one."""
    why = []
    if len({tuple(str(head.ds.get(word)) for word in _PIXEL_FORMAT) for head in heads}) > 1:
        why.append("their geometry or pixel format differs")
    if len({syntax_family(head.instance.transfer_syntax) for head in heads}) > 1:
        why.append("their transfer syntaxes differ in kind")
    if not times:
        why.append("their times do not increase")
    return why


def syntax_family(transfer_syntax: str) -> str:
    """Kind of a transfer syntax: all uncompressed ones are one kind, as are all forms of JPEG, and so on."""
    uid = UID(transfer_syntax, IGNORE)
    if not uid.is_valid or not uid.is_transfer_syntax or not uid.is_compressed or uid.is_deflated:
        return "uncompressed"
    return uid.name.split(" ")[0]


def _cine(series_uid: str, heads: Sequence[_Head], timing: FrameTiming, notes: Sequence[str] = ()) -> Cine:
    """Put a cine together; notes that several headers share are said once."""
    first = heads[0]
    said_once = dict.fromkeys([*(note for head in heads for note in head.notes), *timing.notes, *notes])
    return Cine(
        series_uid=series_uid,
        instances=tuple(head.instance for head in heads),
        frames=sum(head.instance.frames for head in heads),
        rows=_integer(first.ds.get("Rows")),
        columns=_integer(first.ds.get("Columns")),
        header=first.ds,
        timing=timing,
        notes=tuple(said_once),
    )


def _place(ds: Dataset) -> tuple[int, str]:
    """Sort key: Instance Number (0020,0013), then SOP Instance UID."""
    return _integer(ds.get("InstanceNumber")), str(ds.SOPInstanceUID)
