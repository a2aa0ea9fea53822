"""What came in: every instance on the disk, and the job that it belongs to.

An instance is its SOP Instance UID (0008,0018) and the digest of its data set. The same one again is a
duplicate and changes nothing; another data set under a known UID is kept beside the first and belongs to a
later revision, because what was made of the first may be in an archive already.

An instance that comes in while its series is still open joins the open job; after that, it opens the job of
the next revision.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from casgan_dicom.node.state.ledger import Ledger


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


@dataclass(frozen=True)
class Receipt:
    """What became of an instance."""

    job: str
    """The job it belongs to."""
    revision: int
    """Which revision of its series that is, from 1."""
    fresh: bool
    """False: it was there already."""


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
    """

    def __init__(self, ledger: Ledger, recipe: str) -> None:
        self._ledger = ledger
        self._recipe = recipe

    def again(self, sop_uid: str, sha256: str) -> Receipt | None:
        """Count a duplicate; None if the instance is not known."""
        with self._ledger.reading() as db:
            if _known(db, sop_uid, sha256) is None:
                return None
        with self._ledger.transaction() as db:
            return _again(db, sop_uid, sha256)

    def enter(self, received: Received, now: float) -> Receipt:
        """Write an instance down; when this returns, nothing but the disk can lose it."""
        with self._ledger.transaction() as db:
            if known := _again(db, received.sop_uid, received.sha256):
                return known
            job, revision = self._open_job(db, received, now)
            earlier = db.execute(
                "SELECT count(*) FROM instances WHERE sop_uid = ?", [received.sop_uid]
            ).fetchone()[0]
            db.execute(
                "INSERT INTO instances (sop_uid, sha256, job, series_uid, path, bytes, frames, peer, address,"
                " received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    received.sop_uid, received.sha256, job, received.series_uid, str(received.path),
                    received.bytes, received.frames, received.peer, received.address, now,
                ],
            )  # fmt: skip
            db.execute(
                "UPDATE jobs SET instances = instances + 1, stills = stills + ?, replaced = replaced + ?,"
                " expected = coalesce(?, expected), last_at = ?, changed_at = ? WHERE job = ?",
                [received.frames == 1, earlier > 0, received.expected, now, now, job],
            )
            return Receipt(job, revision, fresh=True)

    def _open_job(self, db: sqlite3.Connection, received: Received, now: float) -> tuple[str, int]:
        """The job of a series that still takes instances; a new one if the last was closed."""
        last = db.execute(
            "SELECT job, revision, state FROM jobs WHERE series_uid = ? ORDER BY revision DESC LIMIT 1",
            [received.series_uid],
        ).fetchone()
        if last is not None and last["state"] == "receiving":
            return last["job"], last["revision"]
        revision = 1 if last is None else last["revision"] + 1
        job = job_id(received.series_uid, revision, self._recipe)
        db.execute(
            "INSERT INTO jobs (job, series_uid, revision, state, peer, first_at, last_at, changed_at)"
            " VALUES (?, ?, ?, 'receiving', ?, ?, ?, ?)",
            [job, received.series_uid, revision, received.peer, now, now, now],
        )
        return job, revision

    def paths(self) -> set[Path]:
        """Every file that a row speaks of: what else lies in the spool was never acknowledged."""
        with self._ledger.reading() as db:
            return {Path(row["path"]) for row in db.execute("SELECT path FROM instances")}

    def quarantine(self, refused: Refused, now: float) -> None:
        """Write down what was put aside, and why; the same bytes again only renew it."""
        with self._ledger.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO quarantine (path, sop_uid, reason, peer, address, at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [str(refused.path), refused.sop_uid, refused.reason, refused.peer, refused.address, now],
            )


def _known(db: sqlite3.Connection, sop_uid: str, sha256: str) -> Receipt | None:
    row = db.execute(
        "SELECT instances.job, jobs.revision FROM instances JOIN jobs USING (job)"
        " WHERE sop_uid = ? AND sha256 = ?",
        [sop_uid, sha256],
    ).fetchone()
    return None if row is None else Receipt(row["job"], row["revision"], fresh=False)


def _again(db: sqlite3.Connection, sop_uid: str, sha256: str) -> Receipt | None:
    known = _known(db, sop_uid, sha256)
    if known is not None:
        db.execute(
            "UPDATE instances SET copies = copies + 1 WHERE sop_uid = ? AND sha256 = ?", [sop_uid, sha256]
        )
    return known
