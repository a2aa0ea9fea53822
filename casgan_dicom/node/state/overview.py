"""What a person wants to know about a node: read from the ledger, whether the node runs or not."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger


@dataclass(frozen=True)
class Status:
    """A node at one moment."""

    data: Path
    """Its folder."""
    processes: dict[str, int]
    """Process ids of what runs, by role; empty if the node is stopped."""
    jobs: dict[str, int]
    """Jobs by state."""
    deliveries: dict[str, dict[str, int]]
    """Deliveries by destination, then by state."""
    instances: int
    """Instances received, without duplicates."""
    quarantined_instances: int
    """Data sets that could not be read, or contradicted themselves."""
    free_bytes: int
    """Free space on the disk of the folder."""


@dataclass(frozen=True)
class DeliveryRow:
    """A delivery, for a person."""

    destination: str
    """Name of the destination."""
    state: str
    """waiting, sent or dead."""
    attempts: int
    """Attempts of this run."""
    reason: str
    """What went wrong last; empty if nothing did."""
    next_at: float | None
    """When it is tried again."""


@dataclass(frozen=True)
class JobRow:
    """A job, for a person."""

    job: str
    """Its id."""
    series_uid: str
    """Series Instance UID (0020,000E) of the source."""
    revision: int
    """Revision of that series, from 1."""
    state: str
    """See ``jobs.py``."""
    reasons: tuple[str, ...]
    """Why it is not what one hopes."""
    peer: str
    """Calling AE title of the sender."""
    instances: int
    """Instances received for it."""
    derived: tuple[str, ...]
    """Files in the outbox."""
    first_at: float
    """When the first instance came in, seconds since 1970."""
    changed_at: float
    """When its state last changed, seconds since 1970."""
    deliveries: tuple[DeliveryRow, ...]
    """One for each destination."""


def status(layout: Layout, ledger: Ledger) -> Status:
    """Count what there is."""
    with ledger.reading() as db:
        processes = {row["role"]: row["pid"] for row in db.execute("SELECT role, pid FROM processes")}
        states = db.execute("SELECT state, count(*) FROM jobs GROUP BY state ORDER BY state").fetchall()
        sent = db.execute(
            "SELECT destination, state, count(*) FROM deliveries GROUP BY destination, state"
            " ORDER BY destination, state"
        ).fetchall()
        (instances,) = db.execute("SELECT count(*) FROM instances").fetchone()
        (quarantined,) = db.execute("SELECT count(*) FROM quarantine").fetchone()
    deliveries: dict[str, dict[str, int]] = {}
    for destination, state, count in sent:
        deliveries.setdefault(destination, {})[state] = count
    return Status(
        data=layout.data,
        processes=processes if _runs(layout) else {},
        jobs=dict(states),
        deliveries=deliveries,
        instances=instances,
        quarantined_instances=quarantined,
        free_bytes=shutil.disk_usage(layout.data).free,
    )


def list_jobs(ledger: Ledger, *, states: Sequence[str] = (), limit: int = 50) -> list[JobRow]:
    """The jobs that changed last, the latest first; only those in `states`, if there are any."""
    chosen = f"WHERE state IN ({','.join('?' * len(states))})" if states else ""
    with ledger.reading() as db:
        rows = db.execute(
            f"SELECT * FROM jobs {chosen} ORDER BY changed_at DESC, job LIMIT ?", [*states, limit]
        ).fetchall()
        return [_job_row(db, row) for row in rows]


def _job_row(db: sqlite3.Connection, row: sqlite3.Row) -> JobRow:
    derived = db.execute("SELECT path FROM outbox WHERE job = ? ORDER BY path", [row["job"]])
    deliveries = db.execute("SELECT * FROM deliveries WHERE job = ? ORDER BY destination", [row["job"]])
    return JobRow(
        job=row["job"],
        series_uid=row["series_uid"],
        revision=row["revision"],
        state=row["state"],
        reasons=tuple(json.loads(row["reasons"])),
        peer=row["peer"],
        instances=row["instances"],
        derived=tuple(path for (path,) in derived),
        first_at=row["first_at"],
        changed_at=row["changed_at"],
        deliveries=tuple(
            DeliveryRow(each["destination"], each["state"], each["attempts"], each["reason"], each["next_at"])
            for each in deliveries
        ),
    )


def _runs(layout: Layout) -> bool:
    """Whether a supervisor holds the folder: a row of a process outlives a node that was killed."""
    try:
        handle = os.open(layout.lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
