"""Who runs now: the processes of the node in the ledger, for whoever asks (``overview.py``)."""

from __future__ import annotations

from collections.abc import Mapping

from casgan_dicom.node.state.ledger import Ledger


class Processes:
    """The processes of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def note(self, pids: Mapping[str, int], now: float) -> None:
        """Write down who runs: process ids by role, in place of those before. Raises LedgerError."""
        with self._ledger.transaction() as db:
            db.execute("DELETE FROM processes")
            for role, pid in pids.items():
                db.execute("INSERT INTO processes VALUES (?, ?, ?)", [role, pid, now])
