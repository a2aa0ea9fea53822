"""Messages of any kind over one association, without pynetdicom's threads.

pynetdicom (3.0.4) takes requests of the peer, on an association that we asked for, in threads of its own and
beside those that wait for responses. Here whoever talks reads what comes, one message after the other. What
is not data is given back unread, for pynetdicom's state machine, as in ``exchange.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from time import monotonic

from casgan_dicom.node.client.line import Line
from casgan_dicom.node.commitment import LONGEST_DATA_SET
from casgan_dicom.node.dimse import (
    COMMAND,
    DATA_SET_TYPE,
    LAST,
    NO_DATA_SET,
    P_DATA_TF,
    MalformedError,
    command_pdus,
    data_pdus,
    elements,
    number,
)
from casgan_dicom.node.pdu_items import PDU_HEAD

_LONGEST_COMMAND = 16 * 1024
_LENGTH_BYTES = 4
_LONGEST_PDU = 256 * 1024
"""What we take; we ask for half of it."""


class OverError(Exception):
    """The peer says something else than data, or is gone: nothing more comes."""


@dataclass(frozen=True)
class Message:
    """A message that came whole."""

    command: Mapping[int, bytes]
    """Its command set, by element number."""
    data_set: bytes
    """Its data set; empty for none."""


class Talk:
    """Messages over one association; for one thread, which alone uses the socket meanwhile.

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
        self._came = b""
        self._command, self._data = bytearray(), bytearray()
        self._values: dict[int, bytes] | None = None

    def send(self, context_id: int, command: bytes, data_set: bytes = b"") -> None:
        """Send a message. Raises OverError if the peer is gone, or takes nothing any more."""
        pdus = command_pdus(command, context_id, self._longest_pdu)
        try:
            for pdu in chain(pdus, data_pdus(data_set, context_id, self._longest_pdu)):
                rest = memoryview(pdu)
                while rest:
                    rest = rest[self._line.send(rest) :]
        except OSError as error:
            raise OverError from error

    def receive(self, seconds: float) -> Message | None:
        """Wait for the next message, but not longer; None if none is whole by then.

        Raises
        ------
        OverError
            None will come.
        MalformedError, CommandError
            What came is no message, or longer than we take.
        """
        deadline = monotonic() + seconds
        while True:
            pdu = self._pdu(deadline)
            if pdu is None:
                return None
            if (message := self._take(pdu)) is not None:
                return message

    def end(self) -> None:
        """Give back what has come of a PDU: somebody else reads from now on."""
        if self._came:
            self._line.give_back(self._came)
        self._came = b""

    def _pdu(self, deadline: float) -> bytes | None:
        """The next P-DATA-TF PDU, without its header; None if it is not whole in time."""
        while (length := self._length()) is None or len(self._came) < length:
            if not self._line.wait(deadline - monotonic()):
                return None
            try:
                wanted = PDU_HEAD.size if length is None else length
                piece = self._line.recv(wanted - len(self._came))
            except OSError as error:
                raise OverError from error
            if not piece:
                raise OverError
            self._came += piece
            if self._came[0] != P_DATA_TF:
                raise OverError
        content, self._came = self._came[PDU_HEAD.size :], b""
        return content

    def _length(self) -> int | None:
        """Length of the PDU that comes, header included; None while that is unknown."""
        if len(self._came) < PDU_HEAD.size:
            return None
        _, length = PDU_HEAD.unpack_from(self._came)
        if length > _LONGEST_PDU:
            raise MalformedError(f"PDU of {length} bytes")
        return int(length) + PDU_HEAD.size

    def _take(self, content: bytes) -> Message | None:
        """Take the fragments of a PDU; the message, if it is whole with them."""
        at, whole = 0, None
        while at < len(content):
            length = int.from_bytes(content[at : at + _LENGTH_BYTES], "big")
            begin, at = at + _LENGTH_BYTES, at + _LENGTH_BYTES + length
            if length < 2 or at > len(content) or whole is not None:
                raise MalformedError("a fragment is longer than its PDU, empty, or behind the last one")
            whole = self._fragment(content[begin + 1], content[begin + 2 : at])
        return whole

    def _fragment(self, control: int, data: bytes) -> Message | None:
        if control & COMMAND:
            self._command += data
            if self._values is not None or len(self._command) > _LONGEST_COMMAND:
                raise MalformedError("a command came inside a message, or is too long")
            if control & LAST:
                self._values = elements(bytes(self._command))
                self._command.clear()
                if number(self._values, DATA_SET_TYPE) == NO_DATA_SET:
                    return self._whole()
            return None
        self._data += data
        if self._values is None or len(self._data) > LONGEST_DATA_SET:
            raise MalformedError("a data set came without its command, or is too long")
        return self._whole() if control & LAST else None

    def _whole(self) -> Message:
        assert self._values is not None
        message = Message(self._values, bytes(self._data))
        self._values = None
        self._data.clear()
        return message
