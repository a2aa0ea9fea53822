"""Derived objects into the output folder: all of a conversion or none, never over something else.

Each file is written under a temporary name beside its place, flushed to the disk, checked by the rules of
``verification/verify.py`` and only then renamed. What stands there already is kept if it is the same object:
time stamps of creation aside, the same source, weights and options always give the same one.
"""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from casgan_dicom.disk import file_sha256, new_part, output_errors, sync_file, sync_folder
from casgan_dicom.errors import OutputError, SeriesError
from casgan_dicom.pixels.decoder_process import decoder_process
from casgan_dicom.source.encoding import refuse_deflated
from casgan_dicom.verification.verify import verify_file

STAMPS = ("ContentDate", "ContentTime", "InstanceCreationDate", "InstanceCreationTime")
"""What differs between two runs that made the same object."""


class OtherObjectError(OutputError):
    """Another object stands where this one belongs; ``--force`` replaces it."""


@dataclass(frozen=True)
class Named:
    """An object on its way to its place."""

    kind: str
    """What the report calls it, see `Placed`."""
    make: Callable[[], Dataset]
    """Makes the object. Called once: it is let go as soon as it is written."""


@dataclass(frozen=True)
class Placed:
    """An object in its place."""

    kind: str
    """``angiogram``, ``frame``, ``attention``, ``vessels``, ``segmentation`` or ``quality-record``."""
    path: Path
    """Where it is."""
    status: Literal["written", "kept"]
    """``kept``: the same object was there already."""
    sop_class_uid: str
    """Its SOP Class UID (0008,0016)."""
    sop_instance_uid: str
    """Its SOP Instance UID (0008,0018)."""
    series_uid: str
    """Its Series Instance UID (0020,000E)."""
    frames: int
    """Number of frames."""
    sha256: str
    """Hex digest of the file."""


def refuse_input_folder(out_dir: Path, paths: Sequence[Path], files: Sequence[Path]) -> None:
    """Make sure that nothing of the input can be touched.

    `paths` is what the user passed, `files` the instances found in it. Raises OutputError if `out_dir` is a
    file, is one of the input folders or holds an input file itself; a sub-folder of the input is fine.
    """
    hint = "pass another folder with --out"
    out = out_dir.resolve()
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out_dir}: not a folder, need one for the output", hint=hint)
    taken = {path.resolve() for path in paths} | {file.resolve().parent for file in files}
    if out in taken:
        raise OutputError(f"{out_dir}: holds the input, which is never written to", hint=hint)


@contextmanager
def spool_in(out_dir: Path) -> Iterator[BinaryIO]:
    """A temporary file on the disk of the output, without a name: gone when closed, whatever happens.

    Makes the folder. Raises OutputError if it cannot be written to.
    """
    with output_errors(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=out_dir)  # noqa: SIM115  # closed by the next line
    with output_errors(out_dir), file:  # closing flushes, which a full disk does not let it
        yield file


def deliver(objects: Iterable[Named], out_dir: Path, *, force: bool) -> tuple[Placed, ...]:
    """Put objects at ``OUT/<series uid>/<sop uid>.dcm``: all of them or none.

    Each of `objects` is written before the next is asked for.

    Raises
    ------
    OtherObjectError
        Another object stands where one belongs, or another object of the same source in the same series, as
        another processor or engine would make it; `force` replaces it.
    SeriesError
        An object breaks one of our own rules.
    OutputError
        The folder cannot be written.
    """
    staged: list[_Staged] = []
    with output_errors(out_dir):
        try:
            with decoder_process():  # one for all of them
                staged.extend(_stage(one, out_dir) for one in objects)
            others = _in_the_way(staged)
            if others and not force:
                raise OtherObjectError(
                    f"{others[0]}: another object of the same source is there",
                    hint="--force replaces it; --out names another folder",
                )
            placed = _settle(staged)
            _remove(set(others) - {one.path for one in staged}, out_dir)
            for folder in {one.path.parent for one in staged}:
                sync_folder(folder)
            return placed
        finally:
            for one in staged:
                one.part.unlink(missing_ok=True)
            _remove_empty({one.path.parent for one in staged})


@dataclass(frozen=True)
class _Reference:
    """One instance that an object refers to."""

    series_uid: str
    """Its Series Instance UID (0020,000E)."""
    sop_uid: str
    """Its SOP Instance UID (0008,0018)."""


@dataclass(frozen=True)
class _Staged:
    """An object under its temporary name, beside its place."""

    placed: Placed
    """What will be said of it."""
    part: Path
    """The temporary file."""
    references: frozenset[_Reference]
    """What it refers to."""
    number: int
    """Instance Number (0020,0013)."""

    @property
    def path(self) -> Path:
        """Its place."""
        return self.placed.path

    @property
    def same_is_there(self) -> bool:
        """Whether the same object is in its place already."""
        return self.placed.status == "kept"


def _settle(staged: Sequence[_Staged]) -> tuple[Placed, ...]:
    """Move all to their places, unless the same are there. Where one cannot be moved, none of them stays."""
    moved: list[Path] = []
    try:
        for one in staged:
            if not one.same_is_there:
                one.part.replace(one.path)
                moved.append(one.path)
    except OSError:
        for path in moved:
            path.unlink(missing_ok=True)
        raise
    return tuple(one.placed for one in staged)


def _remove(others: set[Path], out_dir: Path) -> None:
    """Remove what was replaced, and what was made of it: a mask or report of frames that are gone."""
    gone = {path.stem for path in others}
    for path in others:
        path.unlink()
    for folder in out_dir.iterdir() if gone else ():
        for path, ds in _readable_in(folder):
            ours = ds.get("SyntheticData") == "YES"
            if ours and gone & {one.sop_uid for one in _references(ds)}:
                path.unlink()
        if folder.is_dir():
            _remove_empty({folder})


def _stage(named: Named, out_dir: Path) -> _Staged:
    """Write an object under its temporary name, flush it to the disk, and check it by our own rules.

    It is not held in memory while it is checked: with the copy that is read back it would be there twice.
    """
    staged = _written(named, out_dir)
    path, part = staged.path, staged.part
    with _nothing_left(part):
        if findings := verify_file(part):
            raise SeriesError("the derived object breaks our own rules: " + "; ".join(map(str, findings)))
        kept = path.exists() and same_object(path, part)
        sha256 = file_sha256(path if kept else part)
        placed = replace(staged.placed, status="kept" if kept else "written", sha256=sha256)
        return replace(staged, placed=placed)


def _written(named: Named, out_dir: Path) -> _Staged:
    """Make an object and write it under its temporary name, to the disk; it has no digest yet."""
    ds = named.make()
    path = out_dir / str(ds.SeriesInstanceUID) / f"{ds.SOPInstanceUID}.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    part, file = new_part(path)
    with _nothing_left(part):
        with file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom quotes malformed values, perhaps a patient's
            dcmwrite(file, ds, enforce_file_format=True)
            sync_file(file)
        placed = Placed(
            kind=named.kind,
            path=path,
            status="written",
            sop_class_uid=str(ds.SOPClassUID),
            sop_instance_uid=str(ds.SOPInstanceUID),
            series_uid=str(ds.SeriesInstanceUID),
            frames=int(ds.get("NumberOfFrames") or 1),
            sha256="",
        )
        return _Staged(placed, part, _references(ds), _number(ds))


@contextmanager
def _nothing_left(part: Path) -> Iterator[None]:
    """Where the body raises, remove a temporary file, and its folder if that holds nothing else."""
    try:
        yield
    except BaseException:
        part.unlink(missing_ok=True)
        _remove_empty({part.parent})
        raise


def _in_the_way(staged: Sequence[_Staged]) -> list[Path]:
    """Objects that stand in a place, or were made of the same source as another in the same series."""
    found = [one.path for one in staged if one.path.exists() and not one.same_is_there]
    places = {one.path for one in staged}
    ours = {one.placed.series_uid for one in staged}
    new = [one for one in staged if not one.same_is_there]
    for folder in {one.path.parent for one in new}:
        made = [(_sources(one.references, ours), one.number) for one in new if one.path.parent == folder]
        for path, ds in _readable_in(folder):
            sources = _sources(_references(ds), ours)
            if sources and (sources, _number(ds)) in made and path not in places:
                found.append(path)
    return found


def _readable_in(folder: Path) -> Iterator[tuple[Path, Dataset]]:
    """The header of every object in a folder; what cannot be read was not made here."""
    for path in sorted(folder.glob("*.dcm")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom quotes malformed values
            try:
                ds = _header(path)
            except Exception:  # a parser fed with garbage raises anything
                continue
        yield path, ds


def _header(path: Path) -> Dataset:
    """The header of what may have been written here, which is never deflated."""
    refuse_deflated(path)
    return dcmread(path, stop_before_pixels=True)


def _references(ds: Dataset) -> frozenset[_Reference]:
    """What an object refers to: its Referenced Series Sequence (0008,1115), or the evidence of a report."""
    series = list(ds.get("ReferencedSeriesSequence") or [])
    for study in ds.get("CurrentRequestedProcedureEvidenceSequence") or []:
        series += study.get("ReferencedSeriesSequence") or []
    return frozenset(
        _Reference(str(one.SeriesInstanceUID), str(item.ReferencedSOPInstanceUID))
        for one in series
        for item in one.get("ReferencedInstanceSequence") or one.get("ReferencedSOPSequence") or []
    )


def _sources(references: frozenset[_Reference], ours: set[str]) -> frozenset[str]:
    """The instances among `references` that are in none of our own series."""
    return frozenset(one.sop_uid for one in references if one.series_uid not in ours)


def _number(ds: Dataset) -> int:
    return int(ds.get("InstanceNumber") or 0)


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def same_object(one: Path, other: Path) -> bool:
    """Whether two files hold the same object, creation stamps aside. An unreadable file is never the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes malformed values, which may be those of a patient
        try:
            first, second = (_without_stamps(_header(path)) for path in (one, other))
        except Exception:  # a parser fed with garbage raises anything, and garbage is another object
            return False
        return first == second and _pixel_digest(one) == _pixel_digest(other)


def _without_stamps(ds: Dataset) -> Dataset:
    """`ds` without what tells only when it was made."""
    for keyword in STAMPS:
        ds.pop(keyword, None)
    for item in ds.get("ContributingEquipmentSequence") or []:
        item.pop("ContributionDateTime", None)
    return ds


def _pixel_digest(path: Path) -> str:
    """Digest of Pixel Data (7FE0,0010), read from the file without holding it in memory.

    It is the last element of the objects written here: everything behind the header.
    """
    with path.open("rb") as file:
        dcmread(file, stop_before_pixels=True)
        return hashlib.file_digest(file, "sha256").hexdigest()
