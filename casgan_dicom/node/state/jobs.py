"""Jobs: one for each revision of a series, from its first instance to its end.

    receiving ─▶ queued ─▶ converting ─▶ delivering ─▶ done
                               │              └─▶ undelivered  a destination has a dead letter
                               ├─▶ skipped        not eligible; the reasons say why
                               ├─▶ quarantined    it killed the worker again and again at the same place
                               └─▶ failed         an error that is ours, or a disk that stayed full

What follows ``converting`` is entered by ``deliveries.py``. What a job makes of which instances is decided
here, from rows that do not change any more, so that it is the same after every crash.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from casgan_dicom.node.state.ledger import Ledger

JobState = Literal[
    "receiving",
    "queued",
    "converting",
    "delivering",
    "done",
    "undelivered",
    "skipped",
    "quarantined",
    "failed",
]
RETRIABLE: tuple[JobState, ...] = ("quarantined", "failed")
"""Ends that `node retry` starts again."""


@dataclass(frozen=True)
class OpenSeries:
    """What is known about a series that still takes instances."""

    instances: int
    """How many instances came in."""
    stills: int
    """How many of them hold a single frame."""
    expected: int | None
    """How many instances the headers promise; None where they do not tell."""
    first_at: float
    """When the first came in."""
    last_at: float
    """When the last came in."""


@dataclass(frozen=True)
class OpenJob:
    """A job whose series is not complete yet."""

    job: str
    """Its id."""
    peer: str
    """Calling AE title of the first instance."""
    series: OpenSeries
    """What came in."""


@dataclass(frozen=True)
class Inputs:
    """What a job converts, and as what."""

    series_uid: str
    """Series Instance UID (0020,000E) of the source."""
    paths: tuple[Path, ...]
    """Files in the spool."""
    revision: int
    """Revision of the derived series: 1 unless the same frames were converted before with fewer or others."""
    supersedes: str
    """Series Instance UID of the derived series before that; empty for none."""


@dataclass(frozen=True)
class Enqueuing:
    """A job that is to be started."""

    job: str
    """Its id."""
    series_uid: str
    """Series Instance UID (0020,000E) of the source."""
    run: int
    """How often it was started, from 1: it is started again by hand, or if its workflow is lost."""


class JobList:
    """The jobs of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def receiving(self, now: float) -> list[OpenJob]:
        """Jobs that still take instances. A clock that was set back does not make them wait for it."""
        found = self._receiving()
        if all(job.series.last_at <= now for job in found):
            return found
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE jobs SET last_at = ?, first_at = min(first_at, ?)"
                " WHERE state = 'receiving' AND last_at > ?",
                [now, now, now],
            )
        return self._receiving()

    def _receiving(self) -> list[OpenJob]:
        with self._ledger.reading() as db:
            rows = db.execute("SELECT * FROM jobs WHERE state = 'receiving' ORDER BY first_at").fetchall()
        return [OpenJob(row["job"], row["peer"], _open_series(row)) for row in rows]

    def close(self, job: str, seen: OpenSeries, now: float) -> bool:
        """Take no more instances; False if another came in since `seen`."""
        with self._ledger.transaction() as db:
            done = db.execute(
                "UPDATE jobs SET state = 'queued', changed_at = ?"
                " WHERE job = ? AND state = 'receiving' AND instances = ?",
                [now, job, seen.instances],
            )
            return done.rowcount == 1

    def to_enqueue(self) -> list[Enqueuing]:
        """Jobs that are complete and have no workflow yet."""
        return self._select("state = 'queued' AND enqueued < run")

    def enqueued(self, job: Enqueuing) -> None:
        """The workflow of this run is on its queue."""
        with self._ledger.transaction() as db:
            db.execute("UPDATE jobs SET enqueued = ? WHERE job = ?", [job.run, job.job])

    def started(self) -> list[Enqueuing]:
        """Jobs that should have a workflow: it waits or converts."""
        return self._select("state IN ('queued', 'converting') AND enqueued = run")

    def again(self, job: Enqueuing, now: float) -> None:
        """Queue a job whose workflow is lost."""
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE jobs SET state = 'queued', run = run + 1, changed_at = ? WHERE job = ?",
                [now, job.job],
            )

    def _select(self, condition: str) -> list[Enqueuing]:
        with self._ledger.reading() as db:
            rows = db.execute(
                f"SELECT job, series_uid, run FROM jobs WHERE {condition} ORDER BY changed_at"
            ).fetchall()
        return [Enqueuing(row["job"], row["series_uid"], row["run"]) for row in rows]

    def enter(self, job: str, state: JobState, now: float, reasons: Sequence[str] = ()) -> None:
        """Change the state of a job."""
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE jobs SET state = ?, reasons = ?, changed_at = ? WHERE job = ?",
                [state, json.dumps(list(reasons)), now, job],
            )

    def inputs(self, job: str) -> Inputs:
        """What a job converts.

        Whole cines are converted one by one: those that came in with the job. Single frames are a run
        together with those of earlier revisions; of two data sets under one UID the later one counts.
        """
        with self._ledger.reading() as db:
            row = db.execute("SELECT * FROM jobs WHERE job = ?", [job]).fetchone()
            instances = db.execute(
                "SELECT instances.sop_uid, instances.path FROM instances JOIN jobs USING (job)"
                " WHERE jobs.series_uid = ? AND (jobs.job = ?"
                " OR (? AND instances.frames = 1 AND jobs.revision < ?))"
                " ORDER BY jobs.revision, instances.rowid",
                [row["series_uid"], job, row["stills"] > 0, row["revision"]],
            ).fetchall()
            latest = {instance["sop_uid"]: Path(instance["path"]) for instance in instances}
            before = _predecessor(db, row)
        another = before is not None or row["replaced"]
        return Inputs(
            series_uid=row["series_uid"],
            paths=tuple(latest[uid] for uid in sorted(latest)),
            revision=row["revision"] if another else 1,
            supersedes=before or "",
        )

    def lenders(self, job: str, since: float) -> tuple[Path, ...]:
        """Files of all other series that are complete and came in after `since`, the latest data set of each.

        Which of them are of the same study, and may lend their vessels, their headers tell.
        """
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT instances.sop_uid, instances.path FROM instances JOIN jobs USING (job)"
                " WHERE jobs.state != 'receiving' AND instances.received_at >= ?"
                " AND jobs.series_uid != (SELECT series_uid FROM jobs WHERE job = ?)"
                " ORDER BY instances.rowid",
                [since, job],
            ).fetchall()
        return tuple({row["sop_uid"]: Path(row["path"]) for row in rows}.values())

    def known(self, jobs: Sequence[str]) -> set[str]:
        """Those of some ids that are jobs."""
        with self._ledger.reading() as db:
            found = [db.execute("SELECT job FROM jobs WHERE job = ?", [job]).fetchone() for job in jobs]
        return {row["job"] for row in found if row is not None}

    def died_at(self, job: str, place: str) -> int:
        """Count a death of the worker; how many in a row were at this very place."""
        with self._ledger.transaction() as db:
            row = db.execute("SELECT place, deaths FROM jobs WHERE job = ?", [job]).fetchone()
            deaths: int = row["deaths"] + 1 if row["place"] == place else 1
            db.execute("UPDATE jobs SET place = ?, deaths = ? WHERE job = ?", [place, deaths, job])
            return deaths

    def retry(self, jobs: Sequence[str], now: float) -> list[str]:
        """Queue jobs again that ended badly, all of them if `jobs` is empty; returns those.

        One that was skipped is only tried again by name.
        """
        states = (*RETRIABLE, "skipped") if jobs else RETRIABLE
        marks = ",".join("?" * len(states))
        with self._ledger.transaction() as db:
            rows = db.execute(f"SELECT job FROM jobs WHERE state IN ({marks})", states).fetchall()
            chosen = [row["job"] for row in rows if not jobs or row["job"] in jobs]
            for job in chosen:
                db.execute(
                    "UPDATE jobs SET state = 'queued', run = run + 1, deaths = 0, place = '', reasons = '[]',"
                    " changed_at = ? WHERE job = ?",
                    [now, job],
                )
        return chosen


def _open_series(row: sqlite3.Row) -> OpenSeries:
    return OpenSeries(
        instances=row["instances"],
        stills=row["stills"],
        expected=row["expected"],
        first_at=row["first_at"],
        last_at=row["last_at"],
    )


def _predecessor(db: sqlite3.Connection, row: sqlite3.Row) -> str | None:
    """Derived series of an earlier revision that a job supersedes; None if it supersedes none.

    A run of single frames supersedes the run before; a whole cine only what was made of another data set
    under its UID.
    """
    if not row["stills"] and not row["replaced"]:
        return None
    found = db.execute(
        "SELECT outbox.series_uid FROM outbox JOIN jobs USING (job)"
        " WHERE jobs.series_uid = ? AND jobs.revision < ? AND (jobs.stills > 0) = ?"
        " ORDER BY jobs.revision DESC LIMIT 1",
        [row["series_uid"], row["revision"], row["stills"] > 0],
    ).fetchone()
    return None if found is None else str(found["series_uid"])
