"""What others asked us to keep (storage commitment), and whether they have been told what we do.

    waiting ─▶ told    they have taken the report
       └─────▶ dead    they could not be told, for too long or for good

A request is on the disk before it is answered. What we keep is decided when it is told, from the ledger and
from the files as they are then: an instance is kept if it is in the spool, whole and of the class that was
named. What was deleted from the spool is not, whatever became of it before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydicom.filereader import read_file_meta_info

from casgan_dicom.node.commitment import CLASS_CONFLICT, NO_SUCH_INSTANCE, Reference, Report, Request
from casgan_dicom.node.state.database import Connection
from casgan_dicom.node.state.holdings import HeldFile, held_instance
from casgan_dicom.node.state.ledger import Ledger

REPORTS = "reports"
"""Bell that is rung when somebody is to be told something on an association of ours."""


@dataclass(frozen=True)
class Promise:
    """A request that was taken and is to be told about."""

    peer: str
    """Calling AE title of who asked."""
    address: str
    """Where he came from."""
    transaction_uid: str
    """Transaction UID (0008,1195)."""
    attempts: int = 0
    """How often he was tried to be told."""
    asked_at: float = 0.0
    """When he asked."""


class Promises:
    """The promises of a ledger.

    Parameters
    ----------
    ledger
        The ledger.
    host
        This host, among several on it.
    is_whole
        Whether another host has a file that it should have, in every byte.
    """

    def __init__(
        self, ledger: Ledger, host: str = "", is_whole: Callable[[HeldFile], bool] = lambda _: False
    ) -> None:
        self._ledger = ledger
        self._host = host
        self._is_whole = is_whole

    def enter(self, promise: Promise, request: Request, until: float) -> bool:
        """Write a request down; nobody but who took it tells about it before `until`.

        The same request again is to be told about again. False, and nothing is written, if the same peer has
        used the Transaction UID for other objects.
        """

        def change(db: Connection) -> bool:
            key = [promise.peer, promise.transaction_uid]
            known = _references(db, *key)
            if known and set(known) != set(request.references):
                return False
            db.execute(
                "INSERT INTO promises (peer, transaction_uid, address, state, asked_at, next_at, changed_at)"
                " VALUES (?, ?, ?, 'waiting', ?, ?, ?)"
                " ON CONFLICT (peer, transaction_uid) DO UPDATE SET state = 'waiting', attempts = 0,"
                " address = excluded.address,"
                " asked_at = excluded.asked_at, next_at = excluded.next_at",
                [*key, promise.address, promise.asked_at, until, promise.asked_at],
            )
            db.executemany(
                "INSERT INTO promised (peer, transaction_uid, sop_class_uid, sop_uid, number)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [
                    [*key, each.sop_class_uid, each.sop_uid, number]
                    for number, each in enumerate(request.references, 1)
                ],
            )
            return True

        return self._ledger.together(change)

    def due(self, now: float) -> list[Promise]:
        """Requests that are to be told about now, the oldest first."""
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT * FROM promises WHERE state = 'waiting' AND next_at <= ? ORDER BY asked_at", [now]
            ).fetchall()
        return [
            Promise(row["peer"], row["address"], row["transaction_uid"], row["attempts"], row["asked_at"])
            for row in rows
        ]

    def next_at(self) -> float | None:
        """When the next is to be told about; None if there is none."""
        with self._ledger.reading() as db:
            row = db.execute("SELECT min(next_at) AS at FROM promises WHERE state = 'waiting'").fetchone()
        found: float | None = row["at"]
        return found

    def report(self, promise: Promise) -> Report:
        """What we keep of a request, as things are now."""
        with self._ledger.reading() as db:
            references = _references(db, promise.peer, promise.transaction_uid)
            files = {each.sop_uid: _files(db, each.sop_uid) for each in references}
            elsewhere = {each.sop_uid: _elsewhere(db, each.sop_uid, self._host) for each in references}
        found = {each: _reason(each, files[each.sop_uid]) for each in references}
        for each in (each for each, reason in found.items() if reason == NO_SUCH_INSTANCE):
            found[each] = 0 if any(map(self._is_whole, elsewhere[each.sop_uid])) else NO_SUCH_INSTANCE
        kept = tuple(each for each, reason in found.items() if not reason)
        failed = tuple((each, reason) for each, reason in found.items() if reason)
        return Report(promise.transaction_uid, kept, failed)

    def told(self, promise: Promise, now: float) -> None:
        """They know."""
        self._enter(promise, "told", "", None, now)

    def wait(self, promise: Promise, reason: str, until: float, now: float) -> None:
        """They could not be told; not before `until` again."""
        self._enter(promise, "waiting", reason, until, now)

    def give_up(self, promise: Promise, reason: str, now: float) -> None:
        """They cannot be told."""
        self._enter(promise, "dead", reason, None, now)

    def left(self, promise: Promise, now: float) -> None:
        """Let it be told about on an association of ours: who asked has not heard it on his own."""
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE promises SET next_at = ?"
                " WHERE peer = ? AND transaction_uid = ? AND state = 'waiting'",
                [now, promise.peer, promise.transaction_uid],
            )

    def forget(self, before: float) -> int:
        """Delete what came to an end before then; how many requests that were."""
        with self._ledger.transaction() as db:
            old = "SELECT peer, transaction_uid FROM promises WHERE state != 'waiting' AND changed_at < ?"
            db.execute(f"DELETE FROM promised WHERE (peer, transaction_uid) IN ({old})", [before])
            done = db.execute("DELETE FROM promises WHERE state != 'waiting' AND changed_at < ?", [before])
            return done.rowcount

    def _enter(self, promise: Promise, state: str, reason: str, until: float | None, now: float) -> None:
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE promises SET state = ?, reason = ?, next_at = ?, changed_at = ?,"
                " attempts = attempts + 1 WHERE peer = ? AND transaction_uid = ? AND state = 'waiting'",
                [state, reason, until, now, promise.peer, promise.transaction_uid],
            )


def _references(db: Connection, peer: str, transaction_uid: str) -> list[Reference]:
    rows = db.execute(
        "SELECT sop_class_uid, sop_uid FROM promised WHERE peer = ? AND transaction_uid = ? ORDER BY number",
        [peer, transaction_uid],
    ).fetchall()
    return [Reference(row["sop_class_uid"], row["sop_uid"]) for row in rows]


def _files(db: Connection, sop_uid: str) -> list[tuple[Path, int]]:
    """Files of an instance, the latest first, and their lengths."""
    rows = db.execute(
        "SELECT path, bytes FROM instances WHERE sop_uid = ? ORDER BY number DESC", [sop_uid]
    ).fetchall()
    return [(Path(row["path"]), row["bytes"]) for row in rows]


def _elsewhere(db: Connection, sop_uid: str, host: str) -> list[HeldFile]:
    """Files of an instance that other hosts should have."""
    rows = db.execute(
        "SELECT * FROM instances WHERE sop_uid = ? AND host != ? AND removed_at IS NULL", [sop_uid, host]
    ).fetchall()
    return [held_instance(row) for row in rows]


def _reason(reference: Reference, files: list[tuple[Path, int]]) -> int:
    """Why an object is not kept, a Failure Reason (0008,1197); 0 if it is."""
    reason = NO_SUCH_INSTANCE
    for path, length in files:
        try:
            whole = path.stat().st_size == length
            sop_class_uid = str(read_file_meta_info(path).MediaStorageSOPClassUID)
        except Exception:  # gone, or no file of ours any more: it is not kept
            continue
        if whole and sop_class_uid == reference.sop_class_uid:
            return 0
        reason = CLASS_CONFLICT if whole else reason
    return reason
