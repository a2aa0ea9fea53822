"""The files of an audit trail: lines are appended to the latest under a lock, each chained to the last.

    audit.log       the latest lines; audit.log.1 those before, and so on up to the number of files kept

Several processes write, and any of them may be killed in the middle of a line: whoever comes next ends that
piece, and its own line says so (``audit_chain.py``). A line that is read under the lock is on the disk.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from casgan_dicom.disk import sync_folder
from casgan_dicom.log import get_logger
from casgan_dicom.node.state.audit_chain import CUT, START, Chained, Link, read_line

_TAIL_BYTES = 16384
"""What is read at the end of a file at first: some lines."""

log = get_logger("audit")


@dataclass(frozen=True)
class Tail:
    """How the files end."""

    link: Link
    """The last line of the chain."""
    torn: bytes | None
    """What lies behind it: pieces of lines, each ended with `CUT`; None for nothing."""


Making = Callable[[Tail], bytes]
"""Makes a line, without its line feed, that goes on from how the files end."""


class AuditFile:
    """The files of a trail.

    Parameters
    ----------
    path
        The latest of them.
    max_bytes
        Length at which a new one is begun.
    files
        Older ones that are kept.
    sent
        The last line that was sent elsewhere: no file with a later one is dropped until there are twice as
        many as `files`. None where nothing is sent.
    """

    def __init__(
        self, path: Path, max_bytes: int, files: int, sent: Callable[[], Link] | None = None
    ) -> None:
        self._path, self._max_bytes, self._files, self._sent = path, max_bytes, files, sent

    def append(self, make: Making, key: bytes | None) -> None:
        """Append a line, flushed; `key` is that of the chain. Raises OSError, and then no line was added."""
        while True:
            with _locked(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, fcntl.LOCK_EX) as handle:
                if not _is_at(handle, self._path):  # another process has put it aside
                    continue
                _end_piece(handle, key)
                tail = _tail_of(handle, older(self._path))
                line, size = make(tail) + b"\n", os.fstat(handle).st_size
                if size and size + len(line) > self._max_bytes:
                    self._put_aside()
                    continue
                _write_whole(handle, line, size)
                if not size:
                    sync_folder(self._path.parent)
                return

    def _put_aside(self) -> None:
        """Give every file the next number; the last go. Whoever calls this holds the lock of the first."""
        known = older(self._path)
        for path in reversed([self._path, *known]):
            path.rename(numbered(self._path, number_of(path) + 1))
        for path in older(self._path)[self._files :]:  # also if fewer are kept than before
            if self._may_go(path):
                path.unlink()
        sync_folder(self._path.parent)

    def _may_go(self, path: Path) -> bool:
        if self._sent is None:
            return True
        with path.open("rb") as file:
            last = last_link(file.fileno())
        if last is None or last.seq <= self._sent().seq:
            return True
        if number_of(path) <= 2 * self._files:
            return False
        log.error("audit messages are dropped before they were sent", file=path.name, up_to=last.seq)
        return True


@contextmanager
def held_files(path: Path) -> Iterator[list[tuple[Path, int]]]:
    """Every file of a trail, the oldest first, open for reading, at a moment when nobody writes.

    The moment ends with the block; what is read in it is on the disk. Raises OSError.
    """
    with ExitStack() as held:
        latest = _hold(path, held)
        found = [(each, held.enter_context(_opened(each, os.O_RDONLY))) for each in reversed(older(path))]
        yield found if latest is None else [*found, (path, latest)]


def _hold(path: Path, held: ExitStack) -> int | None:
    """Keep writers out for as long as `held` lasts; None where there is no latest file to do so by."""
    while True:
        with ExitStack() as trying:
            try:
                handle = trying.enter_context(_locked(path, os.O_RDONLY, fcntl.LOCK_SH))
            except FileNotFoundError:
                return None
            if _is_at(handle, path):
                held.push(trying.pop_all())
                return handle


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file of a trail at one moment, the oldest first. Raises OSError."""
    with ExitStack() as taken:
        parts: list[tuple[str, BinaryIO, int]] = []
        with held_files(path) as files:
            for each, handle in files:
                file = taken.enter_context(os.fdopen(os.dup(handle), "rb"))
                parts.append((each.name, file, os.fstat(handle).st_size))
            for _, part, _ in parts:
                fcntl.flock(part, fcntl.LOCK_UN)  # one that was duplicated outlives its block
        for name, part, size in parts:
            yield name, os.pread(part.fileno(), size, 0)


def numbered(path: Path, number: int) -> Path:
    """Where an older part of the trail lies; 1 is the latest of them."""
    return path.with_name(f"{path.name}.{number}")


def number_of(path: Path) -> int:
    """Number of a part of the trail; 0 for the latest."""
    number = path.suffix.removeprefix(".")
    return int(number) if number.isdecimal() else 0


def older(path: Path) -> list[Path]:
    """The older parts that are there, the latest first."""
    found = [each for each in path.parent.glob(f"{path.name}.*") if number_of(each)]
    return sorted(found, key=number_of)


def last_link(handle: int) -> Link | None:
    """The last line of the chain in an open file; None if there is none. Little is read. Raises OSError."""
    found = _look_back(handle, [])
    return None if found is None else found.link


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def _locked(path: Path, flags: int, kind: int) -> Iterator[int]:
    with _opened(path, flags) as handle:
        fcntl.flock(handle, kind)
        yield handle


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _write_whole(handle: int, content: bytes, size: int) -> None:
    """Append to a file of this size, and flush it; nothing of it stays where not all of it fits."""
    written = os.write(handle, content)
    if written != len(content):
        os.ftruncate(handle, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(handle)


def _end_piece(handle: int, key: bytes | None) -> None:
    """End what a writer that was killed has left: a piece of a line, or a line that only lacks its feed."""
    size = os.fstat(handle).st_size
    if not size or os.pread(handle, 1, size - 1) == b"\n":
        return
    last = next(_lines_from_end(handle))
    whole = read_line(last)
    if whole is not None and whole.holds(key):
        _write_whole(handle, b"\n", size)
        return
    log.warning("audit line was cut off when its writer was killed", bytes=len(last))
    _write_whole(handle, CUT + b"\n", size)


def _tail_of(latest: int, before: Sequence[Path]) -> Tail:
    """How the files end; older ones are looked at where the latest holds no line of a chain."""
    pieces: list[bytes] = []
    found = _look_back(latest, pieces)
    for path in before:
        if found is not None:
            break
        with suppress(FileNotFoundError), path.open("rb") as file:
            found = _look_back(file.fileno(), pieces)
    if found is None:
        return Tail(START, None)
    return Tail(found.link, b"\n".join(reversed(pieces)) if pieces else None)


def _look_back(handle: int, pieces: list[bytes]) -> Chained | None:
    """The last line of the chain in a file; the pieces behind it that were cut off are added, last first."""
    are_last = True
    for line in _lines_from_end(handle):
        if (chained := read_line(line)) is not None:
            return chained
        are_last = are_last and line.endswith(CUT)
        if are_last:
            pieces.append(line)
    return None


def _lines_from_end(handle: int) -> Iterator[bytes]:
    """The lines of a file, the last first, without their line feeds; a piece at its end is one, too."""
    size = os.fstat(handle).st_size
    held, begin, length = b"", size, _TAIL_BYTES
    is_end = True
    while begin:
        length = min(length, begin)
        begin -= length
        held = os.pread(handle, length, begin) + held
        length *= 2
        if is_end:
            held = held.removesuffix(b"\n")
            is_end = False
        first, *rest = held.split(b"\n")
        yield from reversed(rest)
        held = first
    if size:
        yield held
