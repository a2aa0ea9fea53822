"""The node's own book: one database that every process of the node writes to.

It is a file of SQLite (``sqlite_database.py``) or a schema of PostgreSQL (``postgres_database.py``). On both,
what a committed row says is true after any crash, and one transaction writes at a time. The tables are spoken
to by the files that are named after what they hold:

    receipts.py     instances received, and the job that each belongs to
    jobs.py         jobs and their states
    orders.py       what a person decides about jobs: priority, end, conversion once more
    deliveries.py   derived objects, and what became of them at each destination
    removals.py     which files were removed, because nobody needed them any more
    commitments.py  what destinations were asked to keep, and said of it
    promises.py     what others asked us to keep
    processes.py    who runs now
    rejections.py   how many were not let in
    pauses.py       what a person has paused
    reviews.py      what people think of what jobs made
    notices.py      what somebody was told of what is wrong
    contacts.py     when each peer was last heard of

Times are seconds since 1970; no column holds patient data; of those that hold what a person writes, nobody
can check it (``reviews.py``). The durable workflows have tables of their own
(``workflows.py``); nothing here knows them.

What the tables are made of, these files and ``overview.py`` know: what goes wrong with it leaves them as a
`LedgerError`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar, cast

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.state.database import Connection, Database
from casgan_dicom.node.state.ledger_tables import MAKING, SCHEMA
from casgan_dicom.node.state.postgres_place import Place
from casgan_dicom.node.state.sqlite_database import SqliteDatabase

_T = TypeVar("_T")


class LedgerError(Exception):
    """The ledger cannot be read or written: a full disk, a lock that somebody holds, a server that is away.

    Not one of the errors that a user is told and that end a job: a process that meets it ends, starts again
    and goes on from what is committed.
    """


class UncertainError(LedgerError):
    """The server was lost during a commit: what it was to write down may be there, or not."""


class Ledger:
    """An open ledger. Threads may share one; processes each open their own.

    Parameters
    ----------
    place
        A file of SQLite, or a database of PostgreSQL; made with its tables if it is not there.

    Raises
    ------
    ConfigError
        It cannot be opened, is no ledger, or was written by a newer version.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        """Where it lies."""
        self._database = _database(place)
        self.fence: Callable[[Connection], object] = lambda _: None
        """Called first in every transaction; raises where this process may write nothing any more."""
        self._lock, self._reading = threading.RLock(), threading.RLock()
        self._wanted: deque[_Wanted] = deque()
        try:
            self._open()
        except (LedgerError, self._database.errors, OSError) as error:
            cause = error.__cause__ if isinstance(error, LedgerError) else error
            raise self._database.unusable(cast(Exception, cause)) from error

    def _open(self) -> None:
        self._database.prepare()
        with ExitStack() as failed:
            self._writer = self._database.session()
            failed.callback(self._writer.close)
            self._make_tables()
            self._reader = self._database.session()
            failed.pop_all()

    def _make_tables(self) -> None:
        with self.transaction() as db:
            version = self._database.version(db)
            if version in MAKING:
                if version:
                    self._database.back_up(version)
                self._database.make(db, MAKING[version], SCHEMA)
            elif version != SCHEMA:
                raise ConfigError(
                    f"{self._database}: ledger of version {version}, this program knows {SCHEMA}",
                    hint="use the version of casgan-dicom that wrote it, or another data folder",
                )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All or nothing: on the disk when it ends, undone when it raises. Raises LedgerError."""
        with self._lock, self._translated():
            self._writer.begin_writing()
            try:
                self.fence(self._writer.db)
                yield self._writer.db
                self._commit()
            except BaseException:
                self._writer.roll_back()
                raise

    def _commit(self) -> None:
        try:
            self._writer.commit()
        except self._database.errors as error:
            if not self._writer.is_lost:
                raise
            raise UncertainError(self._database.told(error)) from error

    def together(self, change: Callable[[Connection], _T]) -> _T:
        """Make a change that may share its transaction with those of other threads: one flush for all.

        Parameters
        ----------
        change
            Called once, by any thread, inside the transaction. What it does is undone if it raises, and
            nothing else.

        Returns
        -------
        What `change` returned, once it is on the disk.

        Raises
        ------
        LedgerError
            The change, or the commit of all, failed. What else `change` raises comes through.
        """

        def translated(db: Connection) -> _T:
            with self._translated():
                return change(db)

        mine = _Wanted(translated)
        self._wanted.append(mine)
        with self._lock:  # while one thread commits, the others gather here
            if not mine.done:
                self._make([self._wanted.popleft() for _ in range(len(self._wanted))])
        if mine.error is not None:
            raise mine.error
        return cast(_T, mine.result)

    def _make(self, changes: Sequence[_Wanted]) -> None:
        """Make changes in one transaction; each of them learns what came of it."""
        failure: BaseException | None = None
        try:
            with self.transaction() as db:
                if len(changes) == 1:
                    changes[0].make_alone(db)
                else:
                    for each in changes:
                        each.make(db)
        except BaseException as error:  # also what is meant for this thread: the others wait
            failure = error
        for each in changes:
            each.end(failure)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view, of all that was committed before. Raises LedgerError."""
        with self._reading, self._translated():
            self._reader.begin_reading()
            try:
                yield self._reader.db
                self._reader.commit()
            except BaseException:
                self._reader.roll_back()
                raise

    def close(self) -> None:
        """Let go of it. Raises LedgerError."""
        with self._lock, self._reading, self._translated():
            self._reader.close()
            self._writer.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise a LedgerError in place of an error of the database; it is told to have happened there."""
        try:
            yield
        except self._database.errors as error:
            raise LedgerError(self._database.told(error)).with_traceback(_said_at(error)) from error


class _Wanted:
    """A change that a thread waits for."""

    def __init__(self, change: Callable[[Connection], object]) -> None:
        self._change = change
        self.done = False
        self.result: object = None
        self.error: BaseException | None = None

    def make_alone(self, db: Connection) -> None:
        """Make it in a transaction of its own, which is undone where it raises."""
        self.result = self._change(db)

    def make(self, db: Connection) -> None:
        """Make it, or undo it and remember why. Raises where all of the transaction is lost."""
        db.execute("SAVEPOINT change")
        try:
            self.result = self._change(db)
        except Exception as error:
            self.error = error
            db.execute("ROLLBACK TO change")
        db.execute("RELEASE change")

    def end(self, failure: BaseException | None) -> None:
        """Note that it is on the disk, if nothing failed."""
        self.error = self.error or failure
        self.done = True


def _said_at(error: Exception) -> TracebackType | None:
    """Where an error came up, down to the statement: not in what carries that to the database."""
    found, place = list[TracebackType](), error.__traceback__
    while place is not None and place.tb_frame.f_code.co_name not in ("execute", "executemany"):
        found.append(place)
        place = place.tb_next
    shown: TracebackType | None = None
    for each in reversed(found):
        shown = TracebackType(shown, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return shown


def _database(place: Place) -> Database:
    if isinstance(place, Path):
        return SqliteDatabase(place)
    # Imported here: a node on SQLite does not load it.
    from casgan_dicom.node.state.postgres_database import PostgresDatabase  # noqa: PLC0415

    return PostgresDatabase(place)
