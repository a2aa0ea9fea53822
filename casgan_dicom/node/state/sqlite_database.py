"""A ledger in a file of SQLite: what a node has that is told nothing else.

What a committed row says is true after any crash: WAL with synchronous=FULL, so a commit is on the disk when
it returns. The file is on a local disk: WAL does not work over a network.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from casgan_dicom.errors import ConfigError
from casgan_dicom.log import get_logger
from casgan_dicom.node.state.backup import back_up
from casgan_dicom.node.state.database import Connection
from casgan_dicom.node.state.private import private_file

log = get_logger("ledger")


class SqliteDatabase:
    """A file of SQLite, made if it is not there."""

    errors = sqlite3.Error

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def prepare(self) -> None:
        """Make the file, for its owner alone."""
        private_file(self._path)

    def session(self) -> SqliteSession:
        """Open the file."""
        return SqliteSession(_connected(self._path))

    def version(self, db: Connection) -> int:
        """Version of its tables, in SQLite's user_version; 0 if it has none."""
        (version,) = db.execute("PRAGMA user_version").fetchone()
        return int(version)

    def make(self, db: Connection, statements: str, version: int) -> None:
        """Make tables, or others of those that there are, which then have this version."""
        for statement in statements.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {version}")

    def back_up(self, version: int) -> None:
        """Copy the file. Raises ConfigError if that fails.

        The transaction around it keeps all others from writing; it has changed nothing yet.
        """
        try:
            with closing(_connected(self._path)) as as_it_is:
                backup = back_up(as_it_is, self._path, version, datetime.now(UTC))
        except (sqlite3.Error, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(
                f"{self._path}: ledger of version {version} stays as it is,"
                f" its backup cannot be written ({reason})",
                hint="make room for a copy of it in its folder, or use the version that wrote it",
            ) from error
        log.info("ledger goes on in new tables", before=version, backup=backup)

    def unusable(self, error: Exception) -> ConfigError:
        """What to tell a person who wanted a ledger there."""
        reason = error.strerror if isinstance(error, OSError) else error
        return ConfigError(
            f"{self._path}: cannot be used as the ledger ({reason})",
            hint="point `data` at a folder of the node, on a local disk that can be written",
        )

    def told(self, error: Exception) -> str:
        """What an error of SQLite says."""
        return str(error)


class SqliteSession:
    """An open file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @property
    def db(self) -> sqlite3.Connection:
        """Takes the statements of the current transaction."""
        return self._db

    def begin_writing(self) -> None:
        """Begin a transaction that alone may write."""
        self._db.execute("BEGIN IMMEDIATE")

    def begin_reading(self) -> None:
        """Begin a transaction with one consistent view."""
        self._db.execute("BEGIN")

    def commit(self) -> None:
        """End it; what it has written is on the disk. Fails too, on a full disk."""
        self._db.execute("COMMIT")

    def roll_back(self) -> None:
        """End it, undone; a full disk has ended it already."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    @property
    def is_lost(self) -> bool:
        """Never: a commit that fails was not made."""
        return False

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    return db
