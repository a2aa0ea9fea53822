"""What the ledger says should be there, a page at a time: for who compares it with disk and archives.

A page is one consistent view. All of them together are not, or a comparison that takes an hour would hold up
the ledger for as long: whoever finds something wrong looks at that row again (`Evidence.wants`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from casgan_dicom.node.state.database import Row
from casgan_dicom.node.state.ledger import Ledger

_T = TypeVar("_T")
Room = Literal["spool", "outbox", "quarantine"]
"""Folders of the data folder whose files the ledger knows one by one."""
PAGE = 500
"""Rows that are held at a time."""
IN_WORK = ("queued", "converting")
"""States of jobs whose folder in the outbox may hold what is not entered yet."""
_RECEIVED = "SELECT sop_uid, sha256, path, bytes FROM instances WHERE removed_at IS NULL"
_DERIVED = (
    "SELECT outbox.sop_uid, outbox.sha256, outbox.path FROM outbox JOIN jobs ON jobs.job = outbox.job"
    " WHERE jobs.removed_at IS NULL AND jobs.removing_at IS NULL"
)
_KNOWN: Mapping[Room, tuple[str, int]] = {
    "spool": (
        "SELECT instances.path FROM instances JOIN jobs ON jobs.job = instances.job"
        " WHERE instances.series_uid = ? AND (instances.removed_at IS NULL OR jobs.removing_at IS NOT NULL)",
        1,
    ),
    "outbox": (
        "SELECT outbox.path FROM outbox JOIN jobs ON jobs.job = outbox.job"
        " WHERE outbox.job = ? AND jobs.removed_at IS NULL",
        1,
    ),
    "quarantine": ("SELECT path FROM quarantine", 0),
}
"""What lies in a folder of a room, and how often the name of the folder is asked for."""


@dataclass(frozen=True)
class Wanted:
    """A file that should be there."""

    room: Room
    """Where."""
    sop_uid: str
    """SOP Instance UID (0008,0018); empty if unknown."""
    path: Path
    """The file, as the ledger has it."""
    sha256: str = ""
    """Of a received instance that of its data set (``receipts.py``), of a derived one that of its file."""
    bytes: int | None = None
    """Length of the file; None if the ledger does not tell."""


@dataclass(frozen=True)
class Sent:
    """A derived object that a destination has, by what the ledger says."""

    sop_uid: str
    """SOP Instance UID (0008,0018)."""
    series_uid: str
    """Series Instance UID (0020,000E)."""
    studies: tuple[str, ...]
    """Study Instance UIDs (0020,000D) of what it was made of; none if unknown."""
    path: Path
    """Its file in the outbox, which may be removed since."""


class Evidence:
    """What a ledger says of files and objects.

    Parameters
    ----------
    ledger
        Of the node.
    host
        Whose files; empty for the only one.
    """

    def __init__(self, ledger: Ledger, host: str = "") -> None:
        self._ledger, self._host = ledger, host

    def received(self, since: float) -> Iterator[Wanted]:
        """Instances in the spool that came in since then."""
        newer = "received_at >= ? AND host = ?"
        text = f"{_RECEIVED} AND {newer} AND (sop_uid, sha256) > (?, ?) ORDER BY sop_uid, sha256"
        yield from self._pages(
            text, [since, self._host], ["", ""], lambda last: [last.sop_uid, last.sha256], _received
        )

    def derived(self, since: float) -> Iterator[Wanted]:
        """Objects in the outbox of jobs that changed since then."""
        newer = "jobs.changed_at >= ? AND outbox.host = ?"
        text = f"{_DERIVED} AND {newer} AND outbox.sop_uid > ? ORDER BY outbox.sop_uid"
        yield from self._pages(text, [since, self._host], [""], lambda last: [last.sop_uid], _derived)

    def quarantined(self, since: float) -> Iterator[Wanted]:
        """Files in quarantine that came in since then."""
        text = "SELECT sop_uid, path FROM quarantine WHERE at >= ? AND host = ? AND path > ? ORDER BY path"
        yield from self._pages(text, [since, self._host], [""], lambda last: [str(last.path)], _put_aside)

    def wants(self, wanted: Wanted) -> bool:
        """Whether a file still should be there: it may have been removed, or replaced, since."""
        which = {
            "spool": (f"{_RECEIVED} AND sop_uid = ? AND sha256 = ?", [wanted.sop_uid, wanted.sha256]),
            "outbox": (
                f"{_DERIVED} AND outbox.sop_uid = ? AND outbox.sha256 = ?",
                [wanted.sop_uid, wanted.sha256],
            ),
            "quarantine": ("SELECT path FROM quarantine WHERE path = ?", [str(wanted.path)]),
        }
        text, values = which[wanted.room]
        with self._ledger.reading() as db:
            return db.execute(text, values).fetchone() is not None

    def known(self, room: Room, folder: str) -> set[str]:
        """Names of the files of a series in the spool, or of a job in the outbox, or of all in quarantine.

        Those that are removed are not among them, unless that is just being done.
        """
        text, values = _KNOWN[room]
        with self._ledger.reading() as db:
            return {Path(row["path"]).name for row in db.execute(text, [folder] * values)}

    def state_of(self, job: str) -> str | None:
        """State of a job; None if there is none of that name."""
        with self._ledger.reading() as db:
            row = db.execute("SELECT state FROM jobs WHERE job = ?", [job]).fetchone()
        return None if row is None else str(row["state"])

    def sent(self, destination: str, since: float) -> Iterator[list[Sent]]:
        """What a destination has stored since then: a list for each derived series of a job."""
        text = "SELECT job FROM deliveries WHERE destination = ? AND job > ? ORDER BY job"
        for job in self._pages(text, [destination], [""], lambda last: [last], lambda row: str(row["job"])):
            series: dict[str, list[Sent]] = {}
            for each in self._sent_of(job, destination, since):
                series.setdefault(each.series_uid, []).append(each)
            yield from series.values()

    def is_ours(self, sop_uid: str) -> bool:
        """Whether an object is one that this node has made."""
        with self._ledger.reading() as db:
            return db.execute("SELECT 1 FROM outbox WHERE sop_uid = ?", [sop_uid]).fetchone() is not None

    def _sent_of(self, job: str, destination: str, since: float) -> list[Sent]:
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT outbox.sop_uid, outbox.series_uid, outbox.path FROM outbox JOIN stores"
                " ON stores.sop_uid = outbox.sop_uid AND stores.destination = ?"
                " WHERE outbox.job = ? AND stores.stored_at >= ? ORDER BY outbox.sop_uid",
                [destination, job, since],
            ).fetchall()
            studies = db.execute(
                "SELECT DISTINCT instances.study_uid FROM instances JOIN jobs"
                " ON instances.series_uid = jobs.series_uid"
                " AND instances.job = CASE WHEN jobs.repeats = '' THEN jobs.job ELSE jobs.repeats END"
                " WHERE jobs.job = ? AND instances.study_uid != '' ORDER BY instances.study_uid",
                [job],
            ).fetchall()
        uids = tuple(row["study_uid"] for row in studies)
        return [Sent(row["sop_uid"], row["series_uid"], uids, Path(row["path"])) for row in rows]

    def _pages(
        self,
        text: str,
        fixed: Sequence[str | float],
        first: Sequence[str],
        after: Callable[[_T], Sequence[str]],
        read: Callable[[Row], _T],
    ) -> Iterator[_T]:
        """Rows of a question that ends with where to go on, a page at a time."""
        place = first
        while True:
            with self._ledger.reading() as db:
                rows = db.execute(f"{text} LIMIT {PAGE}", [*fixed, *place]).fetchall()
            page = [read(row) for row in rows]
            yield from page
            if len(page) < PAGE:
                return
            place = after(page[-1])


def _received(row: Row) -> Wanted:
    return Wanted("spool", row["sop_uid"], Path(row["path"]), row["sha256"], row["bytes"])


def _derived(row: Row) -> Wanted:
    return Wanted("outbox", row["sop_uid"], Path(row["path"]), row["sha256"])


def _put_aside(row: Row) -> Wanted:
    return Wanted("quarantine", row["sop_uid"], Path(row["path"]))
