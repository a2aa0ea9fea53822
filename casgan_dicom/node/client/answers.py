"""What a peer answers to our request for an association, and how pynetdicom's thread is told of it.

pynetdicom (3.0.4) decodes all of an A-ASSOCIATE-AC, what PS3.8 tells it not to test included, and aborts for
an item that it does not know: here it gets the same PDU without what is not used. And it dies of a request
for release that we send at the moment when the peer asks for the same: here it becomes the response. While
a request to store is under way, its thread keeps off the socket (``exchange.py``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

from pydicom import Dataset
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import A_RELEASE

from casgan_dicom.node.client.line import Line
from casgan_dicom.node.dimse import IS_RESPONSE
from casgan_dicom.node.pdu_items import (
    ANSWERED_CONTEXT,
    APPLICATION_CONTEXT,
    DICOM,
    FIXED_BYTES,
    NOBODY_KNOWS,
    PDU_HEAD,
    TRANSFER_SYNTAX,
    USER_INFORMATION,
    ItemError,
    item,
    items,
    uid_in,
    user_information,
)

_ACCEPTED = 2  # type of a PDU
_UNSAID_LENGTH = 16384
"""Longest PDU that a peer is trusted with which does not say how long one may be."""


@dataclass(frozen=True)
class Asked:
    """A request that waits for its response."""

    number: int
    """Message ID (0000,0110)."""
    field: int
    """Command Field (0000,0100)."""

    @property
    def answer_field(self) -> int:
        """Command Field (0000,0100) of its response."""
        return self.field | IS_RESPONSE

    def is_answered_by(self, command_set: Dataset) -> bool:
        """Whether this is the response to it, and to nothing else."""
        found = command_set.get("CommandField"), command_set.get("MessageIDBeingRespondedTo")
        return found == (self.answer_field, self.number)


class Provider(DULServiceProvider):
    """The upper layer of an association that we asked for; an existing one is made one of these."""

    fault = ""
    """Why we aborted: what was wrong with a PDU of the peer; empty if nothing was."""
    turn: Lock
    """Held by whoever uses the socket."""

    def run(self) -> None:
        """Run until the association ends; a message that ends pynetdicom's thread is a fault of the peer."""
        try:
            super().run()
        except Exception as error:
            self.fault = self.fault or f"a message cannot be decoded ({type(error).__name__})"
            self.assoc.dimse.msg_queue.put((None, None))

    def _decode_pdu(self, bytestream: bytearray) -> Any:  # noqa: ANN401  # a private union
        """Decode a PDU, and remember why it cannot be."""
        try:
            content = readable_answer(bytes(bytestream)) if bytestream[0] == _ACCEPTED else bytestream
            return super()._decode_pdu(bytearray(content))
        except ItemError as error:
            self.fault = str(error)
            raise
        except Exception as error:  # a decoder fed with garbage raises anything, and may quote it
            self.fault = f"a PDU of type {bytestream[0]:02X} cannot be decoded ({type(error).__name__})"
            raise

    def _process_recv_primitive(self) -> bool:
        """Look for something to send; a request for release that the peer was faster with is a response."""
        waiting = self.to_provider_queue.queue
        first = waiting[0] if waiting else None
        if isinstance(first, A_RELEASE) and self.state_machine.current_state == "Sta8":
            first.result = "affirmative"
        return super()._process_recv_primitive()

    def _is_transport_event(self) -> bool:
        """Look for something to read, unless somebody else reads."""
        with self.turn:
            line = self.socket.socket if self.socket is not None else None
            if isinstance(line, Line) and line.holds_input:
                self._read_pdu_data()
                return True
            return super()._is_transport_event()


def readable_answer(content: bytes) -> bytes:
    """An A-ASSOCIATE-AC, PDU header included, without what we do not use.

    Raises ItemError if it has no such form, or is of another version of the protocol.
    """
    body = content[PDU_HEAD.size :]
    if len(body) < FIXED_BYTES:
        raise ItemError(f"A-ASSOCIATE-AC of {len(body)} bytes, need at least {FIXED_BYTES}")
    if not body[1] & 1:
        raise ItemError(f"A-ASSOCIATE-AC of protocol version {body[:2].hex()}, need version 1")
    found = list(items(body[FIXED_BYTES:]))
    clean = struct.pack(">HH", 1, 0) + b"ANY".ljust(16) * 2 + bytes(32) + item(APPLICATION_CONTEXT, DICOM)
    clean += b"".join(_contexts([value for kind, value in found if kind == ANSWERED_CONTEXT]))
    clean += user_information(
        [value for kind, value in found if kind == USER_INFORMATION], _UNSAID_LENGTH, roles_of=None
    )
    return PDU_HEAD.pack(content[0], len(clean)) + clean


def _contexts(values: list[bytes]) -> Iterator[bytes]:
    """The answers for presentation contexts; one that is accepted without a UID is taken as refused."""
    for value in values:
        if len(value) < 4:
            continue
        syntaxes = [uid_in(each) for kind, each in items(value[4:]) if kind == TRANSFER_SYNTAX]
        syntax = syntaxes[0] if syntaxes else b""
        result = value[2] if syntax or value[2] else 1
        yield item(
            ANSWERED_CONTEXT, value[:2] + bytes([result, 0]) + item(TRANSFER_SYNTAX, syntax or NOBODY_KNOWS)
        )
