"""The messages of one association: C-ECHO, C-STORE with its data set on the way to the disk, commitment.

pynetdicom (3.0.4) takes messages of any kind and any length, keeps them in memory or in the temporary folder
of the system, and hands them from one thread to another. Here a message is of one of a few kinds, or refused,
and its command has a longest length; a data set goes into an `Intake`, from the buffer that the socket was
read into, without a copy, or into a `Letter` where it is no instance; and it is answered before more is read:
a peer that does not wait for answers only fills its own line.
"""

from __future__ import annotations

import struct
from typing import Protocol

from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made when it is imported

from casgan_dicom.node.commitment import PUSH_MODEL, command_refusal
from casgan_dicom.node.dimse import C_ECHO_RQ, COMMAND, LAST, MalformedError
from casgan_dicom.node.receive.commands import (
    NO_SUCH_CLASS,
    OF_COMMITMENT,
    UNRECOGNIZED,
    Request,
    decode_request,
    refused,
)
from casgan_dicom.node.receive.letter import Letter
from casgan_dicom.node.receive.peer_socket import HEADER_BYTES
from casgan_dicom.node.receive.spool import Intake

LONGEST_COMMAND = 16 * 1024
"""Bytes of a command; that of C-STORE has some hundred."""

_FRAGMENT_LENGTH = struct.Struct(">I")


class Association(Protocol):
    """What `Messages` has to know about an association."""

    def context(self, number: int) -> tuple[str, str]:
        """Abstract and transfer syntax of an accepted presentation context. Raises KeyError."""

    def begin(self, request: Request, transfer_syntax: str) -> Intake | Letter:
        """Make a place for the data set of a request; must not raise."""

    def answer(self, request: Request, intake: Intake | Letter | None, context_id: int) -> None:
        """Answer a request when its data set, if it has one, is complete or hopeless."""

    def refuse(self, request: Request, context_id: int) -> None:
        """Answer a request that is refused, if it wants an answer, when its data set is over."""


class Messages:
    """The messages that come in on one association.

    Parameters
    ----------
    association
        The association.
    """

    def __init__(self, association: Association) -> None:
        self._association = association
        self._command = bytearray()
        self._request: Request | None = None
        self._intake: Intake | Letter | None = None
        self._context_id = 0
        self._is_over = False

    def receive(self, content: memoryview) -> None:
        """Take a P-DATA-TF PDU, header included. Raises anything if the peer does not keep to the rules."""
        at = HEADER_BYTES
        while at < len(content) and not self._is_over:
            (length,) = _FRAGMENT_LENGTH.unpack_from(content, at)
            at += _FRAGMENT_LENGTH.size + length
            if length < 2 or at > len(content):
                raise MalformedError("a fragment is longer than its PDU, or empty")
            self._take(content[at - length], content[at - length + 1 : at])

    def end(self) -> None:
        """Take nothing more, and keep no part of a data set."""
        self._is_over = True
        if self._intake is not None:
            self._intake.discard()

    def _take(self, context_id: int, data: memoryview) -> None:
        """Take one fragment."""
        control = data[0]
        if control & COMMAND:
            self._take_command(context_id, data)
            return
        request, intake = self._request, self._intake
        if request is None or context_id != self._context_id:
            raise MalformedError("a data set came without its command")
        if intake is None:  # refused: what it holds is of no use
            if control & LAST:
                self._request = None
                self._association.refuse(request, context_id)
            return
        intake.write(data[1:])
        if control & LAST or intake.too_long:
            self._request = self._intake = None
            self._is_over = intake.too_long
            self._association.answer(request, intake, context_id)

    def _take_command(self, context_id: int, data: memoryview) -> None:
        """Take a fragment of a command; with its last one, a message begins."""
        self._command += data[1:]
        if self._request is not None or len(self._command) > LONGEST_COMMAND:
            raise MalformedError("a command came inside a message, or is too long")
        if not data[0] & LAST:
            return
        request = decode_request(bytes(self._command))
        self._command.clear()
        try:
            abstract_syntax, transfer_syntax = self._association.context(context_id)
        except KeyError:
            raise MalformedError(f"presentation context {context_id} was not accepted") from None
        request = _checked(request, abstract_syntax)
        is_served = request.wants_answer and not request.refusal
        if request.has_data_set:
            self._request, self._context_id = request, context_id
            self._intake = self._association.begin(request, transfer_syntax) if is_served else None
        elif is_served:
            self._association.answer(request, None, context_id)
        else:
            self._association.refuse(request, context_id)


def _checked(request: Request, abstract_syntax: str) -> Request:
    """The request, refused if it is not for the SOP class of its presentation context."""
    if request.refusal or not request.wants_answer:
        return request
    if request.sop_class_uid != abstract_syntax:
        said = "Affected SOP Class UID (0000,0002) is not that of the context"
        return refused(request, NO_SUCH_CLASS, said)
    of_class = (request.field == C_ECHO_RQ, request.field in OF_COMMITMENT)
    if of_class != (abstract_syntax == Verification, abstract_syntax == PUSH_MODEL):
        return refused(request, UNRECOGNIZED, f"operation {request.field:04X} is not one of that class")
    if request.field in OF_COMMITMENT:
        status, fault = command_refusal(request.field, request.sop_uid, request.type_id)
        return refused(request, status, fault)
    return request
