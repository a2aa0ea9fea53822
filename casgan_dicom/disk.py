"""Files that are whole or not there, and what makes them survive a power cut.

Whoever finds a file that was written here can read it: it was written and flushed under a temporary name,
then renamed, then its folder was flushed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from casgan_dicom.errors import OutputError

_TOKEN_BYTES = 8
_PART = re.compile(rf"\..+\.[0-9a-f]{{{2 * _TOKEN_BYTES}}}\.part", re.DOTALL)
_CANNOT_FLUSH = (errno.EINVAL, errno.ENOTSUP)
"""What fsync(2) answers where the kind of file cannot be flushed, as opposed to a flush that failed."""


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path`, flushed, when the block ends well, and goes when not.

    Raises OSError.
    """
    part, file = new_part(path)
    try:
        with file:
            yield file
            sync_file(file)
        part.replace(path)
    finally:
        with suppress(OSError):  # the folder itself may be what cannot be written
            part.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file, whole or not at all. Raises OSError."""
    with whole_file(path) as file:
        file.write(content)


def write_json(path: Path, table: Mapping[str, Any]) -> None:
    """Write `table` as JSON, whole or not at all. Raises OSError."""
    write_whole(path, (json.dumps(table, indent=2) + "\n").encode())


def write_output(path: Path, content: bytes) -> None:
    """Write a small file of the output, whole or not at all; makes the folder. Raises OutputError."""
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)


def make_folder(folder: Path) -> None:
    """Make a folder for results before the work begins; raises OutputError where nothing can be written."""
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """What the system refuses about `path`, said in our words: OutputError instead of OSError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(
            f"{path}: cannot be written ({reason})", hint="pass another folder with --out"
        ) from error


def new_part(path: Path) -> tuple[Path, BinaryIO]:
    """Make an empty file beside the place of `path`, under a temporary name; its path, and the file to write.

    Nobody can know the name beforehand, and what should stand there, a link above all, is never written
    through. Raises OSError.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(_TOKEN_BYTES)}.part")
    handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    return part, os.fdopen(handle, "w+b")


def is_part(path: Path) -> bool:
    """Whether a file has the temporary name of one that was being written."""
    return _PART.fullmatch(path.name) is not None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(file: BinaryIO) -> None:
    """Flush what was written to a file to the disk. Raises OSError."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, after a file was made or renamed in it. Raises OSError.

    Some file systems of networks or of user space cannot flush a folder, and say so; that is no fault.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
    finally:
        os.close(handle)


def sync_folders(folder: Path) -> None:
    """Flush the names in a folder and in every folder in it, whose files are flushed. Raises OSError."""
    for inner, _, _ in os.walk(folder, topdown=False):
        sync_folder(Path(inner))


def sync_tree(folder: Path) -> None:
    """Flush a folder with every file and folder in it to the disk, before it is renamed. Raises OSError."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            sync_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_folder(folder)
