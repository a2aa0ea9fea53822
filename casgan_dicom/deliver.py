"""Derived objects into the output folder: whole or not at all, never over something else.

A file is written under a temporary name beside its place, flushed to the disk, checked by the rules of
``verify.py`` and only then renamed. What stands there already is kept if it is the same object: time stamps
of creation aside, the same source, weights and options always give the same one.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from casgan_dicom.derive import SyntheticCine
from casgan_dicom.disk import sync_folder
from casgan_dicom.errors import OutputError, SeriesError
from casgan_dicom.verify import verify_file

STAMPS = ("ContentDate", "ContentTime", "InstanceCreationDate", "InstanceCreationTime")
"""What differs between two runs that made the same object."""


class OtherObjectError(OutputError):
    """Another object stands where this one belongs; ``--force`` replaces it."""


@dataclass(frozen=True)
class Delivery:
    """An object in its place."""

    path: Path
    """Where it is."""
    sha256: str
    """Hex digest of the file."""
    status: Literal["written", "kept"]
    """``kept``: the same object was there already."""


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
    with _os_errors(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=out_dir)  # noqa: SIM115  # closed by the next line
    with _os_errors(out_dir), file:  # closing flushes, which a full disk does not let it
        yield file


def deliver(ds: SyntheticCine, out_dir: Path, *, force: bool) -> Delivery:
    """Put `ds` at ``OUT/<series uid>/<sop uid>.dcm``.

    Raises
    ------
    OtherObjectError
        Another object stands there, or another object of the same source in the same series, as another
        processor or engine would make it; `force` replaces it.
    SeriesError
        The object breaks one of our own rules.
    OutputError
        The folder cannot be written.
    """
    folder = out_dir / str(ds.SeriesInstanceUID)
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    part = _part_of(path)
    with _os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _write(ds, part)
            if path.exists() and same_object(path, part):
                return Delivery(path, _digest(path), "kept")
            others = [path] if path.exists() else list(_others_of_source(ds, folder))
            if others and not force:
                raise OtherObjectError(
                    f"{others[0]}: another object of the same source is there",
                    hint="--force replaces it; --out names another folder",
                )
            digest = _digest(part)
            part.replace(path)
            for other in others:
                if other != path:
                    other.unlink()
            sync_folder(folder)
        finally:
            part.unlink(missing_ok=True)
            if not any(folder.iterdir()):
                folder.rmdir()
    return Delivery(path, digest, "written")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file under a temporary name and rename it; makes the folder. Raises OutputError."""
    part = _part_of(path)
    with _os_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(content)
                _sync(file)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def is_part(path: Path) -> bool:
    """Whether a file has the temporary name of an output."""
    return re.fullmatch(r"\..+\.\d+\.part", path.name) is not None


def _part_of(path: Path) -> Path:
    """Temporary name beside the place of an output."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def same_object(one: Path, other: Path) -> bool:
    """Whether two files hold the same object, creation stamps aside. An unreadable file is never the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes malformed values, which may be those of a patient
        try:
            first, second = (_without_stamps(dcmread(path, stop_before_pixels=True)) for path in (one, other))
        except Exception:  # a parser fed with garbage raises anything, and garbage is another object
            return False
        return first == second and _pixel_digest(one) == _pixel_digest(other)


def _write(ds: SyntheticCine, part: Path) -> None:
    """Write, flush to the disk, and check by our own rules."""
    with part.open("wb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes malformed values, which may be those of a patient
        dcmwrite(file, ds, enforce_file_format=True)
        _sync(file)
    if findings := verify_file(part):
        raise SeriesError("the derived object breaks our own rules: " + "; ".join(map(str, findings)))


def _others_of_source(ds: SyntheticCine, folder: Path) -> Iterator[Path]:
    """Objects in `folder` that were made of the same source instances."""
    wanted = _sources(ds)
    for path in sorted(folder.glob("*.dcm")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom quotes malformed values
            try:
                sources = _sources(dcmread(path, stop_before_pixels=True))
            except (
                Exception
            ):  # a parser fed with garbage raises anything; what cannot be read was not made here
                continue
        if sources == wanted:
            yield path


def _sources(ds: Dataset) -> set[str]:
    return {str(item.ReferencedSOPInstanceUID) for item in ds.get("SourceImageSequence") or []}


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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _os_errors(path: Path) -> Iterator[None]:
    """What the system refuses, said in our words."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(
            f"{path}: cannot be written ({reason})", hint="pass another folder with --out"
        ) from error
