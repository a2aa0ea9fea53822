"""What was measured of each cine that a worker looked at: how long it took, and how foreign it was.

A row for each cine of each run of a job; a cine that was turned away as foreign has a score and no time. The
row is the same however often a run writes it down, so a crash counts nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from casgan_dicom.node.state.ledger import Ledger


@dataclass(frozen=True)
class Measured:
    """One cine."""

    frames: int | None = None
    """Frames that were converted; None if none was."""
    seconds: float | None = None
    """From the first byte read to the objects in their places; None likewise."""
    score: float | None = None
    """Its out-of-domain score: 0 is a usual training frame, 1 the limit; None where that was not judged."""


class Measurements:
    """The measurements of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def put(self, job: str, run: int, cines: Sequence[Measured]) -> None:
        """Write down what a run of a job measured. Raises LedgerError."""
        if not cines:
            return
        with self._ledger.transaction() as db:
            for number, each in enumerate(cines, 1):
                db.execute(
                    "INSERT INTO measurements (job, run, number, frames, seconds, score)"
                    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (job, run, number) DO UPDATE"
                    " SET frames = excluded.frames, seconds = excluded.seconds, score = excluded.score",
                    [job, run, number, each.frames, each.seconds, each.score],
                )
