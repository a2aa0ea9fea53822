"""Items of the PDUs that negotiate an association (PS3.8 9.3.2, annex D), for both ends of one.

What is in an item that is not used is nobody's fault: it is skipped. Only an item whose length leads out of
its PDU makes the whole unreadable.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from casgan_dicom.uids import is_uid

FIXED_BYTES = 68
"""Before the items: version, two reserved bytes, called and calling AE title, 32 reserved bytes."""
APPLICATION_CONTEXT, ABSTRACT_SYNTAX, TRANSFER_SYNTAX, USER_INFORMATION = 0x10, 0x30, 0x40, 0x50
REQUESTED_CONTEXT, ANSWERED_CONTEXT = 0x20, 0x21
DICOM = b"1.2.840.10008.3.1.1.1"
"""The application context name of PS3.7 A.2.1."""
NOBODY_KNOWS = b"2.25.0"
"""A UID in place of what is none."""

PDU_HEAD = struct.Struct(">BxI")
_ITEM = struct.Struct(">BxH")
_MAXIMUM_LENGTH, _IMPLEMENTATION_CLASS, _ROLE_SELECTION = 0x51, 0x52, 0x54


class ItemError(Exception):
    """A PDU that cannot be taken apart; the message says where."""


def items(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each item. Raises ItemError."""
    at = 0
    while at < len(content):
        if at + _ITEM.size > len(content):
            raise ItemError("a PDU of the negotiation ends inside an item")
        kind, length = _ITEM.unpack_from(content, at)
        at += _ITEM.size + length
        if at > len(content):
            raise ItemError(f"item {kind:02X} of the negotiation is longer than its PDU")
        yield kind, content[at - length : at]


def item(kind: int, value: bytes) -> bytes:
    """One item."""
    return _ITEM.pack(kind, len(value)) + value


def uid_in(value: bytes) -> bytes:
    """A UID without padding; empty where it is none."""
    text = value.strip(b"\0 ")
    return text if is_uid(text.decode("latin-1")) else b""


def user_information(values: list[bytes], unsaid_length: int, roles_of: str | None = "") -> bytes:
    """User information as far as it is used: maximum length, implementation class, roles.

    `unsaid_length` is the maximum length where none is given, `roles_of` the SOP class whose role selection
    (PS3.7 D.3.3.4) is kept; empty for none, None for any. A role selection that cannot be read is skipped;
    behind an item that cannot be, the rest is.
    """
    found: dict[int, bytes] = {}
    roles: list[bytes] = []
    for value in values:
        try:
            for kind, each in items(value):
                found.setdefault(kind, each)
                if kind == _ROLE_SELECTION and (of := _class_of(each)) and roles_of in (of, None):
                    roles.append(item(kind, each))
        except ItemError:
            continue
    length = found.get(_MAXIMUM_LENGTH, b"")
    clean = item(_MAXIMUM_LENGTH, length if len(length) == 4 else unsaid_length.to_bytes(4, "big"))
    clean += item(_IMPLEMENTATION_CLASS, uid_in(found.get(_IMPLEMENTATION_CLASS, b"")) or NOBODY_KNOWS)
    return item(USER_INFORMATION, clean + b"".join(roles))


def _class_of(value: bytes) -> str:
    """The SOP class that a role selection is about; empty where it names none, or asks for no role."""
    uid, asked = value[2:-2], sorted(value[-2:])
    if len(uid) != int.from_bytes(value[:2], "big") or asked not in ([0, 1], [1, 1]):
        return ""
    return uid_in(uid).decode("ascii")
