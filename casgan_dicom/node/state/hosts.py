"""The hosts that share a ledger: who they are, which live, and what becomes of the work of the others.

A host lives while it renews its lease. Of one that does not, the lease is taken away; in the same transaction
its jobs are queued again for others, under a new run: whatever it still writes, should it only have been held
up, is refused. Nothing else of it is touched. Its files are where they were, and what it has in its outbox
waits for it. Only a person can say that it never comes back (`forget`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.state.clock import database_time
from casgan_dicom.node.state.database import Connection, Row
from casgan_dicom.node.state.leases import lease_of_host, take_away
from casgan_dicom.node.state.ledger import Ledger

_WORKED_ON = "('queued', 'converting')"
_OF_A_HOST = ("instances", "quarantine", "outbox")
"""Tables whose rows speak of files."""
_OUT = "('delivering', 'undelivered')"
"""States of jobs whose objects are still to be sent, or may be."""


@dataclass(frozen=True)
class Host:
    """A host, as it entered itself."""

    name: str
    """What it is called."""
    address: str
    """Where the others fetch its files, as https://node2:8044; empty where they cannot."""
    roles: tuple[str, ...]
    """What it does."""
    devices: tuple[str, ...]
    """What it converts on."""
    program: str
    """Version of the program."""
    ledger: int
    """Version of the tables that it knows."""
    workflows: str
    """Version of the workflows that it runs."""


@dataclass(frozen=True)
class Seen:
    """A host, as the ledger knows it."""

    host: Host
    """What it said of itself."""
    started_at: float
    """When it started, by the clock of the database."""
    seen_at: float
    """When it last renewed its lease."""
    is_live: bool
    """Whether its lease has not ended."""


@dataclass(frozen=True)
class Lost:
    """What was taken from hosts that are gone."""

    hosts: tuple[str, ...] = ()
    """Their names."""
    runs: tuple[tuple[str, int], ...] = ()
    """Job and run of what they had to convert."""


class Hosts:
    """The hosts of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def enter(self, host: Host, holder: str) -> None:
        """Enter a host that starts, with what it has received and made while it had no name.

        `holder` is what leases call it. Raises ConfigError where a node without a name works on the ledger,
        or has left files that are not of this host.
        """
        with self._ledger.transaction() as db:
            now = database_time(db)
            _adopt(db, host.name, holder, now)
            db.execute("DELETE FROM hosts WHERE name = ?", [host.name])
            db.execute(
                "INSERT INTO hosts (name, address, roles, devices, program, ledger, workflows, started_at,"
                " seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    host.name, host.address, ",".join(host.roles), ",".join(host.devices), host.program,
                    host.ledger, host.workflows, now, now,
                ],
            )  # fmt: skip

    def seen(self, name: str) -> None:
        """Note that a host has renewed its lease. Raises LedgerError."""
        with self._ledger.transaction() as db:
            db.execute("UPDATE hosts SET seen_at = ? WHERE name = ?", [database_time(db), name])

    def all(self) -> list[Seen]:
        """Every host that was not forgotten. Raises LedgerError."""
        with self._ledger.reading() as db:
            return seen_hosts(db)

    def lose(self) -> Lost:
        """Take the leases of hosts that are gone away, and queue what they had to convert again."""
        with self._ledger.transaction() as db:
            gone = [each.host.name for each in seen_hosts(db) if not each.is_live and _has_lease(db, each)]
            runs = [run for name in gone for run in _requeue(db, name)]
            for name in gone:
                take_away(db, lease_of_host(name))
        return Lost(tuple(gone), tuple(runs))

    def forget(self, name: str) -> int:
        """Count on nothing of a host any more, which a person says is gone for good; jobs that start again.

        What it had made and not delivered is made again, elsewhere, under the same UIDs. An instance whose
        file it had is lost, unless it is sent again. Raises ConfigError if it is not known, or lives.
        """
        with self._ledger.transaction() as db:
            found = {each.host.name: each for each in seen_hosts(db)}.get(name)
            if found is None:
                raise ConfigError(f"host '{name}' is not known", hint="`node status` lists the hosts")
            if found.is_live:
                raise ConfigError(f"host '{name}' lives", hint="stop it first")
            jobs = len(_requeue(db, name)) + _make_again(db, name, database_time(db))
            take_away(db, lease_of_host(name))
            db.execute("DELETE FROM removals WHERE host = ?", [name])
            db.execute("DELETE FROM hosts WHERE name = ?", [name])
        return jobs


def seen_hosts(db: Connection) -> list[Seen]:
    """Every host that was not forgotten, by name."""
    now = database_time(db)
    rows = db.execute(
        "SELECT hosts.*, leases.holder, leases.until FROM hosts"
        " LEFT JOIN leases ON leases.name = ? || hosts.name ORDER BY hosts.name",
        [lease_of_host("")],
    ).fetchall()
    return [_seen(row, now) for row in rows]


def others_with(seen: Sequence[Seen], name: str, ledger: int, workflows: str) -> list[Seen]:
    """Hosts that live and cannot work beside one of these versions."""
    return [
        each
        for each in seen
        if each.is_live
        and each.host.name != name
        and (each.host.ledger, each.host.workflows) != (ledger, workflows)
    ]


def _adopt(db: Connection, name: str, holder: str, now: float) -> None:
    """Enter under a name what the same node has without one. Raises ConfigError if it is another node's."""
    row = db.execute("SELECT holder, until FROM leases WHERE name = ?", [lease_of_host("")]).fetchone()
    left = any(
        db.execute(f"SELECT 1 FROM {table} WHERE host = '' LIMIT 1").fetchone() is not None
        for table in _OF_A_HOST
    )
    is_ours = row is not None and row["holder"].rpartition(" ")[2] == holder.rpartition(" ")[2]
    if row is not None and row["until"] > now and not is_ours:
        raise ConfigError(
            f"a node without a name works on this database, host '{name}' cannot come in beside it",
            hint="stop it, give it a `name` in [host], and start it first: what it has is entered under that",
        )
    if left and not is_ours:
        raise ConfigError(
            f"a node without a name has left files that are not on host '{name}'",
            hint="give that node a `name` in [host], and start it first: what it has is entered under that",
        )
    for table in _OF_A_HOST if left else ():
        db.execute(f"UPDATE {table} SET host = ? WHERE host = ''", [name])


def _seen(row: Row, now: float) -> Seen:
    host = Host(
        name=row["name"],
        address=row["address"],
        roles=_split(row["roles"]),
        devices=_split(row["devices"]),
        program=row["program"],
        ledger=row["ledger"],
        workflows=row["workflows"],
    )
    return Seen(host, row["started_at"], row["seen_at"], bool(row["holder"]) and row["until"] > now)


def _split(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _has_lease(db: Connection, seen: Seen) -> bool:
    row = db.execute("SELECT holder FROM leases WHERE name = ?", [lease_of_host(seen.host.name)]).fetchone()
    return row is not None and row["holder"] != ""


def _requeue(db: Connection, host: str) -> list[tuple[str, int]]:
    """Queue what a host had to convert; job and run of each."""
    rows = db.execute(
        f"SELECT job, run FROM jobs WHERE host = ? AND enqueued = run AND state IN {_WORKED_ON}", [host]
    ).fetchall()
    for row in rows:
        db.execute(
            "UPDATE jobs SET state = 'queued', run = run + 1, host = '', device = '' WHERE job = ?",
            [row["job"]],
        )
    return [(row["job"], row["run"]) for row in rows]


def _make_again(db: Connection, host: str, now: float) -> int:
    """Queue what a host had made and not delivered; how many jobs that is."""
    rows = db.execute(
        f"SELECT DISTINCT jobs.job FROM jobs JOIN outbox USING (job) WHERE outbox.host = ?"
        f" AND jobs.state IN {_OUT}",
        [host],
    ).fetchall()
    for row in rows:
        db.execute(
            "UPDATE jobs SET state = 'queued', run = run + 1, host = '', device = '', changed_at = ?"
            " WHERE job = ?",
            [now, row["job"]],
        )
        db.execute("UPDATE deliveries SET run = run + 1 WHERE job = ? AND state = 'waiting'", [row["job"]])
        db.execute("DELETE FROM outbox WHERE job = ? AND host = ?", [row["job"], host])
    return len(rows)
