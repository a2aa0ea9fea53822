"""Jobs: one for each revision of a series, from its first instance to its end.

    receiving ─▶ queued ─▶ converting ─▶ delivering ─▶ done
                               │              └─▶ undelivered  a destination has a dead letter
                               ├─▶ skipped        not eligible; the reasons say why
                               ├─▶ kept           no rule wants it converted; a person may
                               ├─▶ lacking        files of it are gone; it goes on when they are sent again
                               ├─▶ quarantined    it killed the worker again and again at the same place
                               └─▶ failed         an error that is ours, or a disk that stayed full

A person may end one before it is done: ``cancelled`` (``orders.py``). What follows ``converting`` is entered
by ``deliveries.py``; what a job makes of which instances is decided in ``job_inputs.py``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from casgan_dicom.node.settings import PRIORITIES, Priority
from casgan_dicom.node.state.database import Connection, Row
from casgan_dicom.node.state.holdings import HeldFile, held_instance
from casgan_dicom.node.state.job_inputs import THERE, Inputs, frames_of, inputs_of
from casgan_dicom.node.state.ledger import Ledger

JobState = Literal[
    "receiving",
    "queued",
    "converting",
    "delivering",
    "done",
    "undelivered",
    "skipped",
    "kept",
    "lacking",
    "quarantined",
    "failed",
    "cancelled",
]
RETRIABLE: tuple[JobState, ...] = ("quarantined", "failed", "lacking")
"""Ends that `node retry` starts again."""
BY_NAME: tuple[JobState, ...] = (*RETRIABLE, "skipped", "kept", "cancelled")
"""Ends that it starts again if it is told the job."""
_WORKED_ON = "('queued', 'converting')"
_RANK = (
    f"CASE jobs.priority {' '.join(f'WHEN {each!r} THEN {k}' for k, each in enumerate(PRIORITIES))}"
    f" ELSE {PRIORITIES.index('routine')} END"
)
"""Place of the priority of a row of `jobs` among `PRIORITIES`."""
_ASKED_FOR = (
    "NOT EXISTS (SELECT 1 FROM instances"
    " WHERE instances.series_uid = jobs.series_uid AND instances.job = jobs.job"
    " AND NOT EXISTS (SELECT 1 FROM promised"
    " WHERE promised.sop_uid = instances.sop_uid AND promised.peer = instances.peer))"
)
"""Whether the sender of a row of `jobs` has asked us to commit every instance of it (``promises.py``)."""


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
    earlier: int = 0
    """Instances that came in with earlier revisions, those of these that came in again not counted."""
    asked_for: bool = False
    """Whether the sender has asked us to commit every instance."""

    @property
    def there(self) -> int:
        """How many different instances of the series there are."""
        return self.instances + self.earlier


@dataclass(frozen=True)
class OpenJob:
    """A job whose series is not complete yet."""

    job: str
    """Its id."""
    peer: str
    """Calling AE title of the first instance."""
    address: str
    """Where it came from."""
    series: OpenSeries
    """What came in."""


@dataclass(frozen=True)
class Place:
    """A device of a host."""

    host: str
    """The host; empty for the only one."""
    device: str
    """The device."""


@dataclass(frozen=True)
class Enqueuing:
    """A job that is to be started."""

    job: str
    """Its id."""
    series_uid: str
    """Series Instance UID (0020,000E) of the source."""
    run: int
    """How often it was started, from 1: it is started again by hand, or if its workflow is lost."""
    priority: Priority = "routine"
    """How urgent it is."""
    place: Place | None = None
    """Where it was handed to; None for nowhere yet."""


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
                "UPDATE jobs SET last_at = ?, first_at = CASE WHEN first_at > ? THEN ? ELSE first_at END"
                " WHERE state = 'receiving' AND last_at > ?",
                [now, now, now, now],
            )
        return self._receiving()

    def _receiving(self) -> list[OpenJob]:
        with self._ledger.reading() as db:
            rows = db.execute(
                f"SELECT *, {THERE} AS there, (SELECT address FROM instances WHERE instances.job = jobs.job"
                f" ORDER BY number LIMIT 1) AS address, {_ASKED_FOR} AS asked_for"
                " FROM jobs WHERE state = 'receiving' ORDER BY first_at"
            ).fetchall()
        return [OpenJob(row["job"], row["peer"], row["address"] or "", _open_series(row)) for row in rows]

    def close(self, job: str, seen: OpenSeries, now: float, priority: Priority = "routine") -> bool:
        """Take no more instances; False if another came in since `seen`.

        `priority` counts where nobody has said one. What waits of the same lineage becomes as urgent: it has
        to be converted first.
        """
        with self._ledger.transaction() as db:
            done = db.execute(
                "UPDATE jobs SET state = 'queued', changed_at = ?,"
                " priority = CASE priority WHEN '' THEN ? ELSE priority END"
                " WHERE job = ? AND state = 'receiving' AND instances = ?",
                [now, priority, job, seen.instances],
            )
            if done.rowcount == 1:
                hurry(db, job)
            return done.rowcount == 1

    def frames(self, job: str) -> int:
        """How many frames a job is about to convert, as far as the headers tell."""
        with self._ledger.reading() as db:
            return frames_of(db, job)

    def to_enqueue(self) -> list[Enqueuing]:
        """Jobs that are complete and have no workflow yet, the most urgent first.

        The revisions of a lineage go one by one: a later one has to know what the earlier made.
        """
        return self._select(
            "state = 'queued' AND enqueued < run AND NOT EXISTS (SELECT 1 FROM jobs AS earlier"
            " WHERE earlier.series_uid = jobs.series_uid AND earlier.lineage = jobs.lineage"
            " AND earlier.revision < jobs.revision AND earlier.repeats = ''"
            f" AND earlier.state IN {_WORKED_ON})"
        )

    def at_work(self, host: str) -> set[str]:
        """Jobs that a host converts, or of which it sends something."""
        with self._ledger.reading() as db:
            rows = db.execute(
                f"SELECT job FROM jobs WHERE host = ? AND state IN {_WORKED_ON}"
                " UNION SELECT job FROM deliveries WHERE host = ? AND state = 'waiting'",
                [host, host],
            ).fetchall()
        return {row["job"] for row in rows}

    def sources(self) -> dict[str, set[str]]:
        """Hosts that have files of jobs without a workflow, by job; files that were removed do not count."""
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT DISTINCT jobs.job, instances.host FROM jobs"
                " JOIN jobs AS base ON base.job = coalesce(nullif(jobs.repeats, ''), jobs.job)"
                " JOIN jobs AS other ON other.series_uid = base.series_uid"
                " AND other.lineage = base.lineage AND other.revision <= base.revision"
                " JOIN instances ON instances.series_uid = other.series_uid AND instances.job = other.job"
                " WHERE jobs.state = 'queued' AND jobs.enqueued < jobs.run AND instances.removed_at IS NULL"
            ).fetchall()
        found: dict[str, set[str]] = {}
        for row in rows:
            found.setdefault(row["job"], set()).add(row["host"])
        return found

    def enqueued(self, job: Enqueuing, place: Place) -> None:
        """The workflow of this run is on the queue of a device."""
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE jobs SET enqueued = ?, host = ?, device = ? WHERE job = ? AND run = ?",
                [job.run, place.host, place.device, job.job, job.run],
            )

    def started(self) -> list[Enqueuing]:
        """Jobs that should have a workflow: it waits or converts."""
        return self._select(f"state IN {_WORKED_ON} AND enqueued = run")

    def ranks(self, jobs: Collection[str]) -> dict[str, int]:
        """Place of jobs among `PRIORITIES`."""
        if not jobs:
            return {}
        marks = ",".join("?" * len(jobs))
        with self._ledger.reading() as db:
            rows = db.execute(f"SELECT job, {_RANK} AS rank FROM jobs WHERE job IN ({marks})", [*jobs])
            return {row["job"]: row["rank"] for row in rows}

    def begin(self, job: str, run: int, recipe: str, now: float) -> bool:
        """Enter that a run of a job converts; False if it was cancelled, or another run is to be."""
        with self._ledger.transaction() as db:
            done = db.execute(
                "UPDATE jobs SET state = 'converting', reasons = '[]', recipe = ?, changed_at = ?"
                f" WHERE job = ? AND run = ? AND state IN {_WORKED_ON}",
                [recipe, now, job, run],
            )
            return done.rowcount == 1

    def decided(self, job: str, run: int, rule: str, recipe: str) -> None:
        """Enter which rule decided about a run of a job, and by which recipe it is made."""
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE jobs SET rule = ?, recipe = ? WHERE job = ? AND run = ?", [rule, recipe, job, run]
            )

    def wanted(self, job: str, run: int) -> bool:
        """Whether a run of a job is still the one to go on with."""
        with self._ledger.reading() as db:
            row = db.execute("SELECT state, run FROM jobs WHERE job = ?", [job]).fetchone()
        return bool(row["run"] == run and row["state"] != "cancelled")

    def again(self, job: str, run: int, now: float) -> None:
        """Queue a job whose workflow is lost, or cannot go on where it was; not if another run is to be."""
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE jobs SET state = 'queued', run = run + 1, host = '', device = '', changed_at = ?"
                f" WHERE job = ? AND run = ? AND state IN {_WORKED_ON}",
                [now, job, run],
            )

    def is_run(self, job: str, run: int) -> bool:
        """Whether this run of a job is the last that was started."""
        with self._ledger.reading() as db:
            return bool(db.execute("SELECT run FROM jobs WHERE job = ?", [job]).fetchone()["run"] == run)

    def _select(self, condition: str) -> list[Enqueuing]:
        with self._ledger.reading() as db:
            rows = db.execute(
                f"SELECT job, series_uid, run, enqueued, host, device, {_RANK} AS rank FROM jobs"
                f" WHERE {condition}"
                " ORDER BY rank, changed_at"
            ).fetchall()
        return [_enqueuing(row) for row in rows]

    def enter(
        self, job: str, state: JobState, now: float, reasons: Sequence[str] = (), *, run: int = 0
    ) -> bool:
        """Change the state of a job; False if it was cancelled, or started anew since; run 0 is any."""
        with self._ledger.transaction() as db:
            done = db.execute(
                "UPDATE jobs SET state = ?, reasons = ?, changed_at = ?"
                " WHERE job = ? AND state != 'cancelled' AND ? IN (0, run)",
                [state, json.dumps(list(reasons)), now, job, run],
            )
            return done.rowcount == 1

    def inputs(self, job: str) -> Inputs:
        """What a job converts."""
        with self._ledger.reading() as db:
            return inputs_of(db, job)

    def lenders(self, job: str, since: float) -> tuple[HeldFile, ...]:
        """Files of all other series that are complete and came in after `since`, the latest data set of each.

        Which of them are of the same study, and may lend their vessels, their headers tell; of what other
        hosts have, the ledger does.
        """
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT instances.* FROM instances JOIN jobs USING (job)"
                " WHERE jobs.state != 'receiving' AND instances.received_at >= ?"
                " AND jobs.series_uid != (SELECT series_uid FROM jobs WHERE job = ?)"
                " AND (instances.host = '' OR instances.study_uid IN"
                " (SELECT own.study_uid FROM instances AS own WHERE own.job = ?))"
                " ORDER BY instances.number",
                [since, job, job],
            ).fetchall()
        return tuple({row["sop_uid"]: held_instance(row) for row in rows}.values())

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

        One that was skipped, kept or cancelled is only tried again by name: what was kept is then converted
        whatever the rules say. None is if it was cancelled on its way to
        the destinations.
        """
        states = BY_NAME if jobs else RETRIABLE
        marks = ",".join("?" * len(states))
        with self._ledger.transaction() as db:
            rows = db.execute(
                f"SELECT job FROM jobs WHERE state IN ({marks}) AND removing_at IS NULL"
                " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.job = jobs.job)",
                states,
            ).fetchall()
            chosen = [row["job"] for row in rows if not jobs or row["job"] in jobs]
            for job in chosen:
                db.execute(
                    "UPDATE jobs SET by_hand = CASE state WHEN 'kept' THEN 1 ELSE by_hand END,"
                    " state = 'queued', run = run + 1,"
                    " deaths = 0, place = '', reasons = '[]',"
                    " priority = CASE priority WHEN '' THEN 'routine' ELSE priority END, removed_at = NULL,"
                    " changed_at = ?"
                    " WHERE job = ?",
                    [now, job],
                )
        return chosen


def hurry(db: Connection, job: str) -> None:
    """Make what waits of the lineage of a job, and is to be converted before it, at least as urgent."""
    row = db.execute("SELECT * FROM jobs WHERE job = ?", [job]).fetchone()
    rank = PRIORITIES.index(row["priority"] or "routine")
    db.execute(
        "UPDATE jobs SET priority = ? WHERE series_uid = ? AND lineage = ? AND revision < ?"
        f" AND repeats = '' AND state IN {_WORKED_ON} AND {_RANK} > ?",
        [row["priority"], row["series_uid"], row["lineage"], row["revision"], rank],
    )


def _enqueuing(row: Row) -> Enqueuing:
    place = Place(row["host"], row["device"]) if row["enqueued"] == row["run"] and row["device"] else None
    return Enqueuing(row["job"], row["series_uid"], row["run"], PRIORITIES[row["rank"]], place)


def _open_series(row: Row) -> OpenSeries:
    return OpenSeries(
        instances=row["instances"],
        stills=row["stills"],
        expected=row["expected"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        earlier=row["there"] - row["instances"],
        asked_for=bool(row["asked_for"]),
    )
