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
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from casgan_dicom.node.client.answers import Asked
from casgan_dicom.node.client.line import Line

_BUFFER_BYTES = 256 * 1024
"""How much of a data set is read and sent at once, if its PDUs are not longer."""
_HEAD = struct.Struct(">BxIIBB")
"""What stands before a fragment in a PDU of its own: type, length, length of the item, context, control."""
_PDU_HEAD = struct.Struct(">BxI")
_OF_ITEM = 6
"""Bytes of a PDU's length that are no fragment."""
_DATA, _COMMAND, _LAST = 4, 1, 2  # type of the PDU, bits of the message control header
_LONGEST_ANSWER = 16384
_ELEMENT, _SHORT = struct.Struct("<HHI"), struct.Struct("<H")
_SOP_CLASS_UID, _FIELD, _NUMBER, _ANSWERED, _PRIORITY = 0x0002, 0x0100, 0x0110, 0x0120, 0x0700
_DATA_SET_TYPE, _STATUS, _SOP_UID = 0x0800, 0x0900, 0x1000
_NO_DATA_SET, _MEDIUM, _RESPONSE = 0x0101, 0, 0x8000


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
        content = _element(_SOP_CLASS_UID, _padded(self.sop_class_uid))
        content += _element(_FIELD, _SHORT.pack(self.asked.field))
        content += _element(_NUMBER, _SHORT.pack(self.asked.number))
        content += _element(_PRIORITY, _SHORT.pack(_MEDIUM))
        content += _element(_DATA_SET_TYPE, _SHORT.pack(_NO_DATA_SET - 1))
        content += _element(_SOP_UID, _padded(self.sop_uid))
        return _element(0, struct.pack("<I", len(content))) + content


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
        self._piece = longest_pdu - _OF_ITEM
        self._step = _HEAD.size + self._piece
        end = max(1, _BUFFER_BYTES // self._step) * self._step
        self._buffer = memoryview(bytearray(end))
        self._slots = [self._buffer[at + _HEAD.size : at + self._step] for at in range(0, end, self._step)]

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
            came = self._receive(_PDU_HEAD.size, deadline)
            kind, length = _PDU_HEAD.unpack(came)
            if kind == _DATA and length <= _LONGEST_ANSWER:
                came += self._receive(length, deadline)
                if (status := _status(came[_PDU_HEAD.size :], request)) is not None:
                    return status
        except (OSError, struct.error):  # too late, or the end
            pass
        self._line.give_back(came)
        return None

    def _is_interrupted(self) -> bool:
        """Whether something else than data has come, be it the end."""
        return self._line.wait(0) and self._line.recv(1, socket.MSG_PEEK) != bytes([_DATA])

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
        yield memoryview(self._command(request))
        while at < end:
            count = min(end - at, self._piece * len(self._slots))
            slots = self._slots[: -(-count // self._piece)]
            if os.preadv(handle, slots, at) < count:
                raise OSError(errno.EIO, "it has become shorter")
            at += count
            last, rest = len(slots) - 1, count - self._piece * (len(slots) - 1)
            for number in range(last):
                self._put_head(number, _head(request.context_id, self._piece, 0))
            self._put_head(last, _head(request.context_id, rest, _LAST if at == end else 0))
            yield self._buffer[: last * self._step + _HEAD.size + rest]

    def _put_head(self, number: int, head: bytes) -> None:
        at = number * self._step
        self._buffer[at : at + _HEAD.size] = head

    def _command(self, request: StoreRequest) -> bytearray:
        """The command of a request as PDUs."""
        command, ready = request.command(), bytearray()
        for at in range(0, len(command), self._piece):
            piece = command[at : at + self._piece]
            control = _COMMAND | (_LAST if at + self._piece >= len(command) else 0)
            ready += _head(request.context_id, len(piece), control) + piece
        return ready


def _head(context_id: int, length: int, control: int) -> bytes:
    """What stands before a fragment of so many bytes."""
    return _HEAD.pack(_DATA, length + _OF_ITEM, length + 2, context_id, control)


def _status(content: bytes, request: StoreRequest) -> int | None:
    """Status of the response that a PDU holds; None if it is not one fragment that answers the request."""
    length, context_id, control = struct.unpack_from(">IBB", content)
    whole = length + 4 == len(content) and context_id == request.context_id and control == _COMMAND | _LAST
    values = _elements(content[_OF_ITEM:]) if whole else {}
    wanted = {
        _FIELD: _SHORT.pack(request.asked.field | _RESPONSE),
        _ANSWERED: _SHORT.pack(request.asked.number),
        _DATA_SET_TYPE: _SHORT.pack(_NO_DATA_SET),
    }
    status = values.get(_STATUS, b"")
    if len(status) != 2 or any(values.get(number) != value for number, value in wanted.items()):
        return None
    return int.from_bytes(status, "little")


def _elements(content: bytes) -> dict[int, bytes]:
    """The values of a command set by number; none where it is not one."""
    values, at = dict[int, bytes](), 0
    while at < len(content):
        group, number, length = _ELEMENT.unpack_from(content, at)
        at += _ELEMENT.size + length
        if group or at > len(content):
            return {}
        values[number] = content[at - length : at]
    return values


def _element(number: int, value: bytes) -> bytes:
    """One element of group 0000, Implicit VR Little Endian."""
    return _ELEMENT.pack(0, number, len(value)) + value


def _padded(uid: str) -> bytes:
    value = uid.encode("ascii")
    return value + b"\0" * (len(value) % 2)
