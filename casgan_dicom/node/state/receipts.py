"""What came in: every instance on the disk, and the job that it belongs to.

An instance is its SOP Instance UID (0008,0018) and the digest of its data set. The same one again is a
duplicate and changes nothing, unless its file is gone: then it is stored again, if it was lost and not
removed because nobody needed it (``removals.py``). Another data set under a known UID is kept beside the
first, and belongs to a later revision, because what was made of the first may be in an archive already.

A Series Instance UID (0020,000E) may be used for two patients or studies by mistake. The jobs of one series
of one patient in one study are a *lineage*: only what is in it is converted together, or supersedes one
another. A known instance of the same study is a correction, whoever the patient is said to be now; any other
belongs to the lineage of its patient and study.

An instance that comes in while its lineage is still open joins the open job; after that, it opens the job of
the next revision.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from casgan_dicom.node.state.database import Connection
from casgan_dicom.node.state.holdings import HeldFile, held_instance
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.removals import is_given_up, take_back

_FINISHED = ("delivering", "done", "undelivered", "skipped", "kept", "lacking", "cancelled")
"""States of jobs that want no file of the spool, or that have said so."""
_ASKED_AT_ONCE = 500
"""UIDs in one question: SQLite takes no more than some thousand values."""


@dataclass(frozen=True)
class Received:
    """An instance that is safe on the disk."""

    sop_uid: str
    """SOP Instance UID (0008,0018)."""
    sha256: str
    """Hex digest of transfer syntax and data set, as they came."""
    series_uid: str
    """Series Instance UID (0020,000E)."""
    path: Path
    """Its file in the spool."""
    bytes: int
    """Length of the file."""
    frames: int
    """Number of Frames (0028,0008); 1 where absent."""
    expected: int | None
    """Instances of the series, where the header tells."""
    peer: str
    """Calling AE title."""
    address: str
    """Where it came from."""
    study_uid: str = ""
    """Study Instance UID (0020,000D); empty if unknown."""
    subject: str = ""
    """Digest of what tells patient and study apart, see ``identity.py``; empty if unknown."""
    called: str = ""
    """The AE title that was called; empty if unknown."""
    host: str = ""
    """The host that has it; `Receipts` enters its own."""


@dataclass(frozen=True)
class Receipt:
    """What became of an instance."""

    job: str
    """The job it belongs to."""
    revision: int
    """Which revision of its series that is, from 1."""
    fresh: bool
    """False: it was there already."""
    mended: bool = False
    """It was known, but its file was gone."""
    removed: bool = False
    """It was known, and its file was removed after its delivery."""
    elsewhere: HeldFile | None = None
    """It was known, and this file of another host should be it; nothing was written down."""


@dataclass(frozen=True)
class Refused:
    """Bytes that are kept although nothing can be made of them."""

    path: Path
    """Where they are."""
    sop_uid: str
    """As the request named it, if it is a UID; else empty."""
    reason: str
    """Why; no patient data."""
    peer: str
    """Calling AE title."""
    address: str
    """Where they came from."""


def job_id(series_uid: str, revision: int, recipe: str) -> str:
    """Name a job: 16 hexadecimal digits, always the same for the same series, revision and recipe.

    `recipe` stands for everything else that decides the result: digest of the weights, options.
    """
    return hashlib.sha256(json.dumps([series_uid, revision, recipe]).encode()).hexdigest()[:16]


class Receipts:
    """The instances of a ledger.

    Parameters
    ----------
    ledger
        Where they are written.
    recipe
        See `job_id`.
    host
        This host, among several on one ledger.
    """

    def __init__(self, ledger: Ledger, recipe: str, host: str = "") -> None:
        self._ledger = ledger
        self._host = host
        self.recipe = recipe
        """See `job_id`; a reload may change it."""

    def again(self, sop_uid: str, sha256: str) -> Receipt | None:
        """Count a duplicate; None if the instance is not known."""
        with self._ledger.reading() as db:
            if _known(db, sop_uid, sha256) is None:
                return None
        with self._ledger.transaction() as db:
            return _again(db, sop_uid, sha256)

    def let_go(self, sop_uid: str, sha256: str) -> Receipt | None:
        """Count a duplicate whose file was removed when it was not needed any more; None for any other.

        One that a job of its lineage wants after all counts as lost from now on: it is to be stored again.
        """
        with self._ledger.reading() as db:
            if not _is_removed(db, sop_uid, sha256):
                return None
        with self._ledger.transaction() as db:
            if is_given_up(db, sop_uid, sha256) and (known := _again(db, sop_uid, sha256)):
                return replace(known, removed=True)
            take_back(db, sop_uid, sha256)
            return None

    def known(self, sop_uid: str, sha256: str) -> Path | None:
        """Where the file of an instance should be; None if this host is not known to have it."""
        with self._ledger.reading() as db:
            row = db.execute(
                "SELECT path FROM instances WHERE sop_uid = ? AND sha256 = ? AND host = ?",
                [sop_uid, sha256, self._host],
            ).fetchone()
        return None if row is None else Path(row["path"])

    def enter(self, received: Received, now: float, *, take_over: bool = False) -> Receipt:
        """Write an instance down; when this returns, nothing but the disk can lose it.

        Where it is known already, its file was stored again: a job that lacked it takes instances once more,
        and goes on after a time of quiet. One that another host should have is written down only to be taken
        over from it (`Receipt.elsewhere`).
        """

        def change(db: Connection) -> Receipt:
            seen = _seen(db, received.sop_uid)
            if seen and (known := _known(db, received.sop_uid, received.sha256)):
                if not take_over and (held := _elsewhere(db, received, self._host)) is not None:
                    return replace(known, elsewhere=held)
                _again(db, received.sop_uid, received.sha256)
                _mend(db, received, now, self._host)
                return replace(known, mended=True)
            job, revision = self._open_job(db, received, now, seen=seen)
            _insert(db, replace(received, host=self._host), job, now, seen=seen)
            return Receipt(job, revision, fresh=True)

        return self._ledger.together(change)

    def _open_job(self, db: Connection, received: Received, now: float, *, seen: bool) -> tuple[str, int]:
        """The job of a lineage that still takes instances; a new one if the last was closed."""
        lineage = _lineage(db, received, seen=seen)
        last = db.execute(
            "SELECT job, revision FROM jobs WHERE lineage = ? AND state = 'receiving'"
            " ORDER BY revision DESC LIMIT 1",
            [lineage],
        ).fetchone()
        if last is not None:
            return last["job"], last["revision"]
        (revision,) = db.execute(
            "SELECT coalesce(max(revision), 0) + 1 FROM jobs WHERE series_uid = ?", [received.series_uid]
        ).fetchone()
        job = job_id(received.series_uid, revision, self.recipe)
        db.execute(
            "INSERT INTO jobs"
            " (job, series_uid, revision, lineage, state, peer, first_at, last_at, changed_at)"
            " VALUES (?, ?, ?, ?, 'receiving', ?, ?, ?, ?)",
            [job, received.series_uid, revision, lineage or job, received.peer, now, now, now],
        )
        return job, revision

    def of_node(self, sop_uids: Collection[str]) -> set[str]:
        """Those of some SOP Instance UIDs that came in, or are of objects made here."""
        found: set[str] = set()
        left = list(sop_uids)
        with self._ledger.reading() as db:
            while left:
                asked, left = left[:_ASKED_AT_ONCE], left[_ASKED_AT_ONCE:]
                marks = ",".join("?" * len(asked))
                rows = db.execute(
                    f"SELECT sop_uid FROM instances WHERE sop_uid IN ({marks})"
                    f" UNION SELECT sop_uid FROM outbox WHERE sop_uid IN ({marks})",
                    [*asked, *asked],
                )
                found.update(row["sop_uid"] for row in rows)
        return found

    def needed(self) -> set[Path]:
        """Files here that an unfinished job wants: its own or those it repeats, stills of earlier ones."""
        unfinished = f"state NOT IN ({','.join(map(repr, _FINISHED))})"
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT path FROM instances JOIN jobs USING (job)"
                f" WHERE instances.removed_at IS NULL AND instances.host = ? AND (jobs.{unfinished}"
                " OR EXISTS (SELECT 1 FROM jobs AS again"
                f" WHERE again.repeats = jobs.job AND again.{unfinished})"
                " OR (instances.frames = 1 AND EXISTS ("
                f"SELECT 1 FROM jobs AS later WHERE later.lineage = jobs.lineage AND later.stills > 0"
                f" AND later.revision > jobs.revision AND later.{unfinished})))",
                [self._host],
            )
            return {Path(row["path"]) for row in rows}

    def paths(self) -> set[Path]:
        """Every file that should be here: others were never acknowledged, or are not needed any more."""
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT path FROM instances JOIN jobs USING (job)"
                " WHERE instances.host = ? AND (instances.removed_at IS NULL OR jobs.removed_at IS NULL)",
                [self._host],
            )
            return {Path(row["path"]) for row in rows}

    def quarantine(self, refused: Refused, now: float) -> None:
        """Write down what was put aside, and why; the same bytes again only renew it."""
        with self._ledger.transaction() as db:
            db.execute(
                "INSERT INTO quarantine (path, sop_uid, reason, peer, address, at, host)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (path) DO UPDATE SET sop_uid = excluded.sop_uid, reason = excluded.reason,"
                " peer = excluded.peer, address = excluded.address, at = excluded.at, host = excluded.host",
                [
                    str(refused.path), refused.sop_uid, refused.reason, refused.peer, refused.address, now,
                    self._host,
                ],
            )  # fmt: skip


def _seen(db: Connection, sop_uid: str) -> bool:
    """Whether there is any instance of this UID: of a new one, nothing else need be asked."""
    return db.execute("SELECT 1 FROM instances WHERE sop_uid = ?", [sop_uid]).fetchone() is not None


def _is_removed(db: Connection, sop_uid: str, sha256: str) -> bool:
    row = db.execute(
        "SELECT removed_at FROM instances WHERE sop_uid = ? AND sha256 = ?", [sop_uid, sha256]
    ).fetchone()
    return row is not None and row["removed_at"] is not None


def _known(db: Connection, sop_uid: str, sha256: str) -> Receipt | None:
    row = db.execute(
        "SELECT instances.job, jobs.revision FROM instances JOIN jobs USING (job)"
        " WHERE sop_uid = ? AND sha256 = ?",
        [sop_uid, sha256],
    ).fetchone()
    return None if row is None else Receipt(row["job"], row["revision"], fresh=False)


def _again(db: Connection, sop_uid: str, sha256: str) -> Receipt | None:
    known = _known(db, sop_uid, sha256)
    if known is not None:
        db.execute(
            "UPDATE instances SET copies = copies + 1 WHERE sop_uid = ? AND sha256 = ?", [sop_uid, sha256]
        )
    return known


def _lineage(db: Connection, received: Received, *, seen: bool) -> str:
    """The lineage that an instance belongs to; empty if it begins one.

    The same instance of the same study goes before the same patient and study. Rows of an older ledger know
    neither: these count as the same, which they were taken for so far.
    """
    # Neither goes through a series, which may have thousands: with "||" the index of UIDs is asked,
    # and of a job one instance is looked at as a rule.
    same = (
        seen
        and db.execute(
            "SELECT jobs.lineage FROM instances JOIN jobs USING (job) WHERE sop_uid = ?"
            " AND instances.series_uid || '' = ? AND study_uid IN (?, '')"
            " ORDER BY jobs.revision DESC LIMIT 1",
            [received.sop_uid, received.series_uid, received.study_uid],
        ).fetchone()
    )
    row = (
        same
        or db.execute(
            "SELECT lineage FROM jobs WHERE series_uid = ? AND EXISTS (SELECT 1 FROM instances AS own"
            " WHERE own.series_uid = jobs.series_uid AND own.job = jobs.job AND own.subject IN (?, ''))"
            " ORDER BY revision DESC LIMIT 1",
            [received.series_uid, received.subject],
        ).fetchone()
    )
    return "" if row is None else str(row["lineage"])


def _insert(db: Connection, received: Received, job: str, now: float, *, seen: bool) -> None:
    """Enter a new instance into its job; `seen`: whether another of its UID may be there."""
    earlier = (
        seen
        and db.execute(
            "SELECT count(*) FROM instances JOIN jobs USING (job) WHERE sop_uid = ?"
            " AND lineage = (SELECT lineage FROM jobs WHERE job = ?)",
            [received.sop_uid, job],
        ).fetchone()[0]
    )
    expected = received.expected or 0
    db.execute(
        "INSERT INTO instances (number, sop_uid, sha256, job, series_uid, study_uid, subject, path, bytes,"
        " frames, peer, address, received_at, called, host)"
        " VALUES ((SELECT coalesce(max(number), 0) + 1 FROM instances),"
        " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            received.sop_uid, received.sha256, job, received.series_uid, received.study_uid, received.subject,
            str(received.path), received.bytes, received.frames, received.peer, received.address, now,
            received.called, received.host,
        ],
    )  # fmt: skip
    db.execute(
        "UPDATE jobs SET instances = instances + 1, stills = stills + ?, replaced = replaced + ?,"
        " expected = CASE WHEN ? > coalesce(expected, 0) THEN ? ELSE expected END,"
        " last_at = ?, changed_at = ? WHERE job = ?",
        [received.frames == 1, earlier > 0, expected, expected, now, now, job],
    )


def _elsewhere(db: Connection, received: Received, host: str) -> HeldFile | None:
    """The file of another host that should be a known instance; None if that is one of ours, or removed."""
    row = db.execute(
        "SELECT * FROM instances WHERE sop_uid = ? AND sha256 = ? AND host != ? AND removed_at IS NULL",
        [received.sop_uid, received.sha256, host],
    ).fetchone()
    return None if row is None else held_instance(row)


def _mend(db: Connection, received: Received, now: float, host: str) -> None:
    """Note where the file of a known instance is again, and let jobs that lacked it take instances."""
    db.execute(
        "UPDATE instances SET path = ?, bytes = ?, received_at = ?, host = ?"
        " WHERE sop_uid = ? AND sha256 = ?",
        [str(received.path), received.bytes, now, host, received.sop_uid, received.sha256],
    )
    lineage = (
        "lineage = (SELECT lineage FROM jobs JOIN instances USING (job) WHERE sop_uid = ? AND sha256 = ?)"
    )
    which = [received.sop_uid, received.sha256]
    db.execute(
        "UPDATE jobs SET state = CASE repeats WHEN '' THEN 'receiving' ELSE 'queued' END,"
        " run = run + 1, reasons = '[]', first_at = ?"
        f" WHERE state = 'lacking' AND {lineage}",
        [now, *which],
    )
    db.execute(
        f"UPDATE jobs SET last_at = ?, changed_at = ? WHERE state = 'receiving' AND {lineage}",
        [now, now, *which],
    )
