"""What only the node's own user may read: its data folder, its databases, and all that it writes.

The folder holds patients' images and the UIDs of studies. Whoever runs the node owns it, and a folder that
was there before and let others in is closed to them at the start.
"""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_IMODE
from typing import BinaryIO

from casgan_dicom.errors import ConfigError
from casgan_dicom.log import get_logger

UMASK = 0o077
"""Files that a process of the node makes are its user's alone."""
_OTHERS = 0o077
_EVERYBODY = 0o007

log = get_logger("private")


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter, or close one that is there to others.

    Raises
    ------
    ConfigError
        It belongs to somebody else and everybody may enter it, so that it cannot be closed.
    OSError
        It cannot be made, or not be looked at.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = S_IMODE(folder.stat().st_mode)
    if not mode & _OTHERS:
        return
    if folder.stat().st_uid == os.geteuid():
        folder.chmod(mode & ~_OTHERS)
        log.warning("data folder closed to others", folder=folder, mode=f"{mode:04o}")
    elif mode & _EVERYBODY:
        raise ConfigError(
            f"data folder {folder}: belongs to another user and has mode {mode:04o}, everybody may enter it",
            hint=f"give it to the user of the node, or close it: chmod o-rwx '{folder}'",
        )


def read_secret(path: Path, key: str, most: int, hint: str) -> bytes:
    """What is in a file that not everybody may read, up to so many bytes.

    `key` is what messages call the setting that names it, `hint` what they say to do. Raises ConfigError,
    which quotes nothing of it.
    """
    at = f"{key} {path}"
    try:
        with path.open("rb") as file:
            mode = S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(most)
    except OSError as error:
        raise ConfigError(f"{at} cannot be read ({error.strerror})", hint=hint) from error
    if mode & _EVERYBODY:
        raise ConfigError(f"{at} has mode {mode:04o}, every user may read it", hint=f"chmod o-rwx '{path}'")
    return content


def private_folder(folder: Path, root: Path) -> None:
    """Make a folder below `root`, and those between, that only their owner may enter. Raises OSError."""
    for each in (*reversed(folder.relative_to(root).parents), folder.relative_to(root)):
        (root / each).mkdir(mode=0o700, exist_ok=True)


def new_private_file(path: Path) -> BinaryIO:
    """A file to write that is not there yet, and that only its owner may read. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return os.fdopen(handle, "wb")


def private_file(path: Path) -> None:
    """Make an empty file that only its owner may read, or close one that is there. Raises OSError.

    SQLite gives the files that it lays beside a database (-wal, -shm) the mode of the database: this comes
    before it is opened.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(handle).st_uid == os.geteuid():
            os.fchmod(handle, 0o600)
    finally:
        os.close(handle)
