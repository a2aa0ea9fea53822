"""The commands of C-ECHO and C-STORE as we receive them (PS3.7 9.3.1, 9.3.5).

A request that we cannot serve is still a request: it is read with the status that refuses it (PS3.7 annex C),
so that the peer gets an answer and its other messages are not lost. Only what cannot be answered is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from casgan_dicom.node.dimse import (
    ANSWERED_ID,
    C_ECHO_RQ,
    C_STORE_RQ,
    COMMENT,
    DATA_SET_TYPE,
    FIELD,
    IS_RESPONSE,
    MESSAGE_ID,
    NO_DATA_SET,
    REQUESTED_CLASS_UID,
    SOP_CLASS_UID,
    SOP_UID,
    STATUS,
    CommandError,
    command_set,
    element,
    elements,
    short,
)

_C_CANCEL_RQ = 0x0FFF

INVALID_INSTANCE, NO_SUCH_CLASS, UNRECOGNIZED, MISTYPED = 0x0117, 0x0122, 0x0211, 0x0212
"""Statuses that refuse a request for what its command says, PS3.7 annex C."""

_LONGEST_UID = 64


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Request:
    """A request."""

    field: int
    """Command Field (0000,0100); it is served if it is `C_STORE_RQ` or `C_ECHO_RQ`."""
    message_id: int
    """Message ID (0000,0110); 0 in a message that wants no answer."""
    sop_class_uid: str
    """Affected SOP Class UID (0000,0002), or the requested one (0000,0003); empty where that is none."""
    sop_uid: str = ""
    """Affected SOP Instance UID (0000,1000) of C-STORE, as it came: it need not be a UID. Empty where it is
    too long for one, or no text."""
    has_data_set: bool = False
    """Whether a data set follows, by Command Data Set Type (0000,0800)."""
    refusal: int = 0
    """The status that refuses it; 0 if nothing is wrong so far."""
    fault: str = ""
    """Why it is refused."""

    @property
    def wants_answer(self) -> bool:
        """Whether it is a request: a response, or the cancellation of a request, is not answered."""
        return not self.field & IS_RESPONSE and self.field != _C_CANCEL_RQ


@dataclass(frozen=True)
class Answer:
    """The response to a C-STORE request."""

    status: int
    """Status (0000,0900)."""
    comment: str = ""
    """Error Comment (0000,0902): at most 64 characters, no patient data."""
    afterwards: Callable[[], None] = _nothing
    """Done when the response is on its way, because the peer need not wait for it."""


def decode_request(content: bytes) -> Request:
    """Read a whole command set.

    Raises
    ------
    CommandError
        It is no command set, or Command Field, Data Set Type or, in a request, Message ID is not there.
    """
    values = elements(content)
    field = _number(values, FIELD)
    has_data_set = _number(values, DATA_SET_TYPE) != NO_DATA_SET
    sop_class_uid = _text(values, SOP_CLASS_UID) or _text(values, REQUESTED_CLASS_UID)
    sop_uid = _text(values, SOP_UID) if field == C_STORE_RQ else ""
    request = Request(field, 0, sop_class_uid, sop_uid, has_data_set)
    if not request.wants_answer:
        return replace(request, fault=f"message {field:04X} answers or cancels nothing of ours")
    refusal, fault = _refusal(request)
    return replace(request, message_id=_number(values, MESSAGE_ID), refusal=refusal, fault=fault)


def refused(request: Request, status: int, fault: str) -> Request:
    """The request with the status that refuses it, and why."""
    return replace(request, refusal=status, fault=fault)


def _refusal(request: Request) -> tuple[int, str]:
    """The status that refuses a request for what its command says, and why; 0 and nothing if none does."""
    if request.field not in (C_STORE_RQ, C_ECHO_RQ):
        return UNRECOGNIZED, f"operation {request.field:04X} is not offered"
    if not request.sop_class_uid:
        return NO_SUCH_CLASS, "Affected SOP Class UID (0000,0002) is no UID"
    if request.field == C_STORE_RQ and not request.sop_uid:
        return INVALID_INSTANCE, "Affected SOP Instance UID (0000,1000) is no UID"
    if request.has_data_set != (request.field == C_STORE_RQ):
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
    return command_set(content)


def _number(values: dict[int, bytes], number: int) -> int:
    value = values.get(number, b"")
    if len(value) != 2:
        raise CommandError(f"command: element (0000,{number:04X}) is absent or no number")
    return int.from_bytes(value, "little")


def _text(values: dict[int, bytes], number: int) -> str:
    """A text of ASCII characters that stands for a UID; empty where it cannot."""
    try:
        text = values.get(number, b"").decode("ascii").rstrip("\0 ")
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= _LONGEST_UID else ""
