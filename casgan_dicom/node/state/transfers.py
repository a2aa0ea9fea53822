"""What came in with a job and what it made, for the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger


@dataclass(frozen=True)
class Moved:
    """Objects that came in, or were sent."""

    series_uid: str
    """Series Instance UID (0020,000E): of the source, or of what was made of it."""
    studies: tuple[str, ...]
    """Study Instance UIDs (0020,000D); none where that is unknown."""
    paths: tuple[Path, ...]
    """Their files, as many as there are objects."""


def received(ledger: Ledger, layout: Layout, job: str) -> Moved:
    """What came in with a job. Raises LedgerError."""
    with ledger.reading() as db:
        rows = db.execute(
            "SELECT series_uid, study_uid, path FROM instances WHERE job = ? ORDER BY received_at, path",
            [job],
        ).fetchall()
    paths = [Path(row["path"]) for row in rows]
    return Moved(
        series_uid=rows[0]["series_uid"] if rows else "",
        studies=tuple(sorted({row["study_uid"] for row in rows} - {""})),
        paths=tuple(layout.spool / path.parent.name / path.name for path in paths),  # it may have been moved
    )


def made(ledger: Ledger, layout: Layout, job: str) -> Moved:
    """What a job has made; its study is that of what it was made of. Raises LedgerError."""
    with ledger.reading() as db:
        of = db.execute("SELECT repeats FROM jobs WHERE job = ?", [job]).fetchone()
        rows = db.execute(
            "SELECT series_uid, path FROM outbox WHERE job = ? ORDER BY series_uid, path", [job]
        ).fetchall()
    return Moved(
        series_uid=rows[0]["series_uid"] if rows else "",
        studies=received(ledger, layout, (of["repeats"] if of else "") or job).studies,
        paths=tuple(Path(row["path"]) for row in rows),
    )
