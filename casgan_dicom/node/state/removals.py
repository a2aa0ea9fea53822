"""Which files were removed because nobody needs them any more, or are about to be.

What may go is decided in ``work/retention.py``. Here it is written down, before a file is touched and when
the last is gone; so a crash between the two is taken up again, and a file that was removed is never taken for
one that was lost:

    jobs.removing_at       its files are being removed
    jobs.removed_at        they are gone, and the disk has been told
    instances.removed_at   its file is given up: the same instance again is answered, and not stored

A row of ``removals`` for each host that has files of such a job says that its own are still to go: each host
deletes its own, and the last one ends it.

An instance whose lineage wants it again (a late frame came in, a person asks for another conversion) is taken
back: then it counts as lost, and is stored when it is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from casgan_dicom.node.state.database import Connection, Row
from casgan_dicom.node.state.deliveries import FINISHED
from casgan_dicom.node.state.ledger import Ledger

FINAL = ("done", "skipped", "kept", "cancelled")
"""States of jobs whose files may be removed; of no others, ever."""
WANTING = ("receiving", "queued", "converting", "lacking", "failed", "quarantined")
"""States of jobs that may want any file of their lineage: they convert, or will after `node retry`."""

_OF_LINEAGE = "other.series_uid = jobs.series_uid AND other.lineage = jobs.lineage"
_WANTED = (
    f"EXISTS (SELECT 1 FROM jobs AS other WHERE {_OF_LINEAGE}"
    f" AND other.state IN ({','.join(map(repr, WANTING))}))"
)
_OUTSTANDING = (
    f"EXISTS (SELECT 1 FROM deliveries WHERE deliveries.job = jobs.job AND deliveries.state != {FINISHED!r})"
)
_OWN = "instances.series_uid = jobs.series_uid AND instances.job = jobs.job"
_MADE = "outbox.job = jobs.job"
_HERE = (
    f"(EXISTS (SELECT 1 FROM instances WHERE {_OWN} AND instances.host = ?)"
    f" OR EXISTS (SELECT 1 FROM outbox WHERE {_MADE} AND outbox.host = ?))"
)
"""Whether a host has files of a row of `jobs`."""
_BY_SERIES = "series_uid = (SELECT series_uid FROM jobs WHERE job = ?)"
"""Of a row of `instances`, beside its job: of these two columns the series has an index."""
_REVIEWED = "EXISTS (SELECT 1 FROM reviews WHERE reviews.job = jobs.job AND reviews.record = 'due')"
"""Whether an object is still to be made about what a job made (``reviews.py``)."""
_HELD = (
    f"state IN ({','.join(map(repr, FINAL))}) AND removed_at IS NULL AND removing_at IS NULL"
    f" AND NOT {_REVIEWED}"
)


@dataclass(frozen=True)
class Holding:
    """A job that has come to an end, and whose files lie on the disk."""

    job: str
    """Its id."""
    state: str
    """See ``jobs.py``."""
    deliveries: int
    """To how many destinations it went."""
    is_delivered: bool
    """Every one of them has everything; False where it went to none."""
    is_made: bool
    """It has objects in the outbox."""
    is_wanted: bool
    """A job of its lineage is at work, or waits for a person, and may want its files."""
    settled_at: float
    """When anything about it last changed: its state, a delivery, an instance that came in."""
    received_at: float
    """When its last instance came in; 0 where it has none of its own."""
    bytes: int = 0
    """Length of its files in the spool, as they were written."""


@dataclass(frozen=True)
class Content:
    """What the files of a job are, for the audit trail."""

    series_uid: str
    """Series Instance UID (0020,000E) of the source."""
    studies: tuple[str, ...]
    """Study Instance UIDs (0020,000D) of what it converted; none where that is unknown."""
    given_up: tuple[Path, ...]
    """Files of its instances that are to go."""
    instances: int
    """How many instances that is."""
    derived: int
    """How many objects it has in the outbox."""


class Removals:
    """What was removed, in a ledger.

    Parameters
    ----------
    ledger
        The ledger.
    host
        This host, among several on it.
    """

    def __init__(self, ledger: Ledger, host: str = "") -> None:
        self._ledger = ledger
        self._host = host

    def holdings(self) -> list[Holding]:
        """Jobs that have come to an end and hold files here, the one that settled first before the others."""
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT *, (SELECT count(*) FROM deliveries WHERE deliveries.job = jobs.job) AS sends,"
                f" {_OUTSTANDING} AS outstanding, {_WANTED} AS wanted,"
                f" EXISTS (SELECT 1 FROM outbox WHERE {_MADE}) AS made,"
                " (SELECT max(changed_at) FROM deliveries WHERE deliveries.job = jobs.job) AS sent_at,"
                f" (SELECT max(received_at) FROM instances WHERE {_OWN}) AS received_at,"
                f" (SELECT sum(bytes) FROM instances WHERE {_OWN} AND instances.removed_at IS NULL"
                " AND instances.host = ?) AS bytes"
                f" FROM jobs WHERE {_HELD} AND (? = '' OR {_HERE})",
                [self._host, self._host, self._host, self._host],
            ).fetchall()
        return sorted(map(_holding, rows), key=lambda held: (held.settled_at, held.job))

    def begin(self, job: str, now: float) -> bool:
        """Write down that the files of a job are to go, if it still is at its end and nobody wants them."""
        with self._ledger.transaction() as db:
            done = db.execute(
                f"UPDATE jobs SET removing_at = ? WHERE job = ? AND {_HELD} AND NOT {_WANTED}"
                f" AND (state != 'done' OR NOT {_OUTSTANDING})",
                [now, job],
            )
            if done.rowcount == 1:
                db.execute(
                    f"UPDATE instances SET removed_at = ? WHERE job = ? AND {_BY_SERIES}", [now, job, job]
                )
                db.execute(
                    "INSERT INTO removals (job, host)"
                    " SELECT job, host FROM instances WHERE job = ? UNION"
                    " SELECT job, host FROM outbox WHERE job = ?",
                    [job, job],
                )
            return done.rowcount == 1

    def begun(self) -> list[str]:
        """Jobs whose files are to go and may not all be gone here; those too that no host has files of."""
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT job FROM jobs WHERE removing_at IS NOT NULL"
                " AND (EXISTS (SELECT 1 FROM removals WHERE removals.job = jobs.job AND removals.host = ?)"
                " OR NOT EXISTS (SELECT 1 FROM removals WHERE removals.job = jobs.job))"
                " ORDER BY removing_at, job",
                [self._host],
            )
            return [row["job"] for row in rows]

    def content(self, job: str) -> Content:
        """What is to go of a job here."""
        with self._ledger.reading() as db:
            row = db.execute("SELECT * FROM jobs WHERE job = ?", [job]).fetchone()
            studies = db.execute(
                "SELECT DISTINCT study_uid FROM instances WHERE series_uid = ? AND job = ?"
                " AND study_uid != '' ORDER BY study_uid",
                [row["series_uid"], row["repeats"] or job],
            ).fetchall()
            paths = _given_up(db, job, self._host)
            (derived,) = db.execute(
                "SELECT count(*) FROM outbox WHERE job = ? AND host = ?", [job, self._host]
            ).fetchone()
        uids = tuple(each["study_uid"] for each in studies)
        return Content(row["series_uid"], uids, paths, len(paths), derived)

    def while_given_up(self, path: Path, delete: Callable[[], None]) -> None:
        """Delete the file of an instance, unless it was taken back; nobody can take it back meanwhile.

        `path` is as the ledger has it.
        """
        with self._ledger.transaction() as db:
            row = db.execute("SELECT removed_at FROM instances WHERE path = ?", [str(path)]).fetchone()
            if row is not None and row["removed_at"] is not None:
                delete()

    def end(self, job: str, now: float) -> None:
        """Write down that the files of a job are gone here; the last host ends it.

        One that was taken back in part holds files again.
        """
        with self._ledger.transaction() as db:
            db.execute("DELETE FROM removals WHERE job = ? AND host = ?", [job, self._host])
            if db.execute("SELECT 1 FROM removals WHERE job = ?", [job]).fetchone() is not None:
                return
            db.execute(
                "UPDATE jobs SET removing_at = NULL, removed_at = CASE WHEN EXISTS"
                f" (SELECT 1 FROM instances WHERE {_OWN} AND instances.removed_at IS NULL)"
                " THEN NULL ELSE ? END"
                " WHERE job = ? AND removing_at IS NOT NULL",
                [now, job],
            )

    def ask_for(self, paths: Collection[Path], now: float) -> int:
        """Take back what was removed, for a person who wants it sent again; how many of these files that is.

        The time of their jobs begins anew: or they would be given up again before anybody could send them.
        `paths` are as the ledger has them.
        """
        taken = 0
        with self._ledger.transaction() as db:
            for path in paths:
                row = db.execute(
                    "SELECT * FROM instances WHERE path = ? AND removed_at IS NOT NULL", [str(path)]
                ).fetchone()
                if row is not None:
                    taken += 1
                    take_back(db, row["sop_uid"], row["sha256"])
                    db.execute("UPDATE jobs SET changed_at = ? WHERE job = ?", [now, row["job"]])
        return taken

    def quarantined(self) -> list[tuple[Path, float]]:
        """Files in quarantine, and when each came in."""
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT path, at FROM quarantine WHERE host = ? ORDER BY at, path", [self._host]
            )
            return [(Path(row["path"]), row["at"]) for row in rows]

    def end_quarantine(self, path: Path, at: float) -> None:
        """Forget a file in quarantine that is gone; not if the same bytes have come in since."""
        with self._ledger.transaction() as db:
            db.execute("DELETE FROM quarantine WHERE path = ? AND at = ?", [str(path), at])


def is_given_up(db: Connection, sop_uid: str, sha256: str) -> bool:
    """Whether the file of an instance was removed, or is about to be, and no job of its lineage wants it."""
    row = db.execute(
        f"SELECT {_WANTED} AS wanted FROM instances JOIN jobs USING (job)"
        " WHERE sop_uid = ? AND sha256 = ? AND instances.removed_at IS NOT NULL",
        [sop_uid, sha256],
    ).fetchone()
    return row is not None and not row["wanted"]


def take_back(db: Connection, sop_uid: str, sha256: str) -> None:
    """Let an instance count as lost that was given up, so that it is stored when it is sent again."""
    which = [sop_uid, sha256]
    db.execute("UPDATE instances SET removed_at = NULL WHERE sop_uid = ? AND sha256 = ?", which)
    db.execute(
        "UPDATE jobs SET removed_at = NULL"
        " WHERE job = (SELECT job FROM instances WHERE sop_uid = ? AND sha256 = ?)",
        which,
    )


def _given_up(db: Connection, job: str, host: str) -> tuple[Path, ...]:
    rows = db.execute(
        f"SELECT path FROM instances WHERE job = ? AND {_BY_SERIES} AND removed_at IS NOT NULL AND host = ?"
        " ORDER BY number",
        [job, job, host],
    )
    return tuple(Path(row["path"]) for row in rows)


def _holding(row: Row) -> Holding:
    times = row["changed_at"], row["sent_at"] or 0.0, row["received_at"] or 0.0
    return Holding(
        job=row["job"],
        state=row["state"],
        deliveries=row["sends"],
        is_delivered=bool(row["sends"]) and not row["outstanding"],
        is_made=bool(row["made"]),
        is_wanted=bool(row["wanted"]),
        settled_at=max(times),
        received_at=row["received_at"] or 0.0,
        bytes=row["bytes"] or 0,
    )
