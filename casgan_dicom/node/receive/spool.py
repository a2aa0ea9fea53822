"""Received files on the disk, from the first byte to their place.

    spool/incoming/<random>.part                        being received, or received and not judged yet
    spool/<series uid>/<sop uid>-<digest, 16>.dcm       acknowledged; a row of the ledger speaks of it
    quarantine/<digest, 32>.dcm                         kept although nothing can be made of it

A file goes to its place whole or not at all: written under a temporary name, flushed to the disk (fsync),
renamed, and the rename flushed (fsync of the folder). Whoever enters it into the ledger after that loses it
to nothing but the disk. What lies in ``incoming`` after a crash, or in its place without a row, was never
acknowledged: `Spool.sweep` deletes it.

Every file is locked (flock) from its first byte until its row is committed. The lock ends with the process,
so a listener that starts takes nothing away from another one that still runs.

Of what a peer says only UIDs get into a path, and only those that are UIDs.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import struct
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from casgan_dicom.disk import sync_folder
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.uids import IMPLEMENTATION_CLASS_UID, is_uid

CHECK_EVERY_BYTES = 16 * 1024 * 1024
"""How much of an instance is written between two looks at the free space."""
WRITE_BACK_BYTES = 2 * 1024 * 1024
"""How much of an instance is collected before it goes to the disk."""

DISK_FULL = "disk is full"
LOW_SPACE = "not enough free space"
CANNOT_WRITE = "cannot be written to disk"
TOO_LONG = "data set is too long"
"""Why an instance cannot be taken, for people; no patient data."""

_MOST_FOLDERS_KNOWN = 10_000
_PIECE_BYTES = 1024 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_META_HEAD = bytes(128) + b"DICM"


@dataclass(frozen=True)
class Opening:
    """What a request says about the data set that follows it."""

    sop_class_uid: str
    """Affected SOP Class UID (0000,0002)."""
    sop_uid: str
    """Affected SOP Instance UID (0000,1000), as it came: it need not be a UID."""
    transfer_syntax: str
    """Of the presentation context."""
    peer: str
    """Calling AE title."""
    called: str = ""
    """The AE title that was called; empty if unknown."""
    study_uid: str = ""
    """The study that it has to be of, Study Instance UID (0020,000D); empty for any."""
    most_bytes: int = 0
    """Longest data set that its sender may store; 0 for as long as anybody's."""


@dataclass(frozen=True)
class Swept:
    """What was found at the start of a listener."""

    parts: int
    """Temporary files deleted."""
    orphans: int
    """Files without a row deleted."""
    missing: int
    """Files that are needed and gone, although they were acknowledged."""


class Intake:
    """One instance on its way to the disk; for one thread at a time.

    Nothing raises while bytes come in: what goes wrong is told in `trouble`, the file is deleted at once, and
    what else comes is swallowed.
    """

    def __init__(self, spool: Spool, opening: Opening) -> None:
        self.opening = opening
        self.trouble = ""
        """Why the instance cannot be taken; empty while it can."""
        self.bytes = 0
        """Length of the file so far."""
        self.started = time.monotonic()
        """When the first byte was awaited."""
        self._spool = spool
        self._path: Path | None = None
        self._handle = -1
        self._hash = hashlib.sha256(opening.transfer_syntax.encode() + b"\n")
        self._check_at = self._written_back = 0
        head = file_head(opening)
        self.offset = len(head)
        """Where the data set begins in the file."""
        self._open(head)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the transfer syntax, a line feed and the data set, as they came."""
        return self._hash.hexdigest()

    @property
    def path(self) -> Path:
        """Where the file is now; there is none when it was released or discarded."""
        assert self._path is not None
        return self._path

    @property
    def too_long(self) -> bool:
        """Whether waiting for the end makes no sense: it may never come."""
        return self.trouble == TOO_LONG

    def write(self, data: memoryview) -> None:
        """Take more of the data set."""
        if self.trouble:
            return
        if self.bytes - self.offset + len(data) > (self.opening.most_bytes or self._spool.max_instance_bytes):
            self._give_up(TOO_LONG)
            return
        self._hash.update(data)
        self._write(data)

    def fill(self, file: BinaryIO) -> None:
        """Take the rest of a file, unless something goes wrong first. Raises OSError of that file."""
        while not self.trouble and (piece := file.read(_PIECE_BYTES)):
            self.write(memoryview(piece))

    def beginning(self, count: int) -> bytes:
        """The first bytes of the data set. Raises OSError."""
        return os.pread(self._handle, count, self.offset)

    def write_back(self) -> None:
        """Begin to flush the file without waiting for that: then `sync` waits for less. Raises OSError.

        What is dirty stays in memory when Linux is told that it is not needed there, but goes to the disk.
        """
        count = self.bytes - self._written_back
        os.posix_fadvise(self._handle, self._written_back, count, os.POSIX_FADV_DONTNEED)
        self._written_back = self.bytes

    def sync(self) -> None:
        """Flush the file to the disk. Raises OSError."""
        os.fsync(self._handle)

    def move(self, path: Path) -> None:
        """Rename the file; it stays locked. Raises OSError."""
        self.path.rename(path)
        self._path = path

    def release(self) -> None:
        """Let go of the file, which stays where it is."""
        if self._handle >= 0:
            os.close(self._handle)
        self._handle, self._path = -1, None

    def discard(self) -> None:
        """Delete the file, wherever it is; nothing happens if it was released or deleted before."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()
        self.release()

    def _open(self, head: bytes) -> None:
        try:
            path = self._spool.layout.incoming / f"{secrets.token_hex(12)}.part"
            self._handle = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
            self._path = path
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._give_up(trouble_of(error))
        else:
            self._write(memoryview(head))

    def _write(self, data: memoryview) -> None:
        try:
            if self.bytes >= self._check_at:
                self._check_at = self.bytes + CHECK_EVERY_BYTES
                if self._spool.free_bytes() < self._spool.min_free_bytes:
                    self._give_up(LOW_SPACE)
                    return
            while data:
                written = os.write(self._handle, data)
                self.bytes += written
                data = data[written:]
            if self.bytes - self._written_back >= WRITE_BACK_BYTES:
                self.write_back()
        except OSError as error:
            self._give_up(trouble_of(error))

    def _give_up(self, trouble: str) -> None:
        self.trouble = trouble
        self.discard()


class Spool:
    """The folders of received files.

    Parameters
    ----------
    layout
        Where they are; `make` makes them.
    max_instance_bytes
        A longer data set is not taken.
    min_free_bytes
        With less free space on the disk nothing is taken.
    """

    def __init__(self, layout: Layout, max_instance_bytes: int, min_free_bytes: int) -> None:
        self.layout = layout
        self.max_instance_bytes = max_instance_bytes
        self.min_free_bytes = min_free_bytes
        self._making = threading.Lock()
        self._made: set[str] = set()

    def make(self) -> None:
        """Make the folders, readable by us alone. Raises OSError."""
        for folder in (self.layout.data, self.layout.spool, self.layout.incoming, self.layout.quarantine):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                sync_folder(folder.parent)

    def begin(self, opening: Opening) -> Intake:
        """Open a file for an instance; never raises, see `Intake.trouble`."""
        return Intake(self, opening)

    def free_bytes(self) -> int:
        """Free space for us on the disk. Raises OSError."""
        status = os.statvfs(self.layout.spool)
        return status.f_bavail * status.f_frsize

    def place(self, series_uid: str, sop_uid: str, digest: str) -> Path:
        """Where an instance belongs. Raises ValueError if one of the UIDs is none."""
        if not (is_uid(series_uid) and is_uid(sop_uid)):
            raise ValueError("no path can be made of what is no UID")
        return self.layout.spool / series_uid / f"{sop_uid}-{digest[:16]}.dcm"

    def keep(self, intake: Intake, series_uid: str, sop_uid: str) -> Path:
        """Put an instance into its place, safe from a crash and a power cut. Raises OSError."""
        path = self.place(series_uid, sop_uid, intake.digest)
        intake.sync()
        try:
            self._make_series(path.parent)
            intake.move(path)
        except FileNotFoundError:  # somebody has deleted the folder since we made it
            self._made.discard(path.parent.name)
            self._make_series(path.parent)
            intake.move(path)
        sync_folder(path.parent)
        return path

    def holds(self, path: Path, intake: Intake) -> bool:
        """Whether a file holds the data set of an intake, in every byte; False where it cannot be read."""
        try:
            with path.open("rb") as kept, intake.path.open("rb") as came:
                kept.seek(_head_bytes(kept))
                came.seek(intake.offset)
                while part := came.read(_PIECE_BYTES):
                    if kept.read(len(part)) != part:
                        return False
                return not kept.read(1)
        except OSError:
            return False

    def put_aside(self, intake: Intake) -> Path:
        """Put an instance into quarantine; the same bytes always go to the same place. Raises OSError."""
        path = self.layout.quarantine / f"{intake.digest[:32]}.dcm"
        intake.sync()
        intake.move(path)
        sync_folder(path.parent)
        return path

    def sweep(self, known: Iterable[Path], needed: Iterable[Path]) -> Swept:
        """Delete what was never acknowledged, and count what was and is gone.

        Parameters
        ----------
        known
            The path of every instance in the ledger. Only the names of file and folder are compared: the data
            folder may have been moved, or be reached by another path.
        needed
            Those of them that an unfinished job wants: others may have been deleted by hand.
        """
        wanted = {(path.parent.name, path.name) for path in needed}
        named = {(path.parent.name, path.name) for path in known}
        parts = sum(_delete_unlocked(path) for path in self.layout.incoming.iterdir())
        found, orphans = set(), 0
        for folder in self.layout.spool.iterdir():
            if folder == self.layout.incoming or not folder.is_dir():
                continue
            for path in folder.iterdir():
                name = (folder.name, path.name)
                if name in named:
                    found.add(name)
                else:
                    orphans += _delete_unlocked(path)
            with suppress(OSError):  # not empty
                folder.rmdir()
        return Swept(parts, orphans, len(wanted - found))

    def _make_series(self, folder: Path) -> None:
        """See that the folder of a series is there and survives a power cut. Raises OSError.

        Under a lock, so that nobody relies on a folder that another thread has made but not flushed yet; and
        flushed once by each process, because another one may not have come to that.
        """
        with self._making:
            if folder.name in self._made:
                return
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self.layout.spool)
            if len(self._made) >= _MOST_FOLDERS_KNOWN:
                self._made.clear()
            self._made.add(folder.name)


def trouble_of(error: OSError) -> str:
    """What an error of the system means for an instance."""
    return DISK_FULL if error.errno in _FULL else CANNOT_WRITE


def file_head(opening: Opening) -> bytes:
    """What stands before a data set in a file: preamble, prefix and File Meta Information, PS3.10 7.1.

    Written by hand, because a library complains about what a peer says, and quotes it. What is no UID is left
    empty.
    """
    sop_class_uid, sop_uid = (uid if is_uid(uid) else "" for uid in (opening.sop_class_uid, opening.sop_uid))
    elements = _element(0x0001, b"OB", b"\0\1")
    elements += _element(0x0002, b"UI", sop_class_uid.encode())
    elements += _element(0x0003, b"UI", sop_uid.encode())
    elements += _element(0x0010, b"UI", opening.transfer_syntax.encode())
    elements += _element(0x0012, b"UI", str(IMPLEMENTATION_CLASS_UID).encode())
    elements += _element(0x0016, b"AE", opening.peer.encode("ascii", "replace"))
    return _META_HEAD + _element(0x0000, b"UL", struct.pack("<I", len(elements))) + elements


def _head_bytes(file: BinaryIO) -> int:
    """Length of what `file_head` wrote: (0002,0000) is the length of what stands behind it."""
    return len(_META_HEAD) + 12 + int.from_bytes(file.read(len(_META_HEAD) + 12)[-4:], "little")


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    """One element of group 0002, Explicit VR Little Endian, PS3.5 7.1.2."""
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    long = vr == b"OB"
    length = struct.pack("<HI", 0, len(value)) if long else struct.pack("<H", len(value))
    return struct.pack("<HH", 0x0002, number) + vr + length + value


def _delete_unlocked(path: Path) -> bool:
    """Delete a file, unless a process that runs holds it; whether it was."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except OSError:
        return False
    return True
