"""Messages as bytes, for both ends: command sets, and the PDUs that they go over the wire in.

pynetdicom decodes and encodes commands by way of data sets, which takes longer than a small instance takes to
come over the network. Here a command set is what it is: a few values of a few bytes, group 0000 in Implicit
VR Little Endian (PS3.7 6.3.1). How messages lie in P-DATA-TF PDUs is told in PS3.8 9.3.5 and annex E.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

C_STORE_RQ, C_ECHO_RQ = 0x0001, 0x0030
N_EVENT_REPORT_RQ, N_ACTION_RQ = 0x0100, 0x0130
"""Command Field (0000,0100) of requests."""
IS_RESPONSE = 0x8000
"""Bit of the Command Field of a response."""
A_DATA_SET, NO_DATA_SET = 0x0100, 0x0101
"""Command Data Set Type (0000,0800) of a message with a data set and of one without."""
LONGEST_UID = 64
"""Characters of a UID."""
SOP_CLASS_UID, REQUESTED_CLASS_UID, FIELD = 0x0002, 0x0003, 0x0100
MESSAGE_ID, ANSWERED_ID, PRIORITY = 0x0110, 0x0120, 0x0700
DATA_SET_TYPE, STATUS, COMMENT, SOP_UID = 0x0800, 0x0900, 0x0902, 0x1000
REQUESTED_UID, EVENT_TYPE, ACTION_TYPE = 0x1001, 0x1002, 0x1008
"""Numbers of elements."""

P_DATA_TF = 4
"""Type of the PDU that holds fragments of messages."""
COMMAND, LAST = 1, 2
"""Bits of the message control header: of a command, not of a data set; the last fragment."""
OF_ITEM = 6
"""Bytes of a PDU's length that are no fragment, if it holds one."""
FRAGMENT_HEAD = struct.Struct(">BxIIBB")
"""What stands before the fragment of a PDU of its own, see `fragment_head`."""
_ELEMENT = struct.Struct("<HHI")


class CommandError(Exception):
    """What came is no message that could be answered; the message says why."""


class MalformedError(Exception):
    """What came is no PDU or message, or longer than we take; the message says what is wrong, if it can."""


def elements(content: bytes) -> dict[int, bytes]:
    """Values of a command set by element number. Raises CommandError."""
    values, at = dict[int, bytes](), 0
    while at < len(content):
        if at + _ELEMENT.size > len(content):
            raise CommandError("command is cut short")
        group, number, length = _ELEMENT.unpack_from(content, at)
        at += _ELEMENT.size + length
        if group or at > len(content):
            raise CommandError("command holds an element of another group, or is cut short")
        values[number] = content[at - length : at]
    return values


def number(values: Mapping[int, bytes], element_number: int) -> int:
    """A value of VR US of a command set. Raises CommandError."""
    value = values.get(element_number, b"")
    if len(value) != 2:
        raise CommandError(f"command: element (0000,{element_number:04X}) is absent or no number")
    return int.from_bytes(value, "little")


def text(values: Mapping[int, bytes], element_number: int) -> str:
    """A text of ASCII characters that stands for a UID; empty where it cannot."""
    try:
        found = values.get(element_number, b"").decode("ascii").rstrip("\0 ")
    except UnicodeDecodeError:
        return ""
    return found if len(found) <= LONGEST_UID else ""


def command_set(content: bytes) -> bytes:
    """Elements, from `element` and in order, with the group length before them."""
    return element(0x0000, struct.pack("<I", len(content))) + content


def element(number: int, value: bytes, pad: bytes = b"") -> bytes:
    """One element, its value made even by `pad`."""
    if len(value) % 2:
        value += pad
    return _ELEMENT.pack(0, number, len(value)) + value


def short(value: int) -> bytes:
    """The value of an element of VR US."""
    return struct.pack("<H", value)


def fragment_head(context_id: int, length: int, control: int) -> bytes:
    """What stands before the only fragment of a P-DATA-TF PDU: that of PDU, item and message, 12 bytes."""
    return FRAGMENT_HEAD.pack(P_DATA_TF, length + OF_ITEM, length + 2, context_id, control)


def command_pdus(content: bytes, context_id: int, longest_pdu: int) -> Iterator[bytes]:
    """Put a command into P-DATA-TF PDUs.

    Parameters
    ----------
    content
        The command.
    context_id
        Of its presentation context.
    longest_pdu
        What the peer takes, PDU header not counted; 0 for any length.

    Raises
    ------
    MalformedError
        The peer takes none that is long enough for a single byte.
    """
    return _pdus(content, context_id, longest_pdu, COMMAND)


def data_pdus(content: bytes, context_id: int, longest_pdu: int) -> Iterator[bytes]:
    """Put a data set into P-DATA-TF PDUs; as `command_pdus`."""
    return _pdus(content, context_id, longest_pdu, 0)


def _pdus(content: bytes, context_id: int, longest_pdu: int, kind: int) -> Iterator[bytes]:
    longest = longest_pdu - OF_ITEM if longest_pdu else len(content)
    if longest < 1:
        raise MalformedError(f"the peer takes PDUs of {longest_pdu} bytes: too short for any message")
    for at in range(0, len(content), longest):
        piece = content[at : at + longest]
        control = kind | (LAST if at + longest >= len(content) else 0)
        yield fragment_head(context_id, len(piece), control) + piece
