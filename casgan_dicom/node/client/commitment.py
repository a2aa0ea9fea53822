"""Storage commitment on an association that we ask for: as the user (`ask`), and as the provider (`report`).

Who is asked to commit may report on the same association, before or behind his response to the request, or
open one of his own, then or days later. So `ask` listens for a moment, and does not wait. It asks once: some
archives take a second request for the response to their report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from pynetdicom import build_role
from pynetdicom.presentation import PresentationContext, build_context

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.association import Connection, connected
from casgan_dicom.node.client.line import SocketOptions
from casgan_dicom.node.client.peer import Peer, not_accepted
from casgan_dicom.node.client.talk import Message, OverError
from casgan_dicom.node.commitment import (
    PUSH_MODEL,
    SYNTAXES,
    CommitmentError,
    Report,
    Request,
    command_refusal,
    decode_report,
    encode_report,
    encode_request,
    report_command,
    request_command,
    response_command,
)
from casgan_dicom.node.dimse import (
    ANSWERED_ID,
    EVENT_TYPE,
    FIELD,
    IS_RESPONSE,
    MESSAGE_ID,
    N_EVENT_REPORT_RQ,
    SOP_CLASS_UID,
    SOP_UID,
    STATUS,
    CommandError,
    MalformedError,
    number,
    text,
)

LINGER_SECONDS = 2.0
"""How long to listen for reports, behind the last response."""
LOOK_SECONDS = 0.2
"""Between two looks whether a report has come elsewhere."""
_MESSAGE_ID = 1
_NO_SUCH_CLASS, _UNRECOGNIZED = 0x0122, 0x0211


@dataclass(frozen=True)
class Asking:
    """Who is told what comes of a request."""

    answered: Callable[[int], None]
    """Told the status of the response."""
    reported: Callable[[Report], int]
    """Told what a report says, whichever request it is about; the status to answer it with."""
    is_awaited: Callable[[], bool]
    """Whether the report about this request is still waited for: it may have come elsewhere."""


def ask(
    peer: Peer,
    request: Request,
    asking: Asking,
    *,
    options: SocketOptions = SocketOptions(),  # noqa: B008  # frozen
    linger_seconds: float = LINGER_SECONDS,
) -> None:
    """Ask a peer to keep objects, and listen for a moment to what it says of them.

    Raises
    ------
    PeerError
        There is no association, or it broke before the response, or what came is no message.
    """
    with connected(peer, _contexts(), options) as connection:
        told = _Dialogue(connection, asking.reported)
        status = told.exchange(request_command(_MESSAGE_ID), encode_request(request, told.syntax))
        asking.answered(status)
        told.listen(asking.is_awaited, linger_seconds)


def report(peer: Peer, said: Report, *, options: SocketOptions = SocketOptions()) -> int:  # noqa: B008  # frozen
    """Tell a peer what is kept of what it asked for; the status that it answers.

    Raises
    ------
    PeerError
        There is no association, or it broke.
    """
    roles = [build_role(PUSH_MODEL, scp_role=True)]

    def none_awaited(_report: Report) -> int:
        return _UNRECOGNIZED  # the provider is us

    with connected(peer, _contexts(), options, roles) as connection:
        told = _Dialogue(connection, none_awaited)
        command = report_command(_MESSAGE_ID, said.event_type)
        status = told.exchange(command, encode_report(said, told.syntax))
        told.end()
    return status


def _contexts() -> list[PresentationContext]:
    return [build_context(PUSH_MODEL, syntax) for syntax in SYNTAXES]


class _Dialogue:
    """One association about storage commitment."""

    def __init__(self, connection: Connection, reported: Callable[[Report], int]) -> None:
        self._connection = connection
        self._reported = reported
        self._context_id, self.syntax = _accepted(connection)
        """Presentation context, and transfer syntax of the data sets."""
        self._talk = connection.talk()
        self._answer: int | None = None

    def exchange(self, command: bytes, data_set: bytes) -> int:
        """Send a request and wait for its response; the status. Raises PeerError where none comes."""
        deadline = monotonic() + self._connection.peer.response_seconds
        try:
            self._talk.send(self._context_id, command, data_set)
            while self._answer is None and monotonic() < deadline:
                self._hear(deadline - monotonic())
        except OverError:
            self.end()
        except (MalformedError, CommandError) as error:
            raise self._garbage(error) from error
        if self._answer is None:
            raise self._connection.unanswered("a message about storage commitment was sent")
        return self._answer

    def listen(self, is_awaited: Callable[[], bool], seconds: float) -> None:
        """Hear reports as long as one is awaited, but not longer; then say nothing more."""
        deadline = monotonic() + seconds
        try:
            while monotonic() < deadline and is_awaited():
                self._hear(min(LOOK_SECONDS, deadline - monotonic()))
        except OverError:  # it reports later, on an association of its own
            pass
        except (MalformedError, CommandError) as error:
            raise self._garbage(error) from error
        self.end()

    def end(self) -> None:
        """Leave the rest to whoever ends the association."""
        self._talk.end()

    def _garbage(self, error: Exception) -> PeerError:
        return PeerError(
            f"{self._connection.peer} sent what is no message about storage commitment ({error})",
            hint="ask who makes it: PS3.4 J.3 says what it has to send",
        )

    def _hear(self, seconds: float) -> None:
        """Wait for a message and take it: a response is noted, a request is answered."""
        message = self._talk.receive(max(0.0, seconds))
        if message is None:
            return
        field = number(message.command, FIELD)
        if field & IS_RESPONSE:
            if number(message.command, ANSWERED_ID) == _MESSAGE_ID:
                self._answer = number(message.command, STATUS)
            return
        status = self._status(field, message)
        message_id = number(message.command, MESSAGE_ID)
        self._talk.send(self._context_id, response_command(field, message_id, status))

    def _status(self, field: int, message: Message) -> int:
        """Take a request of the peer; the status of our response."""
        if field != N_EVENT_REPORT_RQ:
            return _UNRECOGNIZED
        if text(message.command, SOP_CLASS_UID) != PUSH_MODEL:
            return _NO_SUCH_CLASS
        status, _ = command_refusal(
            field, text(message.command, SOP_UID), number(message.command, EVENT_TYPE)
        )
        if status:
            return status
        try:
            return self._reported(decode_report(message.data_set, self.syntax))
        except CommitmentError as error:
            return error.status


def _accepted(connection: Connection) -> tuple[int, str]:
    """The presentation context to use, and its transfer syntax."""
    for context in connection.association.accepted_contexts:  # in whatever role: that is not tested
        if context.abstract_syntax == PUSH_MODEL and context.transfer_syntax[0] in SYNTAXES:
            assert context.context_id is not None
            return context.context_id, str(context.transfer_syntax[0])
    raise not_accepted(connection.peer, _contexts())
