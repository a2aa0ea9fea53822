"""Who runs now, and who died how often: the processes of the node in the ledger, for whoever asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
                db.execute("INSERT INTO processes (role, pid, started_at) VALUES (?, ?, ?)", [role, pid, now])

    def died(self, roles: Sequence[str], now: float) -> None:
        """Count a death of each of these, each of which is started again. Raises LedgerError."""
        with self._ledger.transaction() as db:
            for role in roles:
                db.execute(
                    "INSERT INTO deaths (role, count, last_at) VALUES (?, 1, ?) ON CONFLICT (role)"
                    " DO UPDATE SET count = deaths.count + 1, last_at = excluded.last_at",
                    [role, now],
                )
