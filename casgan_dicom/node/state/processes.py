"""Who runs now, and who died how often: the processes of the node in the ledger, for whoever asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from casgan_dicom.node.state.database import Connection
from casgan_dicom.node.state.ledger import Ledger


class Processes:
    """The processes of a host in a ledger.

    Parameters
    ----------
    ledger
        The ledger.
    host
        The host; empty for the only one.
    """

    def __init__(self, ledger: Ledger, host: str = "") -> None:
        self._ledger = ledger
        self._host = host

    def note(self, pids: Mapping[str, int], now: float) -> None:
        """Write down who runs: process ids by role, in place of those before. Raises LedgerError."""
        with self._ledger.transaction() as db:
            for row in db.execute("SELECT role FROM processes").fetchall():
                if role_at(row["role"])[0] == self._host:
                    db.execute("DELETE FROM processes WHERE role = ?", [row["role"]])
            for role, pid in pids.items():
                db.execute(
                    "INSERT INTO processes (role, pid, started_at) VALUES (?, ?, ?)",
                    [self._named(role), pid, now],
                )

    def died(self, roles: Sequence[str], now: float) -> None:
        """Count a death of each of these, each of which is started again. Raises LedgerError."""
        with self._ledger.transaction() as db:
            for role in roles:
                db.execute(
                    "INSERT INTO deaths (role, count, last_at) VALUES (?, 1, ?) ON CONFLICT (role)"
                    " DO UPDATE SET count = deaths.count + 1, last_at = excluded.last_at",
                    [self._named(role), now],
                )

    def _named(self, role: str) -> str:
        return f"{self._host}/{role}" if self._host else role


def roles_at(db: Connection, host: str) -> set[str]:
    """Roles that are noted as running on a host; its name is empty for the only one."""
    rows = db.execute("SELECT role FROM processes").fetchall()
    return {role for at, role in (role_at(row["role"]) for row in rows) if at == host}


def role_at(named: str) -> tuple[str, str]:
    """Host and role of a row; the host is empty for the only one."""
    host, _, role = named.rpartition("/")
    return host, role
