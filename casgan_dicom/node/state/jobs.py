"""Jobs: one for each revision of a series, from its first instance to its end.

    receiving ─▶ queued ─▶ converting ─▶ delivering ─▶ done
                               │              └─▶ undelivered  a destination has a dead letter
                               ├─▶ skipped        not eligible; the reasons say why
                               ├─▶ lacking        files of it are gone; it goes on when they are sent again
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
    "lacking",
    "quarantined",
    "failed",
]
RETRIABLE: tuple[JobState, ...] = ("quarantined", "failed", "lacking")
"""Ends that `node retry` starts again."""
_THERE = (
    "(SELECT count(DISTINCT sop_uid) FROM instances JOIN jobs AS other USING (job)"
    " WHERE other.lineage = jobs.lineage AND other.revision <= jobs.revision)"
)
"""Of a row of `jobs`: different instances that came in with this revision of its lineage, and before."""


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
    series: OpenSeries
    """What came in."""


@dataclass(frozen=True)
class Made:
    """An object in the outbox that was made of earlier data sets of some instances."""

    sop_class_uid: str
    """SOP Class UID (0008,0016)."""
    sop_uid: str
    """SOP Instance UID (0008,0018)."""
    series_uid: str
    """Series Instance UID (0020,000E)."""
    sources: tuple[str, ...]
    """SOP Instance UIDs of what it was made of."""


@dataclass(frozen=True)
class Corrected:
    """An instance of which another data set came in after one that was converted."""

    sop_uid: str
    """SOP Instance UID (0008,0018)."""
    before: Path
    """The file that an earlier revision had."""
    now: Path
    """The file that came in with this one."""


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
    superseded: tuple[Made, ...] = ()
    """The objects that it supersedes, as far as the ledger knows what they were made of."""
    corrected: tuple[Corrected, ...] = ()
    """The instances of which another data set came in with this job."""
    own: tuple[Path, ...] = ()
    """Those of `paths` that came in with this job."""
    stills: frozenset[Path] = frozenset()
    """Those of `paths` that hold a single frame."""
    there: int = 0
    """Different instances that came in, with this job and before."""
    promised: int | None = None
    """How many the headers promise; None where they do not tell, or the job holds no single frame."""


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
            rows = db.execute(
                f"SELECT *, {_THERE} AS there FROM jobs WHERE state = 'receiving' ORDER BY first_at"
            ).fetchall()
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
            row = db.execute(f"SELECT *, {_THERE} AS there FROM jobs WHERE job = ?", [job]).fetchone()
            instances = _instances(db, row)
            before = _predecessor(db, row)
            own = [each for each in instances if each["job"] == job]
            used = own + [each for each in instances if row["stills"] > 0 and each["frames"] == 1]
            latest = {each["sop_uid"]: each for each in sorted(used, key=_age)}
            paths = {uid: Path(each["path"]) for uid, each in latest.items()}
            superseded = _superseded(db, row, set(latest))
        another = before is not None or row["replaced"]
        return Inputs(
            series_uid=row["series_uid"],
            paths=tuple(paths[uid] for uid in sorted(paths)),
            revision=row["revision"] if another else 1,
            supersedes=before or "",
            superseded=superseded,
            corrected=_corrected(own, instances),
            own=tuple(paths[uid] for uid in sorted({each["sop_uid"] for each in own})),
            stills=frozenset(paths[uid] for uid, each in latest.items() if each["frames"] == 1),
            there=row["there"],
            promised=row["expected"] if row["stills"] else None,
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
        earlier=row["there"] - row["instances"],
    )


def _instances(db: sqlite3.Connection, row: sqlite3.Row) -> list[sqlite3.Row]:
    """The instances of a job and of the revisions before it, in the order in which they came in."""
    return db.execute(
        "SELECT instances.*, instances.rowid AS number, jobs.revision FROM instances JOIN jobs USING (job)"
        " WHERE jobs.lineage = ? AND jobs.revision <= ? ORDER BY jobs.revision, instances.rowid",
        [row["lineage"], row["revision"]],
    ).fetchall()


def _age(instance: sqlite3.Row) -> tuple[int, int]:
    """When an instance came in, as something to sort by."""
    return instance["revision"], instance["number"]


def _corrected(own: Sequence[sqlite3.Row], instances: Sequence[sqlite3.Row]) -> tuple[Corrected, ...]:
    """The instances of a job that an earlier revision had."""
    now = {each["sop_uid"]: Path(each["path"]) for each in own}
    job = own[0]["job"] if own else ""
    before = {each["sop_uid"]: Path(each["path"]) for each in instances if each["job"] != job}
    return tuple(Corrected(uid, before[uid], path) for uid, path in sorted(now.items()) if uid in before)


def _superseded(db: sqlite3.Connection, row: sqlite3.Row, uids: set[str]) -> tuple[Made, ...]:
    """What earlier revisions made last of the instances that a job converts."""
    rows = db.execute(
        "SELECT outbox.* FROM outbox JOIN jobs USING (job) WHERE jobs.lineage = ? AND jobs.revision < ?"
        " ORDER BY jobs.revision DESC, outbox.sop_uid",
        [row["lineage"], row["revision"]],
    ).fetchall()
    found: dict[str, Made] = {}
    left = set(uids)
    for job in dict.fromkeys(each["job"] for each in rows):
        made = [_made(each) for each in rows if each["job"] == job]
        found |= {one.sop_uid: one for one in made if left.intersection(one.sources)}
        left.difference_update(*(one.sources for one in made))
    return tuple(found.values())


def _made(row: sqlite3.Row) -> Made:
    return Made(row["sop_class_uid"], row["sop_uid"], row["series_uid"], tuple(json.loads(row["sources"])))


def _predecessor(db: sqlite3.Connection, row: sqlite3.Row) -> str | None:
    """Derived series of an earlier revision that a job supersedes; None if it supersedes none.

    A run of single frames supersedes the run before; a whole cine only what was made of another data set
    under its UID.
    """
    if not row["stills"] and not row["replaced"]:
        return None
    found = db.execute(
        "SELECT outbox.series_uid FROM outbox JOIN jobs USING (job)"
        " WHERE jobs.lineage = ? AND jobs.revision < ? AND (jobs.stills > 0) = ?"
        " ORDER BY jobs.revision DESC LIMIT 1",
        [row["lineage"], row["revision"], row["stills"] > 0],
    ).fetchone()
    return None if found is None else str(found["series_uid"])
