"""What a person decides about jobs: how urgent they are, that they end, that they are converted once more.

An order is a row that changes, in one transaction, whether the node runs or not. The processes look at it
when they next come by: the worker at the border of a batch of frames, the sender before an association.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from casgan_dicom.node.settings import Priority
from casgan_dicom.node.state.jobs import hurry
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.receipts import job_id

_KEPT = ("done", "skipped", "kept", "cancelled")
"""Ends that cannot be cancelled any more."""
_UNFINISHED = ("queued", "converting", "delivering")


@dataclass(frozen=True)
class Repeat:
    """With what a job is converted once more."""

    bundle: str
    """Name of a shipped bundle, or folder of any."""
    recipe: str
    """See `receipts.job_id`."""
    priority: Priority
    """How urgent it is."""


class Orders:
    """What a person decides about the jobs of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def states(self, jobs: Sequence[str]) -> dict[str, str]:
        """State of those of some ids that are jobs."""
        with self._ledger.reading() as db:
            rows = [db.execute("SELECT job, state FROM jobs WHERE job = ?", [job]).fetchone() for job in jobs]
        return {row["job"]: row["state"] for row in rows if row is not None}

    def cancel(self, jobs: Sequence[str], now: float) -> list[str]:
        """Let jobs go no further; returns those that had not ended well, or been ended, before."""
        cancelled = []
        with self._ledger.transaction() as db:
            for job in dict.fromkeys(jobs):
                done = db.execute(
                    "UPDATE jobs SET state = 'cancelled', changed_at = ?"
                    f" WHERE job = ? AND state NOT IN ({','.join('?' * len(_KEPT))})",
                    [now, job, *_KEPT],
                )
                if done.rowcount:
                    cancelled.append(job)
                    db.execute(
                        "UPDATE deliveries SET state = 'cancelled', next_at = NULL, changed_at = ?"
                        " WHERE job = ? AND state IN ('waiting', 'committing', 'dead')",
                        [now, job],
                    )
        return cancelled

    def prioritise(self, jobs: Sequence[str], priority: Priority) -> None:
        """Say how urgent jobs are; what has to be converted before them becomes as urgent."""
        with self._ledger.transaction() as db:
            for job in jobs:
                db.execute("UPDATE jobs SET priority = ? WHERE job = ?", [priority, job])
                hurry(db, job)

    def made_with(self, job: str, recipe: str) -> str | None:
        """The job that makes, or has made, the same of the instances of a job; None if there is none.

        One whose objects are not all in the outbox any more does not count.
        """
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT other.job, other.state FROM jobs JOIN jobs AS other"
                " ON coalesce(nullif(other.repeats, ''), other.job)"
                " = coalesce(nullif(jobs.repeats, ''), jobs.job)"
                " WHERE jobs.job = ? AND other.recipe = ? ORDER BY other.revision DESC",
                [job, recipe],
            ).fetchall()
            for row in rows:
                made = db.execute("SELECT path FROM outbox WHERE job = ?", [row["job"]]).fetchall()
                there = bool(made) and all(Path(each["path"]).is_file() for each in made)
                if row["state"] in _UNFINISHED or there:
                    return str(row["job"])
        return None

    def repeat(self, job: str, how: Repeat, now: float) -> str:
        """Queue the instances of a job once more; the id of the new job."""
        with self._ledger.transaction() as db:
            row = db.execute(
                "SELECT base.* FROM jobs AS asked JOIN jobs AS base"
                " ON base.job = coalesce(nullif(asked.repeats, ''), asked.job) WHERE asked.job = ?",
                [job],
            ).fetchone()
            (revision,) = db.execute(
                "SELECT max(revision) + 1 FROM jobs WHERE series_uid = ?", [row["series_uid"]]
            ).fetchone()
            name = job_id(row["series_uid"], revision, how.recipe)
            db.execute(
                "INSERT INTO jobs (job, series_uid, revision, lineage, state, peer, stills, priority, recipe,"
                " repeats, bundle, first_at, last_at, changed_at)"
                " VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    name, row["series_uid"], revision, row["lineage"], row["peer"], row["stills"],
                    how.priority, how.recipe, row["job"], how.bundle, now, now, now,
                ],
            )  # fmt: skip
        return name
