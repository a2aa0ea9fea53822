"""Which host has which file, and where it lies there: for who gives files to other hosts, and who wants them.

A path in the ledger is one of the host that wrote it. Nobody asks another host for a path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from casgan_dicom.node.state.database import Row
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger

Kind = Literal["instance", "object"]


@dataclass(frozen=True)
class HeldFile:
    """A file that a host has."""

    kind: Kind
    """An instance that came in, or an object that was made."""
    host: str
    """Which host has it; empty for the only one."""
    sop_uid: str
    """SOP Instance UID (0008,0018)."""
    sha256: str
    """Hex digest: of transfer syntax and data set of an instance, of the file of an object."""
    path: Path
    """Where it lies, or lay, on that host."""
    job: str = ""
    """The job that made it (an object)."""

    def __str__(self) -> str:
        return f"{self.kind} {self.sop_uid}"

    def place(self, layout: Layout) -> Path:
        """Where it is on the host that has it: the data folder may have been moved since."""
        if self.kind == "instance":
            return layout.spool / self.path.parent.name / self.path.name
        parts = self.path.parts
        below = parts[parts.index(self.job) + 1 :] if self.job in parts else (self.path.name,)
        return layout.outbox.joinpath(self.job, *below)


class Holdings:
    """The files of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def instance(self, host: str, sop_uid: str, sha256: str) -> HeldFile | None:
        """An instance that a host has; None if it has none of this UID and digest. Raises LedgerError."""
        with self._ledger.reading() as db:
            row = db.execute(
                "SELECT * FROM instances WHERE sop_uid = ? AND sha256 = ? AND host = ?"
                " AND removed_at IS NULL",
                [sop_uid, sha256, host],
            ).fetchone()
        return None if row is None else held_instance(row)

    def object(self, host: str, job: str, sop_uid: str) -> HeldFile | None:
        """An object that a host has; None if a job made none of this UID there. Raises LedgerError."""
        with self._ledger.reading() as db:
            row = db.execute(
                "SELECT * FROM outbox WHERE sop_uid = ? AND job = ? AND host = ?", [sop_uid, job, host]
            ).fetchone()
        return None if row is None else held_object(row)


def held_instance(row: Row) -> HeldFile:
    """The file of a row of `instances`."""
    return HeldFile("instance", row["host"], row["sop_uid"], row["sha256"], Path(row["path"]))


def held_object(row: Row) -> HeldFile:
    """The file of a row of `outbox`."""
    return HeldFile("object", row["host"], row["sop_uid"], row["sha256"], Path(row["path"]), row["job"])
