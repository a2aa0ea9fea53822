"""When was who last heard of: those who sent here, those who were turned away, those we send to."""

from __future__ import annotations

from dataclasses import dataclass

from casgan_dicom.node.state.ledger import Ledger


@dataclass(frozen=True)
class SenderRow:
    """Somebody who sent here, from one address."""

    ae_title: str
    """Calling AE title, or what jobs call it."""
    address: str
    """IP address."""
    instances: int
    """Instances that the ledger has of it."""
    last_at: float
    """When the last of them came in, seconds since 1970."""


@dataclass(frozen=True)
class RejectionRow:
    """Those who were turned away for one reason."""

    reason: str
    """Why."""
    count: int
    """How often."""
    last_at: float
    """The last time, seconds since 1970."""


@dataclass(frozen=True)
class QueueRow:
    """What goes to one destination."""

    destination: str
    """Its name."""
    state: str
    """State of these deliveries, see ``deliveries.py``."""
    count: int
    """How many."""
    first_at: float
    """When the first of them changed, seconds since 1970: of those that wait, the oldest."""
    last_at: float
    """When the last of them changed: of those that were sent, the last contact."""


def senders(ledger: Ledger) -> list[SenderRow]:
    """Everybody who sent here, by name."""
    with ledger.reading() as db:
        rows = db.execute(
            "SELECT peer AS ae_title, address, count(*) AS instances, max(received_at) AS last_at"
            " FROM instances GROUP BY peer, address ORDER BY peer, address"
        ).fetchall()
    return [SenderRow(**dict(row)) for row in rows]


def turned_away(ledger: Ledger) -> list[RejectionRow]:
    """Everybody who was turned away, by reason."""
    with ledger.reading() as db:
        rows = db.execute("SELECT reason, count, last_at FROM rejections ORDER BY reason").fetchall()
    return [RejectionRow(**dict(row)) for row in rows]


def queues(ledger: Ledger) -> list[QueueRow]:
    """What goes to each destination, by state."""
    with ledger.reading() as db:
        rows = db.execute(
            "SELECT destination, state, count(*) AS count, min(changed_at) AS first_at,"
            " max(changed_at) AS last_at FROM deliveries GROUP BY destination, state"
            " ORDER BY destination, state"
        ).fetchall()
    return [QueueRow(**dict(row)) for row in rows]


def last_contacts(ledger: Ledger) -> dict[str, float]:
    """When something last came in of each, seconds since 1970; peers of whom nothing did are not there.

    Raises LedgerError.
    """
    with ledger.reading() as db:
        rows = db.execute("SELECT peer, max(last_at) AS last_at FROM jobs GROUP BY peer").fetchall()
    return {row["peer"]: row["last_at"] for row in rows}
