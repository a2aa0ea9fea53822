"""One clock for all hosts on a database: that of the database."""

from __future__ import annotations

import sqlite3
import threading
from time import monotonic, time

from casgan_dicom.node.state.database import Connection
from casgan_dicom.node.state.ledger import Ledger

AGREE_SECONDS = 60.0
"""How often a shared clock is compared with that of the database."""


def database_time(db: Connection) -> float:
    """Seconds since 1970 by the clock of the database, now and not when the transaction began."""
    if isinstance(db, sqlite3.Connection):
        return time()  # a file on this machine
    row = db.execute("SELECT extract(epoch FROM clock_timestamp())::float8 AS now").fetchone()
    return float(row["now"])


class SharedClock:
    """Seconds since 1970, the same on all hosts; threads may share it.

    Between two questions to the database it goes on by itself, whatever is done to the clock of this machine.

    Parameters
    ----------
    ledger
        The database.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._offset = self._asked_at = float("-inf")

    def __call__(self) -> float:
        """The time now. Raises LedgerError."""
        with self._lock:
            if monotonic() - self._asked_at >= AGREE_SECONDS:
                before = monotonic()
                with self._ledger.reading() as db:
                    now = database_time(db)
                self._asked_at = monotonic()
                self._offset = now - (before + self._asked_at) / 2
            return monotonic() + self._offset
