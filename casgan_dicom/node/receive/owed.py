"""Reports that are owed on one association: to whoever asked on it what we keep, if he stays to hear it."""

from __future__ import annotations

from dataclasses import dataclass

from casgan_dicom.node.commitment import SUCCESS, encode_report, report_command
from casgan_dicom.node.dimse import IS_RESPONSE, N_EVENT_REPORT_RQ
from casgan_dicom.node.receive.commands import Request
from casgan_dicom.node.receive.correspondence import Correspondence
from casgan_dicom.node.state.promises import Promise

LEAVE_SECONDS = 1.0
"""For the peer to release the association behind its request: many wait for the report on one of ours."""
_MOST_MESSAGES = 65535


@dataclass(frozen=True)
class _Owing:
    """A report that is due."""

    promise: Promise
    context_id: int
    transfer_syntax: str
    at: float


@dataclass(frozen=True)
class Telling:
    """A message that is to be sent."""

    context_id: int
    """Presentation context."""
    command: bytes
    """Its command set."""
    data_set: bytes
    """Its data set."""


class Owed:
    """The reports of one association; for its thread, and at the end for who ends it.

    Parameters
    ----------
    correspondence
        Knows what to report, and is told what came of it.
    """

    def __init__(self, correspondence: Correspondence) -> None:
        self._correspondence = correspondence
        self._due: list[_Owing] = []
        self._told: _Owing | None = None
        self._number = 0

    def owe(self, promise: Promise, context_id: int, transfer_syntax: str, now: float) -> None:
        """Let a report follow, after a moment; the clock is one of any start."""
        self._due.append(_Owing(promise, context_id, transfer_syntax, now + LEAVE_SECONDS))

    def next(self, now: float) -> Telling | None:
        """What is to be said now; None if nothing is, or the last report was not answered yet."""
        if self._told is not None or not self._due or self._due[0].at > now:
            return None
        self._told = owing = self._due.pop(0)
        report = self._correspondence.report(owing.promise)
        if report is None:
            self._leave()
            return None
        self._number = self._number % _MOST_MESSAGES + 1
        command = report_command(self._number, report.event_type)
        return Telling(owing.context_id, command, encode_report(report, owing.transfer_syntax))

    def answered(self, request: Request) -> bool:
        """Whether a message is the response to the last report."""
        wanted = (N_EVENT_REPORT_RQ | IS_RESPONSE, self._number)
        if self._told is None or (request.field, request.answers) != wanted:
            return False
        if request.status == SUCCESS:
            self._correspondence.told(self._told.promise)
            self._told = None
        else:
            self._leave()
        return True

    def end(self) -> None:
        """The association is over: what it has not heard is told on one of ours."""
        if self._told is not None:
            self._leave()
        while self._due:
            self._correspondence.left(self._due.pop().promise)

    def _leave(self) -> None:
        assert self._told is not None
        self._correspondence.left(self._told.promise)
        self._told = None
