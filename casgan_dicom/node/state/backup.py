"""Copies of databases as they are at one moment.

A copy of the ledger is laid beside it before its tables are changed:

    node.sqlite.v3-20261201T101500.123456Z.bak

It is whole, flushed and readable by the node's user alone before anything of the ledger changes. It is an
ordinary SQLite file; to go back, the version of this program that wrote it takes it as ``node.sqlite``.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from casgan_dicom.disk import sync_folder
from casgan_dicom.node.state.private import private_file

_PART = ".part"


def back_up(source: sqlite3.Connection, ledger: Path, version: int, at: datetime) -> Path:
    """Write the backup of a ledger; its path.

    Parameters
    ----------
    source
        A connection without a transaction; nobody may write to the ledger meanwhile.
    ledger
        The file of the ledger.
    version
        Of its tables.
    at
        Now, in UTC.

    Raises
    ------
    OSError, sqlite3.Error
        It cannot be written; nothing of it stays, but what a killed process has left.
    """
    path = ledger.with_name(f"{ledger.name}.v{version}-{at:%Y%m%dT%H%M%S.%f}Z.bak")
    part = path.with_name(path.name + _PART)
    for left in ledger.parent.glob(f"{ledger.name}.v*{_PART}*"):  # by a process that was killed
        left.unlink(missing_ok=True)
    try:
        _copy(source, part)
        part.rename(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return path


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is at this moment, whoever writes to it, into one flushed file.

    Raises OSError: what goes wrong with a database is a disk that cannot be read or written.
    """
    try:
        with closing(sqlite3.connect(source, isolation_level=None, timeout=30)) as database:
            _copy(database, target)
    except sqlite3.Error as error:
        raise OSError(errno.EIO, f"{source.name}: {error}") from error


def close_copy(path: Path) -> None:
    """Make one flushed file of a copy again that was opened as a ledger. Raises OSError."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise OSError(errno.EIO, f"{path.name}: {error}") from error
    _flush(path)


def _copy(source: sqlite3.Connection, path: Path) -> None:
    private_file(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    _flush(path)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
