"""A folder as a destination: a file for each object, whole or not there, as it lies in the outbox.

The folder itself is never made: a share that is not mounted is a destination that is away, not an empty disk.
A file that is there already is left as it is; if it holds something else, that is said.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from casgan_dicom.disk import sync_folder, whole_file
from casgan_dicom.errors import PeerError, SeriesError
from casgan_dicom.node.client.outgoing import Outgoing, read_outgoing, reading
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.settings import FolderLayout, Readers
from casgan_dicom.uids import is_uid

_OF_FOLDERS = ("StudyInstanceUID", "SeriesInstanceUID")
_PIECE_BYTES = 1024 * 1024
_MODES: Mapping[Readers, tuple[int, int]] = {
    "owner": (0o600, 0o700),
    "group": (0o640, 0o750),
    "all": (0o644, 0o755),
}
"""Permissions of files and of folders, whatever those of the process are."""


@dataclass(frozen=True)
class Folder:
    """A destination of files."""

    root: Path
    """Where they go."""
    layout: FolderLayout
    """Whether each study and series has a folder of its own."""
    readable_by: Readers
    """Who may read them."""

    def store(self, files: Sequence[Path], on_result: Callable[[StoreResult], None]) -> None:
        """Store files; see `Destination`."""
        for instance in read_outgoing(files):
            uids = _folders(instance) if self.layout == "series" else ()
            with _writing(self.root):
                result = self._put(instance, uids)
            on_result(result)

    def _put(self, instance: Outgoing, uids: Sequence[str]) -> StoreResult:
        uid = str(instance.sop_instance_uid)
        path = self._make(uids) / f"{uid}.dcm"
        if not path.exists():
            self._write(instance.path, path)
        elif not _same(instance.path, path):
            reason = f"{path} is there and holds something else: move it away, or remove it"
            return StoreResult(instance.path, uid, None, "refused", reason)
        return StoreResult(instance.path, uid, 0, "stored", "")

    def _make(self, uids: Sequence[str]) -> Path:
        """The folder of a series, made if it is not there, in one that is."""
        folder = self.root
        if not folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        for uid in uids:
            folder /= uid
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                folder.chmod(_MODES[self.readable_by][1])
                sync_folder(folder.parent)
        return folder

    def _write(self, source: Path, path: Path) -> None:
        for left in path.parent.glob(f".{path.name}.*.part"):  # one that is written is ours: of a crash
            left.unlink(missing_ok=True)
        with whole_file(path) as file:
            os.fchmod(file.fileno(), _MODES[self.readable_by][0])
            for piece in _pieces(source):
                file.write(piece)


def _folders(instance: Outgoing) -> tuple[str, str]:
    """Study and Series Instance UID of an object; SeriesError where one is none."""
    path = instance.path
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom quotes malformed values
            ds = dcmread(path, stop_before_pixels=True, specific_tags=list(_OF_FOLDERS))
            study, series = (str(ds.get(keyword) or "") for keyword in _OF_FOLDERS)
    except Exception as error:  # a parser fed with garbage raises anything; its text may hold patient data
        raise SeriesError(f"{path}: damaged DICOM file ({type(error).__name__})") from None
    if not (is_uid(study) and is_uid(series)):
        raise SeriesError(
            f"{path}: Study Instance UID (0020,000D) or Series Instance UID (0020,000E) is absent or no UID",
            hint='set layout = "flat" to do without',
        )
    return study, series


def _pieces(path: Path) -> Iterator[bytes]:
    """What a file of ours holds; SeriesError where it cannot be read."""
    with reading(path), path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _same(source: Path, path: Path) -> bool:
    """Whether two files hold the same bytes."""
    with path.open("rb") as there:
        return all(there.read(len(piece)) == piece for piece in _pieces(source)) and not there.read(1)


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    """What the system refuses below the folder, in our words: PeerError instead of OSError."""
    try:
        yield
    except OSError as error:
        said, hint = in_words(error)
        raise PeerError(f"folder {root}: {said}", hint=hint) from error


def in_words(error: OSError) -> tuple[str, str]:
    """What the system says of a folder, in words, and what to do."""
    said = f"cannot be used ({error.strerror or type(error).__name__})"
    return _REFUSALS.get(error.errno or 0, (said, "check the disk"))


_PERMISSION = "the user of the node must be able to write there"
_REFUSALS: Mapping[int, tuple[str, str]] = {
    errno.ENOENT: ("is not there", "mount the share, or make the folder: the node never does"),
    errno.ENOSPC: ("is full", "make room there"),
    errno.EDQUOT: ("is full (quota)", "make room there"),
    errno.EACCES: ("may not be written to", _PERMISSION),
    errno.EPERM: ("may not be written to", _PERMISSION),
    errno.EROFS: ("is mounted read-only", "mount it so that it can be written to"),
}
"""What the system says, in words, and what to do."""
