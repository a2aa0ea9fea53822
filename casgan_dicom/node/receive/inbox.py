"""A folder that others put files into: each goes into the spool as if a modality had sent it, and is deleted.

A file is taken when it has rested: its size and time of change are the same as some seconds before, or it
is renamed into the folder whole. What is named as programs name what they still write (a leading dot, or an
end such as ``.part``) is never taken. What cannot be taken now stays and is tried again; what is no DICOM
file stays, and is told once. A file is deleted only when its instance is flushed and entered, or lies in
quarantine with the reason in the ledger.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import BinaryIO

from pynetdicom.dsutils import split_dataset

from casgan_dicom.log import get_logger
from casgan_dicom.node.receive.commands import Answer
from casgan_dicom.node.receive.reception import NO_ROOM, Reception
from casgan_dicom.node.receive.spool import Opening, Spool
from casgan_dicom.node.receive.taking import reception_of
from casgan_dicom.node.settings import InboxSettings, NodeSettings
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.uids import is_like_uid

LOOK_SECONDS = 2.0
"""Between two looks at the folders."""
HERE = "127.0.0.1"
"""Where files come from: this machine."""
_UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", "~")
"""Ends of names under which programs write what is not whole yet."""
_META = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")

log = get_logger("inbox")


@dataclass(frozen=True)
class _Seen:
    """What a file looked like."""

    inode: int
    bytes: int
    changed: int
    """Nanoseconds."""


class Inbox:
    """One watched folder.

    Parameters
    ----------
    settings
        Which, and how it is watched.
    spool
        Where the instances go.
    reception
        Takes them.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        settings: InboxSettings,
        spool: Spool,
        reception: Reception,
        clock: Callable[[], float] = time,
    ) -> None:
        self._settings = settings
        self._spool, self._reception = spool, reception
        self._clock = clock
        self._resting: dict[Path, tuple[_Seen, float]] = {}
        self._told: set[tuple[Path, _Seen]] = set()
        self._is_there = True

    def look(self) -> int:
        """Take what has rested; how many files were taken. A folder that is gone is told once."""
        try:
            found = dict(self._files())
        except OSError as error:
            if self._is_there:
                log.exception("watched folder cannot be read", error=error, folder=self._settings.path)
            self._is_there = False
            return 0
        self._is_there = True
        self._told = {(path, seen) for path, seen in self._told if found.get(path) == seen}
        now = self._clock()
        before, self._resting = self._resting, {}
        taken = 0
        for path, seen in found.items():
            last, since = before.get(path, (seen, now))
            since = since if last == seen else now
            if now - since >= self._settings.rest_seconds and (path, seen) not in self._told:
                taken += self._take(path, seen)
            self._resting[path] = seen, since
        return taken

    def _files(self) -> Iterator[tuple[Path, _Seen]]:
        """Regular files in the folder and below, but none through a link. Raises OSError of the folder."""
        os.scandir(self._settings.path).close()  # walk() would pass over what cannot be read
        for top, folders, names in os.walk(self._settings.path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if name.startswith(".") or name.lower().endswith(_UNFINISHED):
                    continue
                path = Path(top) / name
                if (seen := _seen(path)) is not None:
                    yield path, seen

    def _take(self, path: Path, seen: _Seen) -> bool:
        """Take one file; whether it is done with, and deleted."""
        try:
            with _opened(path, seen) as file:
                answer = self._answer(file)
        except OSError as error:
            log.exception("file cannot be read now", error=error, folder=self._settings.path)
            return False
        except Exception as error:  # what is no DICOM file makes a parser raise anything
            self._told.add((path, seen))
            log.exception("file is left, it cannot be read as DICOM", error=error, folder=self._settings.path)
            return False
        answer.afterwards()
        if answer.status == NO_ROOM:
            return False
        if _seen(path) != seen:  # another file has come in its place: that one is to be taken, too
            return True
        try:
            path.unlink()
        except OSError as error:  # the same instance once more is a duplicate, and changes nothing
            self._told.add((path, seen))
            log.exception("file was taken, but cannot be deleted", error=error, folder=self._settings.path)
        return True

    def _answer(self, file: BinaryIO) -> Answer:
        """What becomes of an open file. Raises ValueError, OSError, and what a parser raises."""
        # By its handle: under its name another file may lie by now.
        opening, offset = self._opening(Path(f"/proc/self/fd/{file.fileno()}"))
        intake = self._spool.begin(opening)
        file.seek(offset)
        intake.fill(file)
        return self._reception.take(intake, HERE)

    def _opening(self, path: Path) -> tuple[Opening, int]:
        """What the File Meta Information says, and where the data set begins. Raises ValueError, OSError."""
        meta, offset = split_dataset(path)
        sop_class_uid, sop_uid, syntax = (str(meta.get(keyword, "")) for keyword in _META)
        if not all(map(is_like_uid, (sop_class_uid, sop_uid, syntax))):
            raise ValueError("File Meta Information without its UIDs")
        return Opening(sop_class_uid, sop_uid, syntax, self._settings.ae_title), offset


def _opened(path: Path, seen: _Seen) -> BinaryIO:
    """The file that was seen under a name. Raises OSError, also if another one has come in its place."""
    # Not through a link, and without a wait for the other end of a pipe.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(handle, "rb")
    if _look_of(os.fstat(handle)) != seen:
        file.close()
        raise OSError(errno.ESTALE, "another file has come in its place")
    return file


def _seen(path: Path) -> _Seen | None:
    """What a regular file looks like; None if there is none, or something else."""
    try:
        return _look_of(path.lstat())
    except OSError:
        return None


def _look_of(found: os.stat_result) -> _Seen | None:
    return _Seen(found.st_ino, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def run_inboxes(
    settings: NodeSettings, recipe: str, on_ready: Callable[[], None], stop: threading.Event
) -> None:
    """Watch all folders until `stop` is set. Raises OSError if the spool cannot be made."""
    listener = settings.listener
    spool = Spool(Layout(settings.data), listener.max_instance_bytes, listener.min_free_bytes)
    spool.make()
    ledger = open_ledger(settings)
    try:
        reception, _ = reception_of(settings, spool, ledger, recipe)
        inboxes = [Inbox(each, spool, reception) for each in settings.inboxes]
        on_ready()
        while not stop.is_set():
            for inbox in inboxes:
                inbox.look()
            stop.wait(LOOK_SECONDS)
    finally:
        ledger.close()
