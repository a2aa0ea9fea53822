"""How many were not let in, by reason, since the ledger was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from casgan_dicom.node.state.ledger import Ledger

Reason = TypeVar("Reason", bound=str)


class Rejections:
    """The table of who was not let in.

    Parameters
    ----------
    ledger
        Of the node.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def add(self, counts: Mapping[Reason, int], now: float) -> None:
        """Add to the count of each reason; `now` is in seconds since 1970. Raises LedgerError."""
        with self._ledger.transaction() as db:
            db.executemany(
                "INSERT INTO rejections (reason, count, last_at) VALUES (?, ?, ?)"
                " ON CONFLICT (reason) DO UPDATE SET count = rejections.count + excluded.count,"
                " last_at = CASE WHEN excluded.last_at > rejections.last_at THEN excluded.last_at"
                " ELSE rejections.last_at END",
                [(reason, count, now) for reason, count in counts.items()],
            )
