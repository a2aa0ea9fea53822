"""What somebody was told of all that is wrong, in the ledger: a node that starts again repeats nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass

from casgan_dicom.node.state.ledger import Ledger

Key = tuple[str, str]
"""What kind of thing it is, and about what."""


@dataclass(frozen=True)
class Known:
    """One thing that is wrong, or was."""

    event: str
    """What kind of thing it is."""
    about: str
    """Which of its kind."""
    level: int
    """How bad it is, as `Level`."""
    text: str
    """What it is: names of the configuration, UIDs and counts."""
    since: float
    """When it was seen first, seconds since 1970."""
    told_at: float | None = None
    """When it was told last; None if it was not yet."""
    told_level: int = 0
    """How bad it was then."""
    gone_at: float | None = None
    """When it was seen no more; None while it lasts."""

    @property
    def key(self) -> Key:
        """What tells it from others."""
        return self.event, self.about


class Notices:
    """The table of what was told.

    Parameters
    ----------
    ledger
        Of the node.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def known(self, target: str) -> dict[Key, Known]:
        """What somebody knows. Raises LedgerError."""
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT event, about, level, text, since, told_at, told_level, gone_at FROM notices"
                " WHERE target = ?",
                [target],
            ).fetchall()
        found = [Known(**dict(row)) for row in rows]
        return {each.key: each for each in found}

    def keep(self, target: str, known: Mapping[Key, Known]) -> None:
        """Write down what somebody knows, in place of what that was. Raises LedgerError."""
        with self._ledger.transaction() as db:
            db.execute("DELETE FROM notices WHERE target = ?", [target])
            db.executemany(
                "INSERT INTO notices (target, event, about, level, text, since, told_at, told_level, gone_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(target, *astuple(each)) for each in known.values()],
            )
