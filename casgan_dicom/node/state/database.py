"""What the ledger needs of a database: ``sqlite_database.py`` and ``postgres_database.py`` give it.

The same SQL is said to both: ``?`` for a parameter, INSERT with ON CONFLICT, and nothing that only one of
them knows. What is true or false is the integer 1 or 0 in a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from casgan_dicom.errors import ConfigError

Row = Any
"""A row: values by name (``row["job"]``) and by index, and as something to unpack."""


class Cursor(Protocol):
    """What a statement found, or has done."""

    @property
    def rowcount(self) -> int:
        """How many rows it has changed."""

    def fetchone(self) -> Row:
        """The next row; None if there is none."""

    def fetchall(self) -> list[Row]:
        """All rows."""

    def __iter__(self) -> Iterator[Row]: ...


class Connection(Protocol):
    """Who takes statements, inside a transaction."""

    def execute(self, statement: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Execute a statement."""

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Cursor:
        """Execute a statement with each of some lists of parameters."""


class Session(Protocol):
    """A connection that makes one transaction after the other."""

    @property
    def db(self) -> Connection:
        """Takes the statements of the current transaction."""

    def begin_writing(self) -> None:
        """Begin a transaction that alone may write: it sees all that was committed before."""

    def begin_reading(self) -> None:
        """Begin a transaction with one consistent view, of all that was committed before."""

    def commit(self) -> None:
        """End it; what it has written is on the disk."""

    def roll_back(self) -> None:
        """End it, undone; nothing happens if it has ended by itself."""

    @property
    def is_lost(self) -> bool:
        """Whether the database has gone away: whether a commit under way was made, nobody knows."""

    def close(self) -> None:
        """Let go of the database."""


class Database(Protocol):
    """Where a ledger lies."""

    @property
    def errors(self) -> type[Exception]:
        """What its sessions raise."""

    def prepare(self) -> None:
        """Look whether it can hold a ledger. Raises `errors`, OSError, ConfigError."""

    def session(self) -> Session:
        """Connect. Raises `errors`."""

    def version(self, db: Connection) -> int:
        """Version of its tables; 0 if it has none."""

    def make(self, db: Connection, statements: str, version: int) -> None:
        """Make tables, or others of those that there are, which then have this version."""

    def back_up(self, version: int) -> None:
        """Keep it as it is, before its tables are changed. Raises ConfigError if that fails."""

    def unusable(self, error: Exception) -> ConfigError:
        """What to tell a person who wanted a ledger there."""

    def told(self, error: Exception) -> str:
        """What an error of it says, without any value of a row."""
