"""A ledger in a schema of PostgreSQL: for a node whose processes run on several machines.

One transaction writes at a time, as in SQLite: each begins by taking the lock of the ledger (an advisory lock
of the database), and the server gives that back when the transaction ends, or its connection. Nothing has to
be tried again because two have written at once, and a statement sees all that was committed before.

A connection that is lost ends the transaction that was under way. The next one connects anew, so a restart of
the server needs none of the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any
from zlib import crc32

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from casgan_dicom.errors import ConfigError
from casgan_dicom.log import get_logger
from casgan_dicom.node.state.database import Connection
from casgan_dicom.node.state.postgres_place import PostgresPlace
from casgan_dicom.node.state.postgres_server import check, connect, look_at, refused, what_is_said
from casgan_dicom.node.state.postgres_sql import Row, made, plain, spoken

AWAY_SECONDS = 1.0
"""So long after a vain try to connect none is made: those who wait for one another would each wait for it."""
_OURS = int.from_bytes(b"CASG", "big")
"""First half of the keys of our advisory locks."""

log = get_logger("ledger")


class PostgresDatabase:
    """A schema in a database."""

    errors = psycopg.Error

    def __init__(self, place: PostgresPlace) -> None:
        self._place = place

    def __str__(self) -> str:
        return f"{self._place} (schema {self._place.schema})"

    def prepare(self) -> None:
        """Look at the server, and make the schemas that are not there. Raises psycopg.Error, ConfigError."""
        with connect(self._place) as connection:
            check(look_at(connection))
            connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_OURS, _number(self._place.schema)])
            for schema in (self._place.schema, self._place.workflow_schema):
                asked = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
                if connection.execute(asked, [schema]).fetchone() is None:  # who may not make it may find it
                    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))

    def session(self) -> PostgresSession:
        """Connect. Raises psycopg.Error."""
        return PostgresSession(self._place)

    def version(self, db: Connection) -> int:
        """Version of its tables, in a table; 0 if there is none."""
        (table,) = db.execute("SELECT to_regclass(?)", [f"{self._place.schema}.ledger_version"]).fetchone()
        if table is None:
            return 0
        (version,) = db.execute("SELECT max(version) FROM ledger_version").fetchone()
        return int(version)

    def make(self, db: Connection, statements: str, version: int) -> None:
        """Make tables, or others of those that there are, which then have this version."""
        for statement in made(statements):
            db.execute(statement)
        db.execute("CREATE TABLE IF NOT EXISTS ledger_version (version BIGINT NOT NULL)")
        db.execute("DELETE FROM ledger_version")
        db.execute("INSERT INTO ledger_version (version) VALUES (?)", [version])

    def back_up(self, version: int) -> None:
        """Nothing: what keeps the server keeps its backups, and a change of tables is undone as a whole."""
        log.info("ledger goes on in new tables", before=version)

    def unusable(self, error: Exception) -> ConfigError:
        """What to tell a person who wanted a ledger there."""
        return refused(error)

    def told(self, error: Exception) -> str:
        """What an error of PostgreSQL says."""
        return what_is_said(error)


class PostgresSession:
    """A connection, made anew where it was lost."""

    def __init__(self, place: PostgresPlace) -> None:
        self._place = place
        self._turn = f"SELECT pg_advisory_xact_lock({_OURS}, {_number(place.schema)})"
        self._connection = self._connected()
        self._closed = False
        self._away: tuple[float, psycopg.Error] | None = None

    @property
    def db(self) -> Connection:
        """Takes the statements of the current transaction."""
        return _Speaker(self._connection)

    def begin_writing(self) -> None:
        """Wait until nobody else writes, and begin."""
        self._begin(f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {self._turn}")

    def begin_reading(self) -> None:
        """Begin a transaction with one consistent view."""
        self._begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def commit(self) -> None:
        """End it; what it has written is on the disk."""
        self._connection.execute("COMMIT")

    def roll_back(self) -> None:
        """End it, undone; a lost connection has ended it already."""
        if not self.is_lost and self._connection.info.transaction_status != TransactionStatus.IDLE:
            self._connection.execute("ROLLBACK")

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self._connection.closed

    def close(self) -> None:
        """Let go of the database."""
        self._closed = True
        self._connection.close()

    def _begin(self, statement: str) -> None:
        if self._closed:
            raise psycopg.InterfaceError("Cannot operate on a closed database.")
        if not self.is_lost:
            try:
                self._execute(statement)
                return
            except psycopg.Error:
                if not self.is_lost:
                    raise
        self._connect_again()  # nothing of the transaction has happened yet
        self._execute(statement)

    def _execute(self, statement: str) -> None:
        try:
            self._connection.execute(statement)
        except psycopg.Error:
            self.roll_back()
            raise

    def _connect_again(self) -> None:
        if self._away is not None and monotonic() < self._away[0]:
            raise psycopg.OperationalError(str(self._away[1]))
        try:
            self._connection = self._connected()
        except psycopg.Error as error:
            self._away = monotonic() + AWAY_SECONDS, error
            raise
        self._away = None
        log.info("connected to the database again")

    def _connected(self) -> psycopg.Connection[Row]:
        connection: psycopg.Connection[Row] = connect(self._place, search_path=self._place.schema)
        connection.autocommit = True  # transactions begin and end by our own word
        connection.row_factory = _rows
        return connection


class _Speaker:
    """Says the SQL of the ledger to PostgreSQL."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> psycopg.Cursor[Row]:
        return self._connection.execute(spoken(statement), plain(parameters))

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> psycopg.Cursor[Row]:
        cursor = self._connection.cursor()
        cursor.executemany(spoken(statement), [plain(row) for row in rows])
        return cursor


def _rows(cursor: psycopg.Cursor[Any]) -> Any:  # noqa: ANN401  # psycopg's maker of rows
    places: dict[str, int] = {}
    for place, column in enumerate(cursor.description or ()):
        places.setdefault(column.name, place)

    def row(values: Sequence[Any]) -> Row:
        return Row(values, places)

    return row


def _number(schema: str) -> int:
    """Second half of the key of a lock: a signed number of 32 bits."""
    number = crc32(schema.encode())
    return number - 2**32 if number >= 2**31 else number
