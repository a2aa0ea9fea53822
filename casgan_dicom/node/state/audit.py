"""The audit trail of a node: what was deleted, who was turned away, what was accepted or
rejected, when it ran.

    audit.log       the latest messages; audit.log.1 those before, and so on up to the number of files kept

A line is a syslog message (RFC 5424) with a DICOM audit message in it (``audit_message.py``), as PS3.15 A.6
wants it: facility 10, MSGID ``DICOM+RFC3881``. Structured data is empty so far. Several processes write: each
line is appended under a lock (flock) in one call and flushed. What cannot be written is told in the log:
neither a deletion nor a rejection waits for room on the disk.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from casgan_dicom.disk import sync_folder
from casgan_dicom.log import get_logger
from casgan_dicom.node.settings import AuditSettings
from casgan_dicom.node.state.audit_message import (
    APPLICATION,
    APPLICATION_ACTIVITY,
    APPLICATION_START,
    APPLICATION_STOP,
    DICOM_INSTANCES_ACCESSED,
    DICOM_STUDY_DELETED,
    MINOR_FAILURE,
    NODE_AUTHENTICATION,
    SECURITY_ALERT,
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
        self._path = layout.audit
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
        self._tell(Event(DICOM_STUDY_DELETED, "D"), [self._ourselves("node")], [*studies, patient()])

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
            self._append(syslog_line(message, now))
        except OSError as error:
            log.exception("audit message cannot be written", error=error, audited=event.event_id[2])

    def _append(self, line: bytes) -> None:
        """Append a line to the file, or to a new one where that is full. Raises OSError."""
        while True:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(self._path, flags, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                if not self._is_current(handle):  # another process has put it aside
                    continue
                size = os.fstat(handle).st_size
                if size and size + len(line) > self._settings.max_bytes:
                    self._put_aside()
                    continue
                _write_whole(handle, line, size)
                if not size:
                    sync_folder(self._path.parent)
                return
            finally:
                os.close(handle)

    def _is_current(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), self._path.stat())
        except FileNotFoundError:
            return False

    def _put_aside(self) -> None:
        """Give every file the next number; the last goes. Whoever calls this holds the lock of the first."""
        files = [self._path, *(numbered(self._path, k + 1) for k in range(self._settings.files))]
        for path, after in reversed([*pairwise(files)]):
            if path.exists():
                path.rename(after)
        for path in self._path.parent.glob(f"{self._path.name}.*"):  # fewer are kept than before
            number = path.name.removeprefix(f"{self._path.name}.")
            if number.isdecimal() and int(number) > self._settings.files:
                path.unlink()
        sync_folder(self._path.parent)


def _write_whole(handle: int, line: bytes, size: int) -> None:
    """Append a line to a file of this size, and flush it; nothing of it stays where not all of it fits."""
    written = os.write(handle, line)
    if written != len(line):
        os.ftruncate(handle, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(handle)


def numbered(path: Path, number: int) -> Path:
    """Where an older part of the trail lies; 1 is the latest of them."""
    return path.with_name(f"{path.name}.{number}")


def syslog_line(message: str, at: datetime) -> bytes:
    """A line of RFC 5424 with an audit message; `at` is its time, in UTC."""
    when = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"
    host = "".join(c for c in printable(socket.gethostname()) if "!" <= c <= "~")[:_LONGEST_HOST] or "-"
    head = f"<{_NOTICE}>1 {when} {host} {_NAME} {os.getpid()} {_MESSAGE_ID} -"
    return f"{head} {_BYTE_ORDER_MARK}{message}\n".encode()
