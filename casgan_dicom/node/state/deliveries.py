"""Derived objects, and what became of them at each destination.

A delivery is one job for one destination. It goes on from what the ledger says is stored there already, so a
crash repeats at most the request whose answer was not written down, and the archive, which knows the
deterministic UID, keeps one object.

    waiting ─▶ sent       finished, see `FINISHED`
       ├─▶ committing  all is stored there, and the destination is asked to commit (``commitments.py``):
       │               then it is sent; waiting again if it does not keep all; dead if it never says so
       ├─▶ dead        refused for good, or too long in vain; `casgan-dicom node retry` makes it wait again
       └─▶ cancelled   by a person (``orders.py``); `casgan-dicom node retry JOB` makes it wait again
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from casgan_dicom.node.state.database import Connection, Row
from casgan_dicom.node.state.ledger import Ledger

DeliveryState = Literal["waiting", "committing", "sent", "dead", "cancelled"]
FINISHED: DeliveryState = "sent"
"""State of a finished delivery: its destination has every object, and keeps it by its own word where it
is asked for that."""


@dataclass(frozen=True)
class Derived:
    """A derived object in the outbox."""

    sop_uid: str
    """SOP Instance UID (0008,0018)."""
    series_uid: str
    """Series Instance UID (0020,000E)."""
    path: Path
    """Its file."""
    sha256: str
    """Hex digest of the file."""
    frames: int
    """Number of frames."""
    sop_class_uid: str = ""
    """SOP Class UID (0008,0016); empty if unknown."""
    sources: tuple[str, ...] = ()
    """SOP Instance UIDs of what it was made of; empty if unknown."""
    host: str = ""
    """The host that has it; empty for the only one."""


@dataclass(frozen=True)
class Delivery:
    """One job for one destination."""

    job: str
    """The job."""
    destination: str
    """Name of the destination."""
    run: int
    """How often it was started by hand, from 1."""


@dataclass(frozen=True)
class Attempt:
    """What came of one attempt."""

    state: DeliveryState
    """``waiting``: it will be tried again; ``committing``: all is stored, and is to be committed."""
    reason: str
    """What went wrong; empty if nothing did."""
    wait_seconds: float = 0.0
    """Until the next attempt."""


def run_id(delivery: Delivery) -> str:
    """Name a run of a delivery."""
    return f"{delivery.job}.send.{delivery.destination}.{delivery.run}"


def delivery_id(delivery: Delivery, number: int) -> str:
    """Name an attempt of a delivery, from 1 in each run."""
    return f"{run_id(delivery)}.{number}"


class Deliveries:
    """The outbox and the deliveries of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def put(
        self, job: str, derived: Sequence[Derived], destinations: Sequence[str], now: float, run: int = 0
    ) -> bool:
        """Enter what a run of a job made, and where it goes; without destinations the job is done.

        False, and nothing is entered, if the job was cancelled or started anew since; run 0 is any.
        """
        with self._ledger.transaction() as db:
            row = db.execute("SELECT state, run FROM jobs WHERE job = ?", [job]).fetchone()
            if row is not None and (row["state"] == "cancelled" or run not in (0, row["run"])):
                return False
            for item in derived:
                db.execute(
                    "INSERT INTO outbox"
                    " (sop_uid, job, series_uid, path, sha256, frames, sop_class_uid, sources, host)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sop_uid) DO UPDATE SET"
                    " job = excluded.job, series_uid = excluded.series_uid, path = excluded.path,"
                    " sha256 = excluded.sha256, frames = excluded.frames, host = excluded.host,"
                    " sop_class_uid = excluded.sop_class_uid, sources = excluded.sources",
                    [
                        item.sop_uid, job, item.series_uid, str(item.path), item.sha256, item.frames,
                        item.sop_class_uid, json.dumps(item.sources), item.host,
                    ],
                )  # fmt: skip
            for name in destinations:
                db.execute(
                    "INSERT INTO deliveries (job, destination, state, changed_at)"
                    " VALUES (?, ?, 'waiting', ?) ON CONFLICT DO NOTHING",
                    [job, name, now],
                )
            settle(db, job, now)
            return True

    def made(self, job: str) -> bool:
        """Whether a job has objects in the outbox."""
        with self._ledger.reading() as db:
            return db.execute("SELECT 1 FROM outbox WHERE job = ?", [job]).fetchone() is not None

    def is_over(self, delivery: Delivery) -> bool:
        """Whether a run of a delivery was cancelled, or another was started."""
        with self._ledger.reading() as db:
            row = db.execute(
                "SELECT state, run FROM deliveries WHERE job = ? AND destination = ?",
                [delivery.job, delivery.destination],
            ).fetchone()
        return bool(row["state"] == "cancelled" or row["run"] != delivery.run)

    def to_enqueue(self) -> list[Delivery]:
        """Deliveries that have no workflow yet."""
        return self._select("enqueued < run")

    def started(self) -> list[Delivery]:
        """Deliveries that should have a workflow."""
        return self._select("enqueued = run")

    def again(self, delivery: Delivery) -> None:
        """Start a delivery whose workflow is lost."""
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE deliveries SET run = run + 1 WHERE job = ? AND destination = ?",
                [delivery.job, delivery.destination],
            )

    def _select(self, condition: str) -> list[Delivery]:
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT job, destination, run FROM deliveries"
                f" WHERE state = 'waiting' AND {condition} AND EXISTS"
                " (SELECT 1 FROM outbox WHERE outbox.job = deliveries.job) ORDER BY changed_at"
            ).fetchall()
        return [Delivery(row["job"], row["destination"], row["run"]) for row in rows]

    def kept_by(self, host: str) -> set[str]:
        """Jobs whose objects a host has, or had when they were to be removed."""
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT job FROM outbox WHERE host = ? UNION SELECT job FROM removals WHERE host = ?"
                " UNION SELECT job FROM jobs WHERE host = ?",
                [host, host, host],
            ).fetchall()
        return {row["job"] for row in rows}

    def makers(self, jobs: Collection[str]) -> dict[str, str]:
        """The host that has the objects of jobs."""
        marks = ",".join("?" * len(jobs))
        with self._ledger.reading() as db:
            rows = db.execute(f"SELECT DISTINCT job, host FROM outbox WHERE job IN ({marks})", [*jobs])
            return {row["job"]: row["host"] for row in rows}

    def enqueued(self, delivery: Delivery, host: str = "") -> None:
        """The workflow of this run is on its queue, that of a host."""
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE deliveries SET enqueued = ?, host = ? WHERE job = ? AND destination = ? AND run = ?",
                [delivery.run, host, delivery.job, delivery.destination, delivery.run],
            )

    def outstanding(self, job: str, destination: str) -> list[Derived]:
        """Objects of a job that are not stored at a destination yet."""
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT outbox.* FROM outbox LEFT JOIN stores"
                " ON stores.sop_uid = outbox.sop_uid AND stores.destination = ?"
                " WHERE outbox.job = ? AND stores.stored_at IS NULL ORDER BY outbox.sop_uid",
                [destination, job],
            ).fetchall()
        return [derived_of(row) for row in rows]

    def answered(
        self, sop_uid: str, destination: str, status: int | None, *, stored_at: float | None
    ) -> None:
        """Write down one request and its answer; `stored_at` is None unless it is stored there now."""
        with self._ledger.transaction() as db:
            db.execute(
                "INSERT INTO stores (sop_uid, destination, requests, status, stored_at)"
                " VALUES (?, ?, 1, ?, ?)"
                " ON CONFLICT (sop_uid, destination) DO UPDATE SET requests = stores.requests + 1,"
                " status = excluded.status,"
                " stored_at = excluded.stored_at",
                [sop_uid, destination, status, stored_at],
            )

    def attempted(self, delivery: Delivery, attempt: Attempt, now: float) -> None:
        """Write down what came of an attempt; the job is done, or undelivered, when no delivery waits."""
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE deliveries SET state = ?, reason = ?, attempts = attempts + 1,"
                " failures = failures + ?, first_at = coalesce(first_at, ?), next_at = ?, changed_at = ?"
                " WHERE job = ? AND destination = ? AND run = ? AND (state != 'cancelled' OR ? = 'sent')",
                [
                    attempt.state, attempt.reason, int(attempt.state not in ("sent", "committing")), now,
                    now + attempt.wait_seconds if attempt.state in ("waiting", "committing") else None,
                    now, delivery.job, delivery.destination, delivery.run, attempt.state,
                ],
            )  # fmt: skip
            settle(db, delivery.job, now)

    def postponed(self, delivery: Delivery, reason: str, next_at: float, now: float) -> None:
        """Write down why it is not tried before a moment, which counts as no attempt."""
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE deliveries SET reason = ?, next_at = ?, changed_at = ?"
                " WHERE job = ? AND destination = ? AND run = ? AND state = 'waiting'",
                [reason, next_at, now, delivery.job, delivery.destination, delivery.run],
            )

    def strand(self, destinations: Sequence[str], now: float) -> None:
        """Make dead letters of what waits for destinations other than these: nobody would send it."""
        with self._ledger.transaction() as db:
            rows = db.execute(
                "SELECT job, destination FROM deliveries WHERE state IN ('waiting', 'committing')"
            ).fetchall()
            for job, destination in rows:
                if destination not in destinations:
                    db.execute(
                        "UPDATE deliveries SET state = 'dead', reason = ?, changed_at = ?"
                        " WHERE job = ? AND destination = ?",
                        [f"destination '{destination}' is not configured any more", now, job, destination],
                    )
                    settle(db, job, now)

    def history(self, job: str, destination: str) -> tuple[int, float | None]:
        """Attempts so far in this run, and when the first of them was."""
        with self._ledger.reading() as db:
            row = db.execute(
                "SELECT attempts, first_at FROM deliveries WHERE job = ? AND destination = ?",
                [job, destination],
            ).fetchone()
        return row["attempts"], row["first_at"]

    def retry(self, jobs: Sequence[str], now: float) -> list[Delivery]:
        """Let dead letters wait again, all of them if `jobs` is empty; returns those.

        What was cancelled waits again if its job is named, and its objects were not removed since.
        """
        with self._ledger.transaction() as db:
            rows = db.execute(
                "SELECT job, destination, deliveries.run FROM deliveries JOIN jobs USING (job)"
                " WHERE (deliveries.state = 'dead' OR (deliveries.state = 'cancelled' AND ? = 1))"
                " AND jobs.removing_at IS NULL AND jobs.removed_at IS NULL",
                [bool(jobs)],
            ).fetchall()
            chosen = [
                Delivery(row["job"], row["destination"], row["run"] + 1)
                for row in rows
                if not jobs or row["job"] in jobs
            ]
            for delivery in chosen:
                db.execute(
                    "UPDATE deliveries SET state = 'waiting', run = ?, attempts = 0, resends = 0,"
                    " first_at = NULL, next_at = NULL, changed_at = ? WHERE job = ? AND destination = ?",
                    [delivery.run, now, delivery.job, delivery.destination],
                )
                settle(db, delivery.job, now)
        return chosen


_JOB_STATES = {
    "waiting": "delivering",
    "committing": "delivering",
    "dead": "undelivered",
    "cancelled": "cancelled",
}
"""State of a job that has a delivery in one, the first that holds."""


def settle(db: Connection, job: str, now: float) -> None:
    """Enter the state of a job that follows from its deliveries; it is done when all of them are finished."""
    states = {row["state"] for row in db.execute("SELECT state FROM deliveries WHERE job = ?", [job])}
    found = [name for state, name in _JOB_STATES.items() if state in states]
    state = "done" if states <= {FINISHED} else found[0]
    db.execute("UPDATE jobs SET state = ?, changed_at = ? WHERE job = ?", [state, now, job])


def derived_of(row: Row) -> Derived:
    """An object, of its row in the outbox."""
    return Derived(
        sop_uid=row["sop_uid"],
        series_uid=row["series_uid"],
        path=Path(row["path"]),
        sha256=row["sha256"],
        frames=row["frames"],
        sop_class_uid=row["sop_class_uid"],
        sources=tuple(json.loads(row["sources"])),
        host=row["host"],
    )
