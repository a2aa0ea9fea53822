"""What is said to us about storage commitment, and what we answer.

N-EVENT-REPORT, the report of somebody whom we asked, goes to ``reports.py``. N-ACTION, a request of somebody
who wants to know what we keep, is answered here:

    0000  when the request is on the disk; the report follows
    0115  when the data set names nothing, or the Transaction UID (0008,1195) was used for other objects
    0213  when it is too long, or cannot be written down

The report follows on the same association, if the peer is still there after a moment. If it is not, or does
not take the report, ``work/reporter.py`` tells it on one of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from time import time

from casgan_dicom.log import get_logger
from casgan_dicom.node.commitment import (
    INVALID_ARGUMENT,
    RESOURCES,
    SUCCESS,
    CommitmentError,
    Report,
    decode_request,
)
from casgan_dicom.node.dimse import N_EVENT_REPORT_RQ
from casgan_dicom.node.receive.commands import Answer
from casgan_dicom.node.receive.letter import Letter
from casgan_dicom.node.receive.reports import Reports
from casgan_dicom.node.state.bells import COORDINATOR, ring
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import LedgerError
from casgan_dicom.node.state.promises import REPORTS, Promise, Promises

HERE_SECONDS = 30.0
"""How long a report may be tried on the association of the request, before it is told on one of ours."""
_LONGEST_COMMENT = 64

log = get_logger("listener")


class Correspondence:
    """What is said about storage commitment.

    Parameters
    ----------
    reports
        Takes what destinations report.
    promises
        Of the node's ledger.
    layout
        Of the node.
    clock
        Seconds since 1970.
    """

    def __init__(
        self, reports: Reports, promises: Promises, layout: Layout, clock: Callable[[], float] = time
    ) -> None:
        self._reports = reports
        self._promises = promises
        self._bells = layout.bells
        self._clock = clock

    def take(self, letter: Letter, calling: str, address: str) -> Answer:
        """Answer for what somebody says; never raises."""
        if letter.request.field == N_EVENT_REPORT_RQ:
            return self._reports.take(letter, calling, address)
        told = log.bind(ae_title=calling, address=address)
        try:
            return self._promise(letter, calling, address)
        except CommitmentError as error:
            told.warning("request to commit refused", reason=str(error))
            return Answer(error.status, str(error)[:_LONGEST_COMMENT])
        except LedgerError as error:
            told.exception("request to commit cannot be written down", error=error)
        except Exception as error:  # our own fault: the peer may ask again
            told.exception("request to commit refused", error=error)
        return Answer(RESOURCES, "the request cannot be written down now")

    def report(self, promise: Promise) -> Report | None:
        """What we keep of a request; None if that cannot be told now."""
        try:
            return self._promises.report(promise)
        except LedgerError as error:
            log.exception("report about a commitment cannot be made", error=error)
            return None

    def told(self, promise: Promise) -> None:
        """The peer has taken the report on its association."""
        try:
            self._promises.told(promise, self._clock())
        except LedgerError as error:  # it is told once more
            log.exception("report about a commitment cannot be written down", error=error)
        else:
            log.info("commitment told", ae_title=promise.peer, transaction_uid=promise.transaction_uid)

    def left(self, promise: Promise) -> None:
        """The peer has not taken the report on its association."""
        try:
            self._promises.left(promise, self._clock())
        except LedgerError as error:  # it is told when its time comes
            log.exception("report about a commitment cannot be written down", error=error)
        ring(self._bells, REPORTS)

    def _promise(self, letter: Letter, calling: str, address: str) -> Answer:
        request, now = decode_request(letter.content, letter.transfer_syntax), self._clock()
        promise = Promise(calling, address, request.transaction_uid, asked_at=now)
        if not self._promises.enter(promise, request, now + HERE_SECONDS):
            raise CommitmentError("Transaction UID (0008,1195) is in use", INVALID_ARGUMENT)
        told = log.bind(ae_title=calling, address=address, transaction_uid=request.transaction_uid)

        def afterwards() -> None:
            ring(self._bells, COORDINATOR)  # the series may be complete
            told.info("commitment asked of us", objects=len(request.references))

        return Answer(SUCCESS, afterwards=afterwards, promised=promise)
