"""Leases: who may do what only one may do at a time, until when, and what a late one can do no harm.

A lease is a row: its holder, until when he has it, and a number that grows whenever another takes it (its
*token*). Whoever holds one renews it well before its end. Who was held up, by a paused machine or a dead
network, may go on after another has taken the lease without knowing it; so whatever he writes is written in a
transaction that first asks whether his token is still the one: see `fence`.

Times are those of the database (``clock.py``): the clocks of hosts need not agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from casgan_dicom.node.state.clock import database_time
from casgan_dicom.node.state.database import Connection, Row
from casgan_dicom.node.state.ledger import Ledger, LedgerError

COORDINATOR = "coordinator"
"""Of who decides about jobs."""
COMMITTING = "committing"
"""Of who asks destinations to commit, and tells others what is kept."""
PULLER = "puller"
"""Of who fetches from archives by himself."""


class LeaseLostError(LedgerError):
    """Another has the lease by now: what was to be written is not."""


@dataclass(frozen=True)
class Lease:
    """A lease, as it was at one moment."""

    name: str
    """What it is for."""
    holder: str
    """Who has it; empty for nobody."""
    token: int
    """Grows with every change of the holder."""
    until: float
    """When it ends, unless it is renewed; by the clock of the database."""


def lease_of_host(host: str) -> str:
    """Name of the lease that says that a host lives."""
    return f"host {host}"


def taken(found: Lease, holder: str, now: float, seconds: float) -> Lease | None:
    """The lease once `holder` has taken it; None if another has it.

    Its token grows also where he had it before: what he ran then may still run.
    """
    if found.holder not in ("", holder) and found.until > now:
        return None
    return Lease(found.name, holder, found.token + 1, now + seconds)


def renewed(found: Lease, mine: Lease, now: float, seconds: float) -> Lease | None:
    """A lease of ours that goes on; None if another has taken it.

    One that has ended goes on as well as long as nobody has taken it: nothing was done in our place.
    """
    if (found.holder, found.token) != (mine.holder, mine.token):
        return None
    return replace(mine, until=now + seconds)


class Leases:
    """The leases of a ledger.

    Parameters
    ----------
    ledger
        Where they are.
    clock
        Tells the time in a transaction; that of the database.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[Connection], float] = database_time) -> None:
        self._ledger = ledger
        self._clock = clock

    def take(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take a lease; None if another has it. Raises LedgerError."""
        return self._put(name, lambda found, now: taken(found, holder, now, seconds))

    def renew(self, lease: Lease, seconds: float) -> Lease | None:
        """Renew a lease of ours; None if another has taken it. Raises LedgerError."""
        return self._put(lease.name, lambda found, now: renewed(found, lease, now, seconds))

    def _put(self, name: str, change: Callable[[Lease, float], Lease | None]) -> Lease | None:
        with self._ledger.transaction() as db:
            db.execute(
                "INSERT INTO leases (name, holder, token, until) VALUES (?, '', 0, 0) ON CONFLICT DO NOTHING",
                [name],
            )
            mine = change(_find(db, name), self._clock(db))
            if mine is not None:
                db.execute(
                    "UPDATE leases SET holder = ?, token = ?, until = ? WHERE name = ?",
                    [mine.holder, mine.token, mine.until, name],
                )
            return mine

    def let_go(self, lease: Lease) -> None:
        """Give a lease back before its end; nothing happens if another has it. Raises LedgerError."""
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE leases SET until = 0 WHERE name = ? AND holder = ? AND token = ?",
                [lease.name, lease.holder, lease.token],
            )

    def all(self) -> list[Lease]:
        """Every lease. Raises LedgerError."""
        with self._ledger.reading() as db:
            rows = db.execute("SELECT * FROM leases ORDER BY name").fetchall()
        return [_lease(row) for row in rows]

    def find(self, name: str) -> Lease:
        """A lease; one without holder if nobody ever had it. Raises LedgerError."""
        with self._ledger.reading() as db:
            return _find(db, name)


def take_away(db: Connection, name: str) -> None:
    """Let nobody have a lease: whoever had it can write nothing more by it."""
    db.execute("UPDATE leases SET holder = '', token = token + 1, until = 0 WHERE name = ?", [name])


def check(db: Connection, lease: Lease) -> None:
    """Raise LeaseLostError if a lease is another's by now.

    One transaction writes at a time: what is ours stays so until this one ends.
    """
    found = _find(db, lease.name)
    if (found.holder, found.token) != (lease.holder, lease.token):
        raise LeaseLostError(f"the lease '{lease.name}' of {lease.holder} was taken by another")


def fence(ledger: Ledger, lease: Lease) -> None:
    """Let a ledger take nothing more in this process once a lease is another's."""
    ledger.fence = lambda db: check(db, lease)


def _find(db: Connection, name: str) -> Lease:
    row = db.execute("SELECT * FROM leases WHERE name = ?", [name]).fetchone()
    return Lease(name, "", 0, 0.0) if row is None else _lease(row)


def _lease(row: Row) -> Lease:
    return Lease(row["name"], row["holder"], row["token"], row["until"])
