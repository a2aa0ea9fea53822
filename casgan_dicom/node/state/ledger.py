"""The node's own book: one SQLite file that every process of the node writes to.

What a committed row says is true after any crash: WAL with synchronous=FULL, so a commit is on the disk when
it returns. The tables are spoken to by the files that are named after what they hold:

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

Times are seconds since 1970; no column holds patient data; of those that hold what a person writes, nobody
can check it (``reviews.py``). The durable workflows have a file of their own
(``workflows.py``); nothing here knows them.

That the book is a file of SQLite, these files and ``overview.py`` know: what goes wrong with it leaves them
as a `LedgerError`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar, cast

from casgan_dicom.errors import ConfigError
from casgan_dicom.log import get_logger
from casgan_dicom.node.state.backup import back_up
from casgan_dicom.node.state.ledger_tables import MAKING, SCHEMA
from casgan_dicom.node.state.private import private_file

_T = TypeVar("_T")
log = get_logger("ledger")


class LedgerError(Exception):
    """The ledger cannot be read or written: a full disk, a lock that somebody holds, a damaged file.

    Not one of the errors that a user is told and that end a job: a process that meets it ends, starts again
    and goes on from what is committed.
    """


class Ledger:
    """An open ledger. Threads may share one; processes each open their own.

    Parameters
    ----------
    path
        The file, made with its tables if it is not there. On a local disk: WAL does not work over a
        network.

    Raises
    ------
    ConfigError
        The file cannot be opened, is no ledger, or was written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock, self._reading = threading.RLock(), threading.RLock()
        self._wanted: deque[_Wanted] = deque()
        try:
            self._open()
        except (LedgerError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(
                f"{path}: cannot be used as the ledger ({reason})",
                hint="point `data` at a folder of the node, on a local disk that can be written",
            ) from error

    def _open(self) -> None:
        private_file(self.path)
        with _translated():
            self._db = self._connect()
            self._make_tables()
            self._for_reading = self._connect()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, timeout=30, check_same_thread=False)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        return db

    def _make_tables(self) -> None:
        with self.transaction() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version in MAKING:
                if version:
                    self._back_up(version)
                for statement in MAKING[version].split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {SCHEMA}")
            elif version != SCHEMA:
                raise ConfigError(
                    f"{self.path}: ledger of version {version}, this program knows {SCHEMA}",
                    hint="use the version of casgan-dicom that wrote it, or another data folder",
                )

    def _back_up(self, version: int) -> None:
        """Keep the ledger as it is, before its tables are changed. Raises ConfigError if that fails.

        The transaction around it keeps all others from writing; it has changed nothing yet.
        """
        try:
            with closing(self._connect()) as as_it_is:
                backup = back_up(as_it_is, self.path, version, datetime.now(UTC))
        except (sqlite3.Error, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(
                f"{self.path}: ledger of version {version} stays as it is,"
                f" its backup cannot be written ({reason})",
                hint="make room for a copy of it in its folder, or use the version that wrote it",
            ) from error
        log.info("ledger goes on in new tables", version=SCHEMA, before=version, backup=backup)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing: on the disk when it ends, undone when it raises. Raises LedgerError."""
        with self._lock, _translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")  # may fail too, on a full disk
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def together(self, change: Callable[[sqlite3.Connection], _T]) -> _T:
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
        mine = _Wanted(change)
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
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view, of all that was committed before. Raises LedgerError."""
        with self._reading, _translated():
            self._for_reading.execute("BEGIN")
            try:
                yield self._for_reading
            finally:
                self._for_reading.execute("COMMIT")

    def close(self) -> None:
        """Close the file. Raises LedgerError."""
        with self._lock, self._reading, _translated():
            self._for_reading.close()
            self._db.close()


class _Wanted:
    """A change that a thread waits for."""

    def __init__(self, change: Callable[[sqlite3.Connection], object]) -> None:
        self._change = change
        self.done = False
        self.result: object = None
        self.error: BaseException | None = None

    def make_alone(self, db: sqlite3.Connection) -> None:
        """Make it in a transaction of its own, which is undone where it raises."""
        with _translated():
            self.result = self._change(db)

    def make(self, db: sqlite3.Connection) -> None:
        """Make it, or undo it and remember why. Raises sqlite3.Error where all of the transaction is lost."""
        db.execute("SAVEPOINT change")
        try:
            with _translated():
                self.result = self._change(db)
        except Exception as error:
            self.error = error
            db.execute("ROLLBACK TO change")
        db.execute("RELEASE change")

    def end(self, failure: BaseException | None) -> None:
        """Note that it is on the disk, if nothing failed."""
        self.error = self.error or failure
        self.done = True


@contextmanager
def _translated() -> Iterator[None]:
    """Raise a LedgerError in place of an error of SQLite; it is told to have happened where that did."""
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerError(str(error)).with_traceback(error.__traceback__) from error
