"""Jobs and dead letters a page at a time, and one job with what was made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from casgan_dicom.node.state.job_inputs import inputs_of
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import JobRow, in_states, job_row, latest_jobs


@dataclass(frozen=True)
class JobPage:
    """Some of the jobs."""

    total: int
    """How many there are in all."""
    rows: tuple[JobRow, ...]
    """Those of this page, the latest change first."""


@dataclass(frozen=True)
class Made:
    """A derived object in the outbox."""

    sop_uid: str
    """SOP Instance UID (0008,0018)."""
    sop_class_uid: str
    """SOP Class UID (0008,0016); empty if unknown."""
    series_uid: str
    """Series Instance UID (0020,000E)."""
    frames: int
    """Number of frames."""
    path: Path
    """Its file."""


@dataclass(frozen=True)
class JobFiles:
    """The files of one job."""

    sources: tuple[Path, ...]
    """What it converts, in the spool."""
    made: tuple[Made, ...]
    """What it made; none where that was removed."""


@dataclass(frozen=True)
class DeadLetter:
    """A delivery that was given up."""

    job: str
    """The job."""
    series_uid: str
    """Series Instance UID (0020,000E) of the source."""
    destination: str
    """Name of the destination."""
    reason: str
    """Why."""
    attempts: int
    """Attempts of this run."""
    changed_at: float
    """When it was given up, seconds since 1970."""


def jobs_page(ledger: Ledger, states: Sequence[str], offset: int, limit: int, work: Path) -> JobPage:
    """Some of the jobs in these states, or in any if none are said; `work` as in `list_jobs`."""
    with ledger.reading() as db:
        (total,) = db.execute(f"SELECT count(*) FROM jobs {in_states(states)}", [*states]).fetchone()
        rows = latest_jobs(db, states, limit, offset)
        return JobPage(total, tuple(job_row(db, row, work) for row in rows))


def one_job(ledger: Ledger, job: str, work: Path) -> JobRow | None:
    """A job by its id; None if there is none. `work` as in `list_jobs`."""
    with ledger.reading() as db:
        row = db.execute("SELECT * FROM jobs WHERE job = ?", [job]).fetchone()
        return None if row is None else job_row(db, row, work)


def files_of(ledger: Ledger, job: str) -> JobFiles | None:
    """The files of a job by its id; None if there is none."""
    with ledger.reading() as db:
        row = db.execute("SELECT removed_at FROM jobs WHERE job = ?", [job]).fetchone()
        if row is None:
            return None
        sources = inputs_of(db, job).paths
        made = db.execute("SELECT * FROM outbox WHERE job = ? ORDER BY path", [job]).fetchall()
    return JobFiles(
        tuple(sources),
        ()
        if row["removed_at"]
        else tuple(
            Made(
                each["sop_uid"], each["sop_class_uid"], each["series_uid"], each["frames"], Path(each["path"])
            )
            for each in made
        ),
    )


def dead_letters(ledger: Ledger, offset: int, limit: int) -> tuple[int, list[DeadLetter]]:
    """How many dead letters there are, and some of them, the latest first."""
    with ledger.reading() as db:
        (total,) = db.execute("SELECT count(*) FROM deliveries WHERE state = 'dead'").fetchone()
        rows = db.execute(
            "SELECT deliveries.job, jobs.series_uid, deliveries.destination, deliveries.reason,"
            " deliveries.attempts, deliveries.changed_at FROM deliveries"
            " JOIN jobs ON jobs.job = deliveries.job WHERE deliveries.state = 'dead'"
            " ORDER BY deliveries.changed_at DESC, deliveries.job, deliveries.destination LIMIT ? OFFSET ?",
            [limit, offset],
        ).fetchall()
    return total, [DeadLetter(**dict(row)) for row in rows]
