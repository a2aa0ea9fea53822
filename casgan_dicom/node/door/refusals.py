"""Everybody who was not let in: told in the log, and counted by reason.

The counts are kept in memory and written down by `Refusals.write` now and then, all together: a peer that
tries a thousand times a second must not cost a thousand flushes of the disk.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from casgan_dicom.log import get_logger
from casgan_dicom.node.door.complaints import Complaints, Outcome
from casgan_dicom.node.state.ledger import LedgerError
from casgan_dicom.node.state.rejections import Rejections

Kind = Literal[
    "request", "called title", "sender", "certificate", "TLS", "too many associations", "no room", "login"
]
"""Why somebody is not let in, as it is counted."""

log = get_logger("listener")


@dataclass(frozen=True)
class Refusal:
    """Somebody who was not let in."""

    kind: Kind
    """What it is counted as."""
    reason: str
    """Why, for the log."""
    address: str
    """IP address that it came from."""
    ae_title: str = ""
    """What it called itself, if it came to that."""
    called: str = ""
    """What it called us, if it came to that."""


class Refusals:
    """Who was not let in; threads may share it.

    Parameters
    ----------
    complaints
        Tells what was wrong.
    on_told
        Called with whoever is told of in the log: not with all of a flood.
    """

    def __init__(self, complaints: Complaints, on_told: Callable[[Refusal], None]) -> None:
        self._complaints = complaints
        self._on_told = on_told
        self._lock = threading.Lock()
        self._counts = Counter[Kind]()

    def note(self, refusal: Refusal, outcome: Outcome = "association rejected") -> None:
        """Count somebody who was not let in, and tell it; every refusal of one peer comes by here."""
        self.count(refusal.kind)
        facts = {"ae_title": refusal.ae_title, "called": refusal.called}
        told = {name: value for name, value in facts.items() if value}
        if self._complaints.say(outcome, address=refusal.address, reason=refusal.reason, **told):
            self._on_told(refusal)

    def count(self, kind: Kind) -> None:
        """Count somebody who is told of elsewhere."""
        with self._lock:
            self._counts[kind] += 1

    def write(self, rejections: Rejections, now: float) -> None:
        """Write down what was counted since the last time; what cannot be is counted on."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            rejections.add(counts, now)
        except LedgerError as error:
            log.exception("rejections cannot be counted now", error=error)
            with self._lock:
                self._counts.update(counts)
