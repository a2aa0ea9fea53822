"""The commands of C-ECHO, C-STORE, N-ACTION and N-EVENT-REPORT as we receive them (PS3.7 9.3, 10.3).

A request that we cannot serve is still a request: it is read with the status that refuses it (PS3.7 annex C),
so that the peer gets an answer and its other messages are not lost. Only what cannot be answered is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from casgan_dicom.node.dimse import (
    ACTION_TYPE,
    ANSWERED_ID,
    C_ECHO_RQ,
    C_STORE_RQ,
    COMMENT,
    DATA_SET_TYPE,
    EVENT_TYPE,
    FIELD,
    IS_RESPONSE,
    MESSAGE_ID,
    N_ACTION_RQ,
    N_EVENT_REPORT_RQ,
    NO_DATA_SET,
    REQUESTED_CLASS_UID,
    REQUESTED_UID,
    SOP_CLASS_UID,
    SOP_UID,
    STATUS,
    CommandError,
    command_set,
    element,
    elements,
    number,
    short,
    text,
)
from casgan_dicom.node.state.promises import Promise

_C_CANCEL_RQ = 0x0FFF

INVALID_INSTANCE, NO_SUCH_CLASS, UNRECOGNIZED, MISTYPED = 0x0117, 0x0122, 0x0211, 0x0212
"""Statuses that refuse a request for what its command says, PS3.7 annex C."""

OF_COMMITMENT = (N_ACTION_RQ, N_EVENT_REPORT_RQ)
"""Command Fields (0000,0100) of requests whose data set is no instance."""
_SERVED = (C_STORE_RQ, C_ECHO_RQ, *OF_COMMITMENT)
_TYPE = {N_ACTION_RQ: ACTION_TYPE, N_EVENT_REPORT_RQ: EVENT_TYPE}
"""Element that says what is to be done, or what has happened."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Request:
    """A request."""

    field: int
    """Command Field (0000,0100); it is served if it is in `_SERVED`."""
    message_id: int
    """Message ID (0000,0110); 0 in a message that wants no answer."""
    sop_class_uid: str
    """Affected SOP Class UID (0000,0002), or the requested one (0000,0003); empty where that is none."""
    sop_uid: str = ""
    """Affected SOP Instance UID (0000,1000), or the requested one (0000,1001) of N-ACTION, as it came: it
    need not be a UID. Empty where it is too long for one, or no text, and for C-ECHO."""
    has_data_set: bool = False
    """Whether a data set follows, by Command Data Set Type (0000,0800)."""
    refusal: int = 0
    """The status that refuses it; 0 if nothing is wrong so far."""
    fault: str = ""
    """Why it is refused."""
    type_id: int = -1
    """Action or Event Type ID (0000,1008), (0000,1002); -1 where there is none."""
    answers: int = -1
    """Message ID Being Responded To (0000,0120) of a response; -1 where there is none."""
    status: int = -1
    """Status (0000,0900) of a response; -1 where there is none."""

    @property
    def wants_answer(self) -> bool:
        """Whether it is a request: a response, or the cancellation of a request, is not answered."""
        return not self.field & IS_RESPONSE and self.field != _C_CANCEL_RQ


@dataclass(frozen=True)
class Answer:
    """The response to a request."""

    status: int
    """Status (0000,0900)."""
    comment: str = ""
    """Error Comment (0000,0902): at most 64 characters, no patient data."""
    afterwards: Callable[[], None] = _nothing
    """Done when the response is on its way, because the peer need not wait for it."""
    promised: Promise | None = None
    """What the peer is to get a report on; None for nothing."""


def decode_request(content: bytes) -> Request:
    """Read a whole command set.

    Raises
    ------
    CommandError
        It is no command set, or Command Field, Data Set Type or, in a request, Message ID is not there.
    """
    values = elements(content)
    field = number(values, FIELD)
    has_data_set = number(values, DATA_SET_TYPE) != NO_DATA_SET
    sop_class_uid = text(values, SOP_CLASS_UID) or text(values, REQUESTED_CLASS_UID)
    sop_uid = _sop_uid(values, field)
    request = Request(
        field, 0, sop_class_uid, sop_uid, has_data_set, type_id=_number_or_none(values, _TYPE.get(field, -1))
    )
    if not request.wants_answer:
        fault = f"message {field:04X} answers or cancels nothing of ours"
        answers, status = _number_or_none(values, ANSWERED_ID), _number_or_none(values, STATUS)
        return replace(request, fault=fault, answers=answers, status=status)
    refusal, fault = _refusal(request)
    return replace(request, message_id=number(values, MESSAGE_ID), refusal=refusal, fault=fault)


def refused(request: Request, status: int, fault: str) -> Request:
    """The request with the status that refuses it, and why."""
    return replace(request, refusal=status, fault=fault)


def _refusal(request: Request) -> tuple[int, str]:
    """The status that refuses a request for what its command says, and why; 0 and nothing if none does."""
    if request.field not in _SERVED:
        return UNRECOGNIZED, f"operation {request.field:04X} is not offered"
    if not request.sop_class_uid:
        return NO_SUCH_CLASS, "Affected SOP Class UID (0000,0002) is no UID"
    if request.field == C_STORE_RQ and not request.sop_uid:
        return INVALID_INSTANCE, "Affected SOP Instance UID (0000,1000) is no UID"
    if request.has_data_set != (request.field != C_ECHO_RQ):
        found = "a data set" if request.has_data_set else "no data set"
        return MISTYPED, f"Command Data Set Type (0000,0800) says {found}"
    return 0, ""


def encode_response(request: Request, status: int, comment: str = "") -> bytes:
    """Write the response to a request; the comment is text of up to 64 characters."""
    content = element(SOP_CLASS_UID, request.sop_class_uid.encode(), b"\0") if request.sop_class_uid else b""
    content += element(FIELD, short(request.field | IS_RESPONSE))
    content += element(ANSWERED_ID, short(request.message_id))
    content += element(DATA_SET_TYPE, short(NO_DATA_SET))
    content += element(STATUS, short(status))
    if comment:
        content += element(COMMENT, comment.encode("ascii", "replace"), b" ")
    if request.sop_uid:
        content += element(SOP_UID, request.sop_uid.encode(), b"\0")
    if request.type_id >= 0:
        content += element(_TYPE[request.field], short(request.type_id))
    return command_set(content)


def _sop_uid(values: dict[int, bytes], field: int) -> str:
    """The SOP instance that a request is about; empty where none belongs."""
    if field == N_ACTION_RQ:
        return text(values, REQUESTED_UID)
    return text(values, SOP_UID) if field in (C_STORE_RQ, N_EVENT_REPORT_RQ) else ""


def _number_or_none(values: dict[int, bytes], element_number: int) -> int:
    """A number of a command; -1 where there is none."""
    try:
        return number(values, element_number)
    except CommandError:
        return -1
