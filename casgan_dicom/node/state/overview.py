"""What a person wants to know about a node: read from the ledger, whether the node runs or not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from casgan_dicom.node.state.audit_sent import Sent, read_sent
from casgan_dicom.node.state.clock import database_time
from casgan_dicom.node.state.database import Connection, Row
from casgan_dicom.node.state.hosts import Seen, seen_hosts
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.pauses import Pauses
from casgan_dicom.node.state.processes import role_at
from casgan_dicom.node.state.reviews import Review, reviews_of
from casgan_dicom.node.state.storage import bytes_in
from casgan_dicom.node.state.supervisor import is_held

Phase = Literal["running", "starting", "stopped"]


@dataclass(frozen=True)
class HostRow:
    """One of the hosts that share a database, for a person."""

    name: str
    """What it is called."""
    address: str
    """Where the others fetch its files; empty where they cannot."""
    roles: tuple[str, ...]
    """What it does."""
    program: str
    """Version of its program."""
    seen_at: float
    """When it last showed that it lives, seconds since 1970."""
    is_live: bool
    """Whether that was not too long ago."""


@dataclass(frozen=True)
class LeaseRow:
    """A lease, for a person."""

    name: str
    """What it is for."""
    holder: str
    """Who has it."""
    token: int
    """How often it has changed hands."""
    seconds_left: float
    """Until it ends, unless it is renewed; negative for one that has ended."""


@dataclass(frozen=True)
class Status:
    """A node at one moment."""

    data: Path
    """Its folder."""
    phase: Phase
    """Whether it runs; ``starting`` until every process is ready."""
    processes: dict[str, int]
    """Process ids of what runs, by role; empty unless the node runs."""
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
    spool_bytes: int = 0
    """Length of the files in the spool, of every state."""
    outbox_bytes: int = 0
    """Length of the files in the outbox, of every state."""
    quarantine_bytes: int = 0
    """Length of the files in quarantine."""
    excess_bytes: int = 0
    """How much is in spool and outbox above `high_bytes` of `retention`, and may not be removed."""
    rejected: dict[str, int] = field(default_factory=dict)
    """Associations and connections that were not let in, by reason."""
    paused: tuple[str, ...] = ()
    """What a person has paused, in words."""
    audit: Sent = field(default_factory=Sent)
    """How much of the audit trail was sent to a syslog server."""
    hosts: tuple[HostRow, ...] = ()
    """Who shares the database; none for a node by itself."""
    leases: tuple[LeaseRow, ...] = ()
    """Who may do what only one may."""


@dataclass(frozen=True)
class DeliveryRow:
    """A delivery, for a person."""

    destination: str
    """Name of the destination."""
    state: str
    """waiting, committing, sent, dead or cancelled, see ``deliveries.py``."""
    attempts: int
    """Attempts of this run."""
    reason: str
    """What went wrong last; empty if nothing did."""
    next_at: float | None
    """When it is tried again, or the destination asked again to commit."""


@dataclass(frozen=True)
class JobRow:
    """A job, for a person."""

    job: str
    """Its id."""
    series_uid: str
    """Series Instance UID (0020,000E) of the source."""
    revision: int
    """Revision of that series, from 1."""
    priority: str
    """How urgent it is, see ``PRIORITIES``; empty while it receives and nobody has said it."""
    state: str
    """See ``jobs.py``."""
    reasons: tuple[str, ...]
    """Why it is not what one hopes."""
    peer: str
    """Calling AE title of the sender."""
    instances: int
    """Instances received for it."""
    frames: int
    """Frames that these hold, as far as their headers tell."""
    repeats: str
    """The job that it converts once more; empty for none."""
    bundle: str
    """The bundle that a person has named for that; empty for that of the configuration."""
    rule: str
    """The rule that decided about it; empty where none did, or nobody has asked."""
    progress: str
    """Which pass of the conversion is at which frame; empty where none is under way."""
    derived: tuple[str, ...]
    """Files in the outbox; none where they were removed."""
    first_at: float
    """When the first instance came in, seconds since 1970."""
    changed_at: float
    """When its state last changed, seconds since 1970."""
    deliveries: tuple[DeliveryRow, ...]
    """One for each destination."""
    removed_at: float | None = None
    """When its files were removed, seconds since 1970; None where they were not."""
    reviews: tuple[Review, ...] = ()
    """What people think of what it made, the latest last: that counts."""


def status(layout: Layout, ledger: Ledger, host: str = "") -> Status:
    """Count what there is; processes and files are those of one host."""
    with ledger.reading() as db:
        rows = [(role_at(row["role"]), row["pid"]) for row in db.execute("SELECT role, pid FROM processes")]
        processes = {role: pid for (at, role), pid in rows if at == host}
        hosts = [_host_row(each) for each in seen_hosts(db)]
        now = database_time(db)
        leases = [_lease_row(row, now) for row in db.execute("SELECT * FROM leases")]
        states = db.execute("SELECT state, count(*) FROM jobs GROUP BY state ORDER BY state").fetchall()
        sent = db.execute(
            "SELECT destination, state, count(*) FROM deliveries GROUP BY destination, state"
            " ORDER BY destination, state"
        ).fetchall()
        (instances,) = db.execute("SELECT count(*) FROM instances").fetchone()
        rejected = db.execute("SELECT reason, count FROM rejections ORDER BY reason").fetchall()
        (quarantined,) = db.execute("SELECT count(*) FROM quarantine").fetchone()
    deliveries: dict[str, dict[str, int]] = {}
    for destination, state, count in sent:
        deliveries.setdefault(destination, {})[state] = count
    held = is_held(layout)
    return Status(
        data=layout.data,
        phase="stopped" if not held else "running" if processes else "starting",
        processes=processes if held else {},
        jobs=dict(states),
        deliveries=deliveries,
        instances=instances,
        quarantined_instances=quarantined,
        free_bytes=shutil.disk_usage(layout.data).free,
        spool_bytes=bytes_in(layout.spool),
        outbox_bytes=bytes_in(layout.outbox),
        quarantine_bytes=bytes_in(layout.quarantine),
        rejected=dict(rejected),
        paused=tuple(map(str, Pauses(ledger).all())),
        audit=read_sent(layout),
        hosts=tuple(hosts),
        leases=tuple(sorted((each for each in leases if each.holder), key=lambda each: each.name)),
    )


def _host_row(seen: Seen) -> HostRow:
    host = seen.host
    return HostRow(host.name, host.address, host.roles, host.program, seen.seen_at, is_live=seen.is_live)


def _lease_row(row: Row, now: float) -> LeaseRow:
    return LeaseRow(row["name"], row["holder"], row["token"], round(row["until"] - now, 1))


@dataclass(frozen=True)
class QuarantineRow:
    """A data set that nothing could be made of."""

    path: Path
    """Where its bytes lie."""
    sop_uid: str
    """What the request called it; need not be a UID."""
    reason: str
    """Why it lies there."""
    peer: str
    """Calling AE title of the sender."""
    address: str
    """IP address of the sender."""
    at: float
    """When it came in, seconds since 1970."""
    host: str = ""
    """The host where it lies; empty for the only one."""


def list_quarantine(ledger: Ledger, *, limit: int = 50) -> list[QuarantineRow]:
    """What lies in quarantine, the latest first."""
    with ledger.reading() as db:
        rows = db.execute("SELECT * FROM quarantine ORDER BY at DESC, path LIMIT ?", [limit]).fetchall()
    return [QuarantineRow(**dict(row) | {"path": Path(row["path"])}) for row in rows]


def list_jobs(
    ledger: Ledger, *, states: Sequence[str] = (), limit: int = 50, work: Path | None = None
) -> list[JobRow]:
    """The jobs that changed last, the latest first; only those in `states`, if there are any.

    `work` is the folder in which workers note where they are (``Layout.work``); None leaves that out.
    """
    with ledger.reading() as db:
        return [job_row(db, row, work) for row in latest_jobs(db, states, limit)]


def in_states(states: Sequence[str]) -> str:
    """The condition for jobs in some states, or in any if none are said; each of them is a parameter."""
    return f"WHERE state IN ({','.join('?' * len(states))})" if states else ""


def latest_jobs(db: Connection, states: Sequence[str], limit: int, offset: int = 0) -> list[Row]:
    """Rows of the jobs that changed last, the latest first, behind some that are left out."""
    text = f"SELECT * FROM jobs {in_states(states)} ORDER BY changed_at DESC, job LIMIT ? OFFSET ?"
    return db.execute(text, [*states, limit, offset]).fetchall()


def job_row(db: Connection, row: Row, work: Path | None) -> JobRow:
    """A job, from its row; `work` as in `list_jobs`."""
    of = row["repeats"] or row["job"]
    frames, instances = db.execute(
        "SELECT sum(frames), count(*) FROM instances WHERE job = ?", [of]
    ).fetchone()
    derived = db.execute("SELECT path FROM outbox WHERE job = ? ORDER BY path", [row["job"]])
    deliveries = db.execute("SELECT * FROM deliveries WHERE job = ? ORDER BY destination", [row["job"]])
    return JobRow(
        job=row["job"],
        series_uid=row["series_uid"],
        revision=row["revision"],
        priority=row["priority"],
        state=row["state"],
        reasons=tuple(json.loads(row["reasons"])),
        peer=row["peer"],
        instances=instances,
        frames=frames or 0,
        repeats=row["repeats"],
        bundle=row["bundle"],
        rule=row["rule"],
        progress=_progress(work, row["job"]) if work is not None and row["state"] == "converting" else "",
        derived=() if row["removed_at"] else tuple(path for (path,) in derived),
        first_at=row["first_at"],
        changed_at=row["changed_at"],
        deliveries=tuple(
            DeliveryRow(each["destination"], each["state"], each["attempts"], each["reason"], each["next_at"])
            for each in deliveries
        ),
        removed_at=row["removed_at"],
        reviews=tuple(reviews_of(db, row["job"])),
    )


def _progress(work: Path, job: str) -> str:
    """What a worker noted last about a job, as in "generate 12/96"; empty where none did."""
    for note in work.glob(f"*/{job}"):
        with suppress(OSError):
            return note.read_text(encoding="ascii").partition(" of ")[0].strip()
    return ""
