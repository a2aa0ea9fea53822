"""The audit trail of a node: what came, went and was deleted, who was turned away, what was accepted or
rejected, when it ran.

A line is a syslog message (RFC 5424) with a DICOM audit message in it (``audit_message.py``), as PS3.15 A.6
wants it: facility 10, MSGID ``DICOM+RFC3881``; its structured data chain it to the line before
(``audit_chain.py``). What cannot be written is told in the log: neither a deletion nor a rejection waits for
room on the disk.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from casgan_dicom.errors import ConfigError
from casgan_dicom.log import get_logger
from casgan_dicom.node.settings import AuditSettings
from casgan_dicom.node.state.audit_chain import chained
from casgan_dicom.node.state.audit_file import AuditFile
from casgan_dicom.node.state.audit_key import chain_key
from casgan_dicom.node.state.audit_message import (
    APPLICATION,
    APPLICATION_ACTIVITY,
    APPLICATION_START,
    APPLICATION_STOP,
    DESTINATION,
    DICOM_INSTANCES_ACCESSED,
    DICOM_INSTANCES_TRANSFERRED,
    DICOM_STUDY_DELETED,
    LOGIN,
    MINOR_FAILURE,
    NODE_AUTHENTICATION,
    SECURITY_ALERT,
    SERIOUS_FAILURE,
    SOURCE,
    SUCCESS,
    UNKNOWN,
    USE_OF_RESTRICTED_FUNCTION,
    USER_AUTHENTICATION,
    WITHHELD,
    Code,
    Event,
    Participant,
    Subject,
    audit_message,
    erased,
    node,
    patient,
    study,
)
from casgan_dicom.node.state.audit_sent import read_sent
from casgan_dicom.node.state.bells import AUDIT, ring
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.quoting import printable, quoted

_NAME = "casgan-dicom"
_NOTICE = 10 * 8 + 5
"""PRI: security messages, normal but significant."""
_MESSAGE_ID = "DICOM+RFC3881"
_BYTE_ORDER_MARK = "\ufeff"
"""Tells that the message is UTF-8, RFC 5424 6.4."""
_LONGEST_HOST = 255
_DEFAULT = AuditSettings()

log = get_logger("audit")


@dataclass(frozen=True)
class Deleted:
    """What was deleted in one go: what a job held, or a file in quarantine."""

    name: str
    """The job, or the name of the file."""
    studies: Sequence[str]
    """Study Instance UIDs (0020,000D); none where that is unknown."""
    instances: int
    """How many instances, those in the outbox counted."""
    reason: str
    """Why; no patient data."""
    details: Mapping[str, str]
    """Anything else, by its name: UIDs and counts."""
    patient_id: str = ""
    """Of whom it was; said only if that is asked for."""


@dataclass(frozen=True)
class Transferred:
    """Objects that came in from another node, or went there."""

    is_received: bool
    """Whether they came in."""
    other: str
    """AE title of the other node; for one that has none, its name in the configuration."""
    address: str
    """IP address or name of its machine; empty if unknown, or for a folder."""
    job: str
    """The job that they belong to."""
    studies: Sequence[str]
    """Study Instance UIDs (0020,000D); none where that is unknown."""
    instances: int
    """How many they are."""
    details: Mapping[str, str]
    """Anything else, by its name: UIDs and counts."""
    failure: str = ""
    """Why they did not arrive, no patient data; empty if they did."""
    patient_id: str = ""
    """Of whom they are; said only if that is asked for."""


@dataclass(frozen=True)
class Reviewed:
    """What somebody thinks of what a job made; not what they wrote, which may be anything."""

    job: str
    """The job."""
    studies: Sequence[str]
    """Study Instance UIDs (0020,000D); none where that is unknown."""
    instances: int
    """How many objects it made."""
    outcome: str
    """Accepted or rejected."""
    reason: str
    """Name of the reason; empty for none."""
    reviewer: str
    """Who says so; empty where nobody said."""


class Audit:
    """The audit trail in a data folder.

    Parameters
    ----------
    layout
        Of the node.
    settings
        How much of it is kept.
    ae_title
        What the node calls itself.
    clock
        The time, in UTC.
    """

    def __init__(
        self,
        layout: Layout,
        settings: AuditSettings = _DEFAULT,
        ae_title: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._file = AuditFile(
            layout.audit,
            settings.max_bytes,
            settings.files,
            (lambda: read_sent(layout).link) if settings.host else None,
        )
        self._bells = layout.bells
        self._settings = settings
        self._ae_title = ae_title
        self._clock = clock

    def started(self) -> None:
        """The node runs."""
        self._activity(APPLICATION_START)

    def stopped(self) -> None:
        """The node was told to stop, and has."""
        self._activity(APPLICATION_STOP)

    def deleted(self, what: Deleted) -> None:
        """Files are gone, for good."""
        details = {"Reason": what.reason, **what.details}
        studies = [erased(uid, what.name, what.instances, details) for uid in what.studies or [""]]
        subjects = [*studies, self._patient(what.patient_id)]
        self._tell(Event(DICOM_STUDY_DELETED, "D"), [self._ourselves("node")], subjects)

    def transferred(self, what: Transferred) -> None:
        """Objects came in, or went somewhere, or could not."""
        outcome = SERIOUS_FAILURE if what.failure else SUCCESS
        # PS3.15 A.5.3.7: who sends does not know whether the other had them already, and says "read".
        event = Event(
            DICOM_INSTANCES_TRANSFERRED,
            "C" if what.is_received else "R",
            outcome,
            description=what.failure,
        )
        other = Participant(
            what.other,
            [what.other],
            is_requestor=what.is_received,
            role=SOURCE if what.is_received else DESTINATION,
            address=what.address,
        )
        ours = replace(
            self._ourselves("node", DESTINATION if what.is_received else SOURCE),
            is_requestor=not what.is_received,
        )
        studies = [study(uid, what.job, what.instances, what.details) for uid in what.studies or [""]]
        between = [other, ours] if what.is_received else [ours, other]
        self._tell(event, between, [*studies, self._patient(what.patient_id)])

    @property
    def names_patients(self) -> bool:
        """Whether a Patient ID that is passed in is said."""
        return self._settings.patients

    def _patient(self, identifier: str) -> Subject:
        return patient((identifier or UNKNOWN) if self._settings.patients else WITHHELD)

    def reviewed(self, what: Reviewed) -> None:
        """Somebody has looked at what a job made, and accepted or rejected it."""
        details = {"Verdict": what.outcome} | ({"Reason": what.reason} if what.reason else {})
        studies = [study(uid, what.job, what.instances, details) for uid in what.studies or [""]]
        by = [Participant(what.reviewer, is_requestor=True)] if what.reviewer else []
        event = Event(DICOM_INSTANCES_ACCESSED, "U")
        self._tell(event, [self._ourselves("node"), *by], [*studies, patient()])

    def rejected(self, calling: str, called: str, address: str, reason: str) -> None:
        """An association was rejected; who calls this sees to it that a flood of them fills no disk."""
        event = Event(SECURITY_ALERT, "E", MINOR_FAILURE, NODE_AUTHENTICATION)
        caller = Participant(calling or address, [calling] if calling else [], address=address)
        alert = f"{reason} (called {quoted(called, 'AE')})"
        self._tell(event, [self._ourselves("listener"), caller], [node(address, calling or address, alert)])

    def logged_in(self, name: str, address: str) -> None:
        """Somebody has shown a token to the page; `name` is that of the token."""
        person = Participant(name, is_requestor=True, address=address)
        self._tell(Event(USER_AUTHENTICATION, "E", type_code=LOGIN), [self._ourselves("page"), person], [])

    def acted(self, name: str, address: str, what: str) -> None:
        """Somebody has changed something through the page: `what`, as "cancel job 1f0e"."""
        event = Event(SECURITY_ALERT, "E", type_code=USE_OF_RESTRICTED_FUNCTION)
        person = Participant(name, is_requestor=True, address=address)
        self._tell(event, [self._ourselves("page"), person], [node(address, name, what)])

    def _activity(self, what: Code) -> None:
        event = Event(APPLICATION_ACTIVITY, "E", type_code=what)
        self._tell(event, [self._ourselves("node", APPLICATION)], [])

    def _ourselves(self, name: str, role: Code | None = None) -> Participant:
        titles = [self._ae_title] if self._ae_title else []
        return Participant(str(os.getpid()), titles, f"{_NAME} {name}", role=role)

    def _tell(self, event: Event, participants: Sequence[Participant], subjects: Sequence[Subject]) -> None:
        now = self._clock()
        message = audit_message(event, participants, self._ae_title or _NAME, subjects, now)
        try:
            self._append(message, now)
        except OSError as error:
            log.exception("audit message cannot be written", error=error, audited=event.event_id[2])

    def _append(self, message: str, at: datetime) -> None:
        """Append a line, and wake who sends it on. Raises OSError."""
        header, text = syslog_header(at), _BYTE_ORDER_MARK + message
        try:
            key = chain_key(self._settings)
        except ConfigError as error:  # a line without the key is one that a check finds; none would be worse
            log.error("audit message is written without the key of the chain", reason=error.message)
            key = None
        self._file.append(lambda tail: chained(tail.link, header, text, torn=tail.torn, key=key), key)
        ring(self._bells, AUDIT)


def syslog_header(at: datetime) -> str:
    """The header of RFC 5424, from PRI to MSGID; `at` is its time, in UTC."""
    when = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"
    host = "".join(c for c in printable(socket.gethostname()) if "!" <= c <= "~")[:_LONGEST_HOST] or "-"
    return f"<{_NOTICE}>1 {when} {host} {_NAME} {os.getpid()} {_MESSAGE_ID}"
