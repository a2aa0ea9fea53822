"""The commands of C-ECHO and C-STORE, as they go over the wire (PS3.7 6.3.1, 9.3.1, 9.3.5).

pynetdicom decodes and encodes them by way of data sets, which takes longer than a small instance takes to
come over the network. Here they are what they are: a few values of a few bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

C_STORE_RQ, C_ECHO_RQ = 0x0001, 0x0030
"""Command Field (0000,0100) of the requests that are answered."""

_SOP_CLASS_UID, _FIELD, _MESSAGE_ID, _ANSWERED_ID = 0x0002, 0x0100, 0x0110, 0x0120
_DATA_SET_TYPE, _STATUS, _COMMENT, _SOP_UID = 0x0800, 0x0900, 0x0902, 0x1000
_IS_RESPONSE, _NO_DATA_SET = 0x8000, 0x0101
_LONGEST_UID = 64


def _nothing() -> None:
    pass


class CommandError(Exception):
    """What came is no request for C-ECHO or C-STORE."""


@dataclass(frozen=True)
class Request:
    """A request."""

    field: int
    """`C_STORE_RQ` or `C_ECHO_RQ`."""
    message_id: int
    """Message ID (0000,0110)."""
    sop_class_uid: str
    """Affected SOP Class UID (0000,0002)."""
    sop_uid: str = ""
    """Affected SOP Instance UID (0000,1000) of C-STORE, as it came: it need not be a UID."""


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
        It is no command set or another request, an element is absent or too long, or a data set follows where
        none should, or the other way round.
    """
    values = _elements(content)
    field = _number(values, _FIELD)
    has_data_set = _number(values, _DATA_SET_TYPE) != _NO_DATA_SET
    if field not in (C_STORE_RQ, C_ECHO_RQ) or has_data_set != (field == C_STORE_RQ):
        raise CommandError
    sop_uid = _text(values, _SOP_UID) if field == C_STORE_RQ else ""
    return Request(field, _number(values, _MESSAGE_ID), _text(values, _SOP_CLASS_UID), sop_uid)


def encode_response(request: Request, status: int, comment: str = "") -> bytes:
    """Write the response to a request; the comment is text of up to 64 characters."""
    content = _element(_SOP_CLASS_UID, request.sop_class_uid.encode(), b"\0")
    content += _element(_FIELD, _short(request.field | _IS_RESPONSE))
    content += _element(_ANSWERED_ID, _short(request.message_id))
    content += _element(_DATA_SET_TYPE, _short(_NO_DATA_SET))
    content += _element(_STATUS, _short(status))
    if comment:
        content += _element(_COMMENT, comment.encode("ascii", "replace"), b" ")
    if request.field == C_STORE_RQ:
        content += _element(_SOP_UID, request.sop_uid.encode(), b"\0")
    return _element(0x0000, struct.pack("<I", len(content))) + content


def _elements(content: bytes) -> dict[int, bytes]:
    """Values by element number. Raises CommandError."""
    values, at = {}, 0
    while at < len(content):
        if at + 8 > len(content):
            raise CommandError
        group, number, length = struct.unpack_from("<HHI", content, at)
        at += 8 + length
        if group or at > len(content):
            raise CommandError
        values[number] = content[at - length : at]
    return values


def _number(values: dict[int, bytes], number: int) -> int:
    value = values.get(number, b"")
    if len(value) != 2:
        raise CommandError
    return int.from_bytes(value, "little")


def _text(values: dict[int, bytes], number: int) -> str:
    """A text of ASCII characters that stands for a UID. Raises CommandError."""
    try:
        text = values.get(number, b"").decode("ascii").rstrip("\0 ")
    except UnicodeDecodeError:
        raise CommandError from None
    if not 0 < len(text) <= _LONGEST_UID:
        raise CommandError
    return text


def _element(number: int, value: bytes, pad: bytes = b"") -> bytes:
    """One element of group 0000, Implicit VR Little Endian."""
    if len(value) % 2:
        value += pad
    return struct.pack("<HHI", 0, number, len(value)) + value


def _short(value: int) -> bytes:
    return struct.pack("<H", value)
