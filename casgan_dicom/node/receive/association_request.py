"""A request for an association, read as PS3.8 wants it read: what is unknown is skipped, not a fault.

pynetdicom (3.0.4) decodes all of an A-ASSOCIATE-RQ before anybody can decide anything, and aborts for a title
that is padded with NUL, a name of 17 characters or an item that it does not know. Here the bytes are read
first: who calls whom, and whether PS3.8 9.3.4 has a reason to reject it. What is left for pynetdicom is the
same request without everything that we do not use.

    protocol version (9.3.2)   only bit 0 is looked at
    AE titles                  NUL and space around them are padding; one that PS3.5 6.2 forbids is not known
    presentation contexts      what is no UID becomes one that nobody knows, so that the answer says so
    user information           maximum length, implementation class, and who is what in storage commitment;
                               nothing else is used
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from casgan_dicom.node.commitment import PUSH_MODEL
from casgan_dicom.node.pdu_items import (
    ABSTRACT_SYNTAX,
    APPLICATION_CONTEXT,
    DICOM,
    FIXED_BYTES,
    NOBODY_KNOWS,
    PDU_HEAD,
    REQUESTED_CONTEXT,
    TRANSFER_SYNTAX,
    USER_INFORMATION,
    ItemError,
    item,
    items,
    uid_in,
    user_information,
)

_STANDS_FOR_NONE = b"NO-TITLE"
_NO_LIMIT = 0

ACSE, USER = 2, 1
"""Source of a rejection, PS3.8 9.3.4."""


@dataclass(frozen=True)
class AssociationRequest:
    """Who wants an association, and what."""

    calling: str
    """Calling AE title without padding; empty where that is none."""
    called: str
    """Called AE title without padding; empty where that is none."""
    rejection: tuple[int, int] | None
    """Source and reason of the rejection that what was asked for demands; None if nothing does."""
    fault: str
    """Why it is rejected."""
    content: bytes
    """The PDU without what we do not use."""


def read_request(content: bytes) -> AssociationRequest:
    """Read an A-ASSOCIATE-RQ, PDU header included. Raises ItemError if the PDU has no such form."""
    body = content[PDU_HEAD.size :]
    if len(body) < FIXED_BYTES:
        raise ItemError(f"A-ASSOCIATE-RQ of {len(body)} bytes, need at least {FIXED_BYTES}")
    found = list(items(body[FIXED_BYTES:]))
    version = int.from_bytes(body[:2], "big")
    called, calling = (_title(body[at : at + 16]) for at in (4, 20))
    application = [value.strip(b"\0 ") for kind, value in found if kind == APPLICATION_CONTEXT]
    rejection, fault = _rejection(version, application, calling, called)
    clean = struct.pack(">HH", 1, 0)
    clean += b"".join((title.encode() or _STANDS_FOR_NONE).ljust(16) for title in (called, calling))
    clean += bytes(32) + item(APPLICATION_CONTEXT, DICOM)
    clean += b"".join(_contexts([value for kind, value in found if kind == REQUESTED_CONTEXT]))
    clean += user_information(
        [value for kind, value in found if kind == USER_INFORMATION], _NO_LIMIT, PUSH_MODEL
    )
    return AssociationRequest(
        calling, called, rejection, fault, PDU_HEAD.pack(content[0], len(clean)) + clean
    )


def _rejection(
    version: int, application: list[bytes], calling: str, called: str
) -> tuple[tuple[int, int] | None, str]:
    """Source and reason of a rejection, and why; who may come in is not decided here."""
    if not version & 1:
        return (ACSE, 2), f"protocol version {version:04X} does not hold version 1"
    if application != [DICOM]:
        return (USER, 2), "application context is not that of DICOM"
    if not called:
        return (USER, 7), "called AE title is none"
    if not calling:
        return (USER, 3), "calling AE title is none"
    return None, ""


def _title(field: bytes) -> str:
    """An AE title without padding; what stands behind a NUL is none of it. Empty where it is no AE title."""
    title = field.lstrip(b"\0 ").partition(b"\0")[0].strip(b" ")
    legal = all(0x20 <= byte < 0x7F and byte != 0x5C for byte in title)
    return title.decode("ascii") if legal else ""


def _contexts(values: list[bytes]) -> Iterator[bytes]:
    """Presentation contexts: those whose number may be one, each number once."""
    seen = set()
    for value in values:
        if len(value) < 4 or not value[0] % 2 or value[0] in seen:
            continue
        seen.add(value[0])
        inside = list(items(value[4:]))
        abstract = [uid_in(each) for kind, each in inside if kind == ABSTRACT_SYNTAX]
        transfer = [uid for kind, each in inside if kind == TRANSFER_SYNTAX if (uid := uid_in(each))]
        clean = value[:4] + item(
            ABSTRACT_SYNTAX, (abstract[0] if len(abstract) == 1 else b"") or NOBODY_KNOWS
        )
        clean += b"".join(item(TRANSFER_SYNTAX, each) for each in transfer or [NOBODY_KNOWS])
        yield item(REQUESTED_CONTEXT, clean)
