"""What destinations were asked to keep (storage commitment), and what they said of it.

A delivery whose destination is asked is not done when its objects are stored there, but when the destination
has reported that it keeps every one of them (``committing`` in ``deliveries.py``). Each request is a row
under its Transaction UID before it is sent, so no report comes for one that is not known:

    asked ─▶ kept      the destination keeps every object of it
      ├────▶ failed    it does not keep some: these count as not stored, and are sent again
      ├────▶ overdue   no report came in time, or no answer: it is asked again under another UID
      └────▶ refused   it does not take the request

What a report says of an object is written down with the object. One that no report names is neither kept nor
failed. Of a request that is overdue, what it says to be kept still counts; what it says to have failed does
not, since the destination was asked again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from casgan_dicom.node.commitment import Reference, Report, Request
from casgan_dicom.node.state.database import Connection, Row
from casgan_dicom.node.state.deliveries import Delivery, settle
from casgan_dicom.node.state.ledger import Ledger

Heard = Literal["unknown", "kept", "failed", "part", "late"]
"""What came of a report: its transaction is not known, or another destination's; every object is kept; some
failed; some are not named yet; nothing waits for it any more."""


@dataclass(frozen=True)
class Committing:
    """A delivery that waits for a destination to say that it keeps the objects."""

    delivery: Delivery
    """The delivery."""
    failed: int
    """Objects that the destination does not keep, and that are to be sent again."""
    failed_at: float
    """When it last said so."""
    resends: int
    """How often objects of this delivery were sent again for that."""
    asked: int
    """Requests of this run."""
    asked_at: float | None
    """When the first of them was made."""
    reason: str
    """What went wrong last."""


def bell_of(destination: str) -> str:
    """Name of the bell that is rung when a delivery to a destination begins to wait, or a report has come."""
    return f"commit.{destination}"


class Commitments:
    """The commitments of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def lacks(self, job: str, destination: str) -> bool:
        """Whether a destination has not said yet that it keeps every object of a job."""
        with self._ledger.reading() as db:
            return bool(_missing(db, job, destination))

    def due(self, destination: str, now: float) -> list[Committing]:
        """Deliveries to a destination about which something is to be done now, the oldest first."""
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT * FROM deliveries WHERE state = 'committing' AND destination = ?"
                " AND coalesce(next_at, 0) <= ? ORDER BY changed_at",
                [destination, now],
            ).fetchall()
            return [_committing(db, row) for row in rows]

    def next_at(self, destination: str) -> float | None:
        """When something is next to be done about a destination; None if nothing waits for it."""
        with self._ledger.reading() as db:
            row = db.execute(
                "SELECT min(coalesce(next_at, 0)) AS at FROM deliveries"
                " WHERE state = 'committing' AND destination = ?",
                [destination],
            ).fetchone()
        found: float | None = row["at"]
        return found

    def ask(self, delivery: Delivery, transaction_uid: str, until: float, now: float) -> Request | None:
        """Write down a request before it is sent; it is overdue at `until`, and so are earlier ones now.

        None, and nothing is written, if the delivery does not wait for it any more.
        """
        with self._ledger.transaction() as db:
            if not _is_committing(db, delivery):
                return None
            missing = _missing(db, delivery.job, delivery.destination)
            if not missing:
                _finish(db, delivery, now)
                return None
            _overdue(db, delivery, now)
            db.execute(
                "INSERT INTO commitments"
                " (transaction_uid, job, destination, run, state, asked_at, changed_at)"
                " VALUES (?, ?, ?, ?, 'asked', ?, ?)",
                [transaction_uid, delivery.job, delivery.destination, delivery.run, now, now],
            )
            _wait(db, delivery, until)
        return Request(transaction_uid, tuple(missing))

    def wait(self, delivery: Delivery, until: float, reason: str = "") -> None:
        """Do nothing more about a delivery before then; `reason` is what went wrong, if anything did."""
        with self._ledger.transaction() as db:
            _wait(db, delivery, until, reason)

    def is_open(self, transaction_uid: str) -> bool:
        """Whether a report is waited for, and has not come."""
        with self._ledger.reading() as db:
            row = db.execute(
                "SELECT state FROM commitments WHERE transaction_uid = ?", [transaction_uid]
            ).fetchone()
        return row is not None and row["state"] == "asked"

    def send_again(self, delivery: Delivery, now: float) -> None:
        """Let the objects be sent again that the destination does not keep."""
        with self._ledger.transaction() as db:
            if _is_committing(db, delivery):
                db.execute(
                    "UPDATE deliveries SET state = 'waiting', run = run + 1, resends = resends + 1,"
                    " attempts = 0, first_at = NULL, next_at = NULL, changed_at = ?"
                    " WHERE job = ? AND destination = ?",
                    [now, delivery.job, delivery.destination],
                )
                settle(db, delivery.job, now)

    def give_up(self, delivery: Delivery, reason: str, now: float, transaction_uid: str = "") -> None:
        """Make a dead letter of a delivery; of the request too, if it was refused."""
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE commitments SET state = 'refused', changed_at = ? WHERE transaction_uid = ?",
                [now, transaction_uid],
            )
            _overdue(db, delivery, now)
            if _is_committing(db, delivery):
                _enter(db, delivery, "dead", reason, now)

    def waive(self, destinations: Collection[str], now: float) -> int:
        """Count as done what waits for destinations other than these: nobody asks them any more; how many."""
        with self._ledger.transaction() as db:
            rows = db.execute("SELECT * FROM deliveries WHERE state = 'committing'").fetchall()
            waived = [_delivery(row) for row in rows if row["destination"] not in destinations]
            for delivery in waived:
                _enter(db, delivery, "sent", "the destination is not asked to commit any more", now)
        return len(waived)

    def heard(self, report: Report, destinations: Collection[str], now: float) -> Heard:
        """Write down what a report says that came from one of these destinations."""
        with self._ledger.transaction() as db:
            row = db.execute(
                "SELECT * FROM commitments WHERE transaction_uid = ?", [report.transaction_uid]
            ).fetchone()
            if row is None or row["destination"] not in destinations:
                return "unknown"
            delivery = _delivery(row)
            if not _is_committing(db, delivery, "committing", "dead"):
                return "late"
            _note_kept(db, delivery, report.kept, now)
            if row["state"] == "asked" and _note_failed(db, delivery, report, now):
                _close(db, report.transaction_uid, "failed", now)
                return "failed"
            if _missing(db, delivery.job, delivery.destination):
                return "part"
            _close(db, report.transaction_uid, "kept", now)
            _finish(db, delivery, now)
        return "kept"


def _delivery(row: Row) -> Delivery:
    return Delivery(row["job"], row["destination"], row["run"])


def _committing(db: Connection, row: Row) -> Committing:
    key = [row["job"], row["destination"]]
    (failed,) = db.execute(
        "SELECT count(*) FROM outbox LEFT JOIN stores"
        " ON stores.sop_uid = outbox.sop_uid AND stores.destination = ?"
        " WHERE outbox.job = ? AND stores.stored_at IS NULL",
        [row["destination"], row["job"]],
    ).fetchone()
    (failed_at,) = db.execute(
        "SELECT coalesce(max(changed_at), 0) FROM commitments"
        " WHERE job = ? AND destination = ? AND state = 'failed'",
        key,
    ).fetchone()
    asked, asked_at = db.execute(
        "SELECT count(*), min(asked_at) FROM commitments WHERE job = ? AND destination = ? AND run = ?",
        [*key, row["run"]],
    ).fetchone()
    return Committing(_delivery(row), failed, failed_at, row["resends"], asked, asked_at, row["reason"])


def _is_committing(db: Connection, delivery: Delivery, *states: str) -> bool:
    """Whether a run of a delivery is in one of these states; in that of waiting, if none is named."""
    row = db.execute(
        "SELECT state, run FROM deliveries WHERE job = ? AND destination = ?",
        [delivery.job, delivery.destination],
    ).fetchone()
    return row is not None and row["run"] == delivery.run and row["state"] in (states or ("committing",))


def _missing(db: Connection, job: str, destination: str) -> list[Reference]:
    """Objects of a job of which a destination has not said that it keeps them."""
    rows = db.execute(
        "SELECT outbox.sop_class_uid, outbox.sop_uid FROM outbox LEFT JOIN stores"
        " ON stores.sop_uid = outbox.sop_uid AND stores.destination = ?"
        " WHERE outbox.job = ? AND stores.committed_at IS NULL ORDER BY outbox.sop_uid",
        [destination, job],
    ).fetchall()
    return [Reference(row["sop_class_uid"], row["sop_uid"]) for row in rows]


def _note_kept(db: Connection, delivery: Delivery, kept: Collection[Reference], now: float) -> None:
    """Write down which objects are kept; one that is said to be of another class is not."""
    for each in kept:
        db.execute(
            "UPDATE stores SET committed_at = ? WHERE sop_uid = ? AND destination = ?"
            " AND stored_at IS NOT NULL AND EXISTS (SELECT 1 FROM outbox"
            " WHERE outbox.sop_uid = stores.sop_uid AND outbox.job = ? AND outbox.sop_class_uid IN (?, ''))",
            [now, each.sop_uid, delivery.destination, delivery.job, each.sop_class_uid],
        )


def _note_failed(db: Connection, delivery: Delivery, report: Report, now: float) -> bool:
    """Let objects that are not kept count as not stored; whether there are any of this delivery."""
    reasons = {}
    for each, reason in report.failed:
        done = db.execute(
            "UPDATE stores SET stored_at = NULL, committed_at = NULL WHERE sop_uid = ? AND destination = ?"
            " AND EXISTS (SELECT 1 FROM outbox WHERE outbox.sop_uid = stores.sop_uid AND outbox.job = ?)",
            [each.sop_uid, delivery.destination, delivery.job],
        )
        if done.rowcount:
            reasons[each.sop_uid] = reason
    if reasons:
        first = min(reasons)
        said = f"{len(reasons)} objects are not kept there, {first} for reason 0x{reasons[first]:04X}"
        _wait(db, delivery, now, said)
    return bool(reasons)


def _wait(db: Connection, delivery: Delivery, until: float, reason: str = "") -> None:
    db.execute(
        "UPDATE deliveries SET next_at = ?, reason = CASE ? WHEN '' THEN reason ELSE ? END"
        " WHERE job = ? AND destination = ? AND run = ? AND state = 'committing'",
        [until, reason, reason, delivery.job, delivery.destination, delivery.run],
    )


def _overdue(db: Connection, delivery: Delivery, now: float) -> None:
    db.execute(
        "UPDATE commitments SET state = 'overdue', changed_at = ?"
        " WHERE job = ? AND destination = ? AND state = 'asked'",
        [now, delivery.job, delivery.destination],
    )


def _close(db: Connection, transaction_uid: str, state: str, now: float) -> None:
    db.execute(
        "UPDATE commitments SET state = ?, changed_at = ? WHERE transaction_uid = ?",
        [state, now, transaction_uid],
    )


def _finish(db: Connection, delivery: Delivery, now: float) -> None:
    _enter(db, delivery, "sent", "", now)


def _enter(db: Connection, delivery: Delivery, state: str, reason: str, now: float) -> None:
    db.execute(
        "UPDATE deliveries SET state = ?, reason = ?, next_at = NULL, changed_at = ?"
        " WHERE job = ? AND destination = ? AND run = ?",
        [state, reason, now, delivery.job, delivery.destination, delivery.run],
    )
    settle(db, delivery.job, now)
