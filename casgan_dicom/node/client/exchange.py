"""A request to store, its data set and its response, without pynetdicom's threads.

pynetdicom (3.0.4) cuts a data set into objects, hands them from thread to thread and looks for the response a
thousand times a second, which takes longer than an archive takes to store a small instance. While an
association is open, its messages are nothing but bytes in P-DATA-TF PDUs (PS3.8 9.3.5), so here they go from
the file to the socket, and whoever asked reads the response. Whatever comes but a response in its plainest
form is given back unread: what it means is for pynetdicom's state machine, and for ``answers.py``.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from casgan_dicom.node.client.answers import Asked
from casgan_dicom.node.client.line import Line
from casgan_dicom.node.dimse import (
    A_DATA_SET,
    ANSWERED_ID,
    COMMAND,
    DATA_SET_TYPE,
    FIELD,
    FRAGMENT_HEAD,
    LAST,
    MESSAGE_ID,
    NO_DATA_SET,
    OF_ITEM,
    P_DATA_TF,
    PRIORITY,
    SOP_CLASS_UID,
    SOP_UID,
    STATUS,
    CommandError,
    command_pdus,
    command_set,
    element,
    elements,
    fragment_head,
    short,
)
from casgan_dicom.node.pdu_items import PDU_HEAD

_BUFFER_BYTES = 256 * 1024
"""How much of a data set is read and sent at once, if its PDUs are not longer."""
_LONGEST_ANSWER = 16384
_MEDIUM = 0
"""Priority (0000,0700)."""


@dataclass(frozen=True)
class StoreRequest:
    """What a C-STORE-RQ says, and where its data set is."""

    asked: Asked
    """Its number and kind."""
    sop_class_uid: str
    """Affected SOP Class UID (0000,0002)."""
    sop_uid: str
    """Affected SOP Instance UID (0000,1000)."""
    context_id: int
    """Presentation context."""
    offset: int
    """Where the data set begins in its file."""

    def command(self) -> bytes:
        """The command set, PS3.7 9.3.1.1."""
        content = element(SOP_CLASS_UID, self.sop_class_uid.encode("ascii"), b"\0")
        content += element(FIELD, short(self.asked.field))
        content += element(MESSAGE_ID, short(self.asked.number))
        content += element(PRIORITY, short(_MEDIUM))
        content += element(DATA_SET_TYPE, short(A_DATA_SET))
        content += element(SOP_UID, self.sop_uid.encode("ascii"), b"\0")
        return command_set(content)


class Exchange:
    """Requests to store over one association; for one thread, which alone uses the socket meanwhile.

    Parameters
    ----------
    line
        The socket.
    longest_pdu
        What the peer takes, PDU header not counted.
    """

    def __init__(self, line: Line, longest_pdu: int) -> None:
        self._line = line
        self._longest_pdu = longest_pdu
        self._piece = longest_pdu - OF_ITEM
        self._step = FRAGMENT_HEAD.size + self._piece
        end = max(1, _BUFFER_BYTES // self._step) * self._step
        self._buffer = memoryview(bytearray(end))
        self._slots = [
            self._buffer[at + FRAGMENT_HEAD.size : at + self._step] for at in range(0, end, self._step)
        ]

    def send(self, request: StoreRequest, handle: int) -> bool:
        """Send a request and its data set.

        Parameters
        ----------
        request
            The request.
        handle
            File number of the file that holds the data set.

        Returns
        -------
        bool
            False if the peer says something else than a response, or is gone: then not all of it was sent,
            and reading on tells why.

        Raises
        ------
        TimeoutError
            The peer takes nothing any more.
        OSError
            The file cannot be read, or has become shorter.
        """
        for content in self._pdus(request, handle):
            try:
                if self._is_interrupted():
                    return False
                while content:
                    content = content[self._line.send(content) :]  # noqa: PLW2901  # what is left of it
            except TimeoutError:
                raise
            except OSError:
                return False
        return True

    def answer(self, request: StoreRequest, deadline: float) -> int | None:
        """Wait for the response and return its status; None where something else is there to be read.

        None as well when nothing has come until `deadline`, in seconds of `time.monotonic`.
        """
        came = b""
        try:
            came = self._receive(PDU_HEAD.size, deadline)
            kind, length = PDU_HEAD.unpack(came)
            if kind == P_DATA_TF and length <= _LONGEST_ANSWER:
                came += self._receive(length, deadline)
                if (status := _status(came[PDU_HEAD.size :], request)) is not None:
                    return status
        except (OSError, struct.error, CommandError):  # too late, the end, or no command
            pass
        self._line.give_back(came)
        return None

    def _is_interrupted(self) -> bool:
        """Whether something else than data has come, be it the end."""
        return self._line.wait(0) and self._line.peek() != bytes([P_DATA_TF])

    def _receive(self, count: int, deadline: float) -> bytes:
        """Receive so many bytes, or fewer if no more come."""
        content = b""
        while len(content) < count and self._line.wait(deadline - monotonic()):
            if not (piece := self._line.recv(count - len(content))):
                break
            content += piece
        return content

    def _pdus(self, request: StoreRequest, handle: int) -> Iterator[memoryview]:
        """The request and its data set as PDUs, many at a time; each of these lasts until the next."""
        at, end = request.offset, os.fstat(handle).st_size
        if at >= end:
            raise OSError(errno.EIO, "it has become shorter")
        yield memoryview(b"".join(command_pdus(request.command(), request.context_id, self._longest_pdu)))
        while at < end:
            count = min(end - at, self._piece * len(self._slots))
            slots = self._slots[: -(-count // self._piece)]
            if os.preadv(handle, slots, at) < count:
                raise OSError(errno.EIO, "it has become shorter")
            at += count
            last, rest = len(slots) - 1, count - self._piece * (len(slots) - 1)
            for number in range(last):
                self._put_head(number, fragment_head(request.context_id, self._piece, 0))
            self._put_head(last, fragment_head(request.context_id, rest, LAST if at == end else 0))
            yield self._buffer[: last * self._step + FRAGMENT_HEAD.size + rest]

    def _put_head(self, number: int, head: bytes) -> None:
        at = number * self._step
        self._buffer[at : at + FRAGMENT_HEAD.size] = head


def _status(content: bytes, request: StoreRequest) -> int | None:
    """Status of the response that a PDU holds; None if it is not one fragment that answers the request."""
    length, context_id, control = struct.unpack_from(">IBB", content)
    whole = length + 4 == len(content) and context_id == request.context_id and control == COMMAND | LAST
    values = elements(content[OF_ITEM:]) if whole else {}
    wanted = {
        FIELD: short(request.asked.answer_field),
        ANSWERED_ID: short(request.asked.number),
        DATA_SET_TYPE: short(NO_DATA_SET),
    }
    status = values.get(STATUS, b"")
    if len(status) != 2 or any(values.get(number) != value for number, value in wanted.items()):
        return None
    return int.from_bytes(status, "little")
