"""Asks a destination to keep what was stored there (storage commitment), again until it says so.

One thread for each destination that is asked to commit; what waits for a report waits in the ledger, and
holds neither a thread nor the line of the destination. Each request has an association of its own. That
stays open for a moment, for destinations that report on it; a report on an association of the destination's
own comes to the listener. Whoever hears it writes it into the ledger (``commitments.py``), and this thread,
whose bell it rings, sees it there.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from random import random
from time import time

from pydicom.uid import generate_uid

from casgan_dicom.errors import CasganError
from casgan_dicom.log import get_logger
from casgan_dicom.node.client.commitment import Asking, ask
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.commitment import PROCESSING_FAILURE, RESOURCES, SUCCESS, Report, Request
from casgan_dicom.node.settings import DestinationSettings, RetrySettings
from casgan_dicom.node.state.bells import COORDINATOR, Bell, ring
from casgan_dicom.node.state.commitments import Commitments, Committing, bell_of
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import LedgerError
from casgan_dicom.node.work.committing import ask_again_at, next_step

LOOK_SECONDS = 2.0
"""Longest time between two looks at the ledger: a ring may be lost, and a clock be set."""
_LATER = (PROCESSING_FAILURE, RESOURCES)
"""Statuses of a response that may be another one later."""

log = get_logger("sender")


@dataclass(frozen=True)
class _Asked:
    """A request that was written down."""

    waiting: Committing
    request: Request
    at: float
    is_answered: threading.Event = field(default_factory=threading.Event)


class Committer:
    """The commitments of one destination.

    Parameters
    ----------
    destination
        The destination.
    peer
        How to reach it.
    rules
        When to ask again.
    commitments
        Of the node's ledger.
    layout
        Of the node.
    """

    def __init__(
        self,
        destination: DestinationSettings,
        peer: Peer,
        rules: RetrySettings,
        commitments: Commitments,
        layout: Layout,
    ) -> None:
        self._destination = destination
        self._peer = peer
        self._rules = rules
        self._commitments = commitments
        self._bells = layout.bells

    def start(self) -> None:
        """Do what is due from now on, in a thread."""
        threading.Thread(target=self._run, name=f"commit.{self._destination.name}", daemon=True).start()

    def _run(self) -> None:
        bell = Bell(self._bells, bell_of(self._destination.name))
        try:
            while True:
                self.look(time())
                at = self._commitments.next_at(self._destination.name)
                bell.wait(LOOK_SECONDS if at is None else min(LOOK_SECONDS, at - time()))
        except Exception as error:  # what is due stands in the ledger: the process starts again
            log.exception("commitments interrupted, the process starts again", error=error)
            os._exit(os.EX_SOFTWARE)

    def look(self, now: float) -> None:
        """Do what is due."""
        for waiting in self._commitments.due(self._destination.name, now):
            step = next_step(waiting, self._rules, now)
            if step.kind == "wait":
                self._commitments.wait(waiting.delivery, step.at)
            elif step.kind == "send again":
                self._commitments.send_again(waiting.delivery, now)
                ring(self._bells, COORDINATOR)
            elif step.kind == "give up":
                self._give_up(waiting, step.reason)
            else:
                self._ask(waiting, time())

    def _ask(self, waiting: Committing, now: float) -> None:
        """Write a request down, send it, and write down what comes of it."""
        until = now + self._destination.commitment_seconds
        request = self._commitments.ask(waiting.delivery, str(generate_uid(prefix=None)), until, now)
        if request is None:  # it does not wait any more
            ring(self._bells, COORDINATOR)
            return
        asked = _Asked(waiting, request, now)
        reason = ""
        try:
            ask(self._peer, request, self._asking(asked))
        except CasganError as error:
            reason = error.message
        except LedgerError:  # what came of it cannot be written down: start again
            raise
        except Exception as error:  # a bug must not stop the others; its text may quote what came
            log.exception("commitment failed", error=error, destination=self._destination.name)
            reason = f"unexpected {type(error).__name__}, see the log"
        if reason and not asked.is_answered.is_set():
            self._later(asked, reason)

    def _asking(self, asked: _Asked) -> Asking:
        return Asking(
            lambda status: self._answered(asked, status),
            self._reported,
            lambda: self._commitments.is_open(asked.request.transaction_uid),
        )

    def _answered(self, asked: _Asked, status: int) -> None:
        """Write down the response to a request."""
        asked.is_answered.set()
        delivery, said = asked.waiting.delivery, f"the request to commit was answered 0x{status:04X}"
        log.info(
            "commitment asked for",
            job=delivery.job,
            destination=delivery.destination,
            transaction_uid=asked.request.transaction_uid,
            objects=len(asked.request.references),
            status=status,
        )
        if status == SUCCESS:
            return
        if status in _LATER:
            self._later(asked, said)
        else:
            self._give_up(asked.waiting, said, asked.request.transaction_uid)

    def _later(self, asked: _Asked, reason: str) -> None:
        """Ask again after a while, unless a report has come."""
        if not self._commitments.is_open(asked.request.transaction_uid):
            return
        first = asked.waiting.asked_at if asked.waiting.asked_at is not None else asked.at
        at = ask_again_at(asked.waiting.asked + 1, first, self._rules, time(), random())
        self._commitments.wait(asked.waiting.delivery, at, reason)
        log.warning(
            "commitment cannot be asked for now",
            job=asked.waiting.delivery.job,
            destination=asked.waiting.delivery.destination,
            reason=reason,
        )

    def _give_up(self, waiting: Committing, reason: str, transaction_uid: str = "") -> None:
        self._commitments.give_up(waiting.delivery, reason, time(), transaction_uid)
        ring(self._bells, COORDINATOR)
        log.error(
            "commitment given up",
            job=waiting.delivery.job,
            destination=waiting.delivery.destination,
            reason=reason,
        )

    def _reported(self, report: Report) -> int:
        """Write down a report that came on an association of ours; the status of the response."""
        heard = self._commitments.heard(report, [self._destination.name], time())
        log.info(
            "commitment reported",
            destination=self._destination.name,
            transaction_uid=report.transaction_uid,
            outcome=heard,
            kept=len(report.kept),
            failed=len(report.failed),
        )
        return PROCESSING_FAILURE if heard == "unknown" else SUCCESS
