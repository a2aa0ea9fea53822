"""What a person has paused: the conversions of a device, or what goes to a destination.

A pause is a row. The processes look at it when they next come by: the worker before a conversion and at the
border of a batch of frames, the sender before an association. What is on the wire at that moment ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from casgan_dicom.node.state.ledger import Ledger

What = Literal["convert", "send"]


@dataclass(frozen=True)
class Pause:
    """Something that is paused."""

    what: What
    """``convert`` or ``send``."""
    name: str
    """Device or destination."""

    def __str__(self) -> str:
        return f"{'conversions on' if self.what == 'convert' else 'deliveries to'} {self.name}"


class Pauses:
    """The pauses of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def begin(self, pauses: Sequence[Pause], now: float) -> None:
        """Pause some things; what is paused stays so."""
        with self._ledger.transaction() as db:
            for each in pauses:
                db.execute(
                    "INSERT INTO pauses (what, name, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    [each.what, each.name, now],
                )

    def end(self, pauses: Sequence[Pause]) -> list[Pause]:
        """Let some things go on; returns those that were paused."""
        ended = []
        with self._ledger.transaction() as db:
            for each in pauses:
                done = db.execute("DELETE FROM pauses WHERE what = ? AND name = ?", [each.what, each.name])
                if done.rowcount:
                    ended.append(each)
        return ended

    def all(self) -> list[Pause]:
        """Everything that is paused."""
        with self._ledger.reading() as db:
            rows = db.execute("SELECT what, name FROM pauses ORDER BY what, name").fetchall()
        return [Pause(row["what"], row["name"]) for row in rows]

    def holds(self, pause: Pause) -> bool:
        """Whether something is paused."""
        with self._ledger.reading() as db:
            row = db.execute(
                "SELECT 1 FROM pauses WHERE what = ? AND name = ?", [pause.what, pause.name]
            ).fetchone()
        return row is not None
