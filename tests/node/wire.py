"""DICOM on the wire, byte by byte: for peers that lie, stop halfway or hurry. Nothing of pynetdicom is in it.

    with Wire.associated(port) as wire:
        status = wire.store(XA, uid, content)

PDUs as in PS3.8 9.3, commands as in PS3.7 9.3.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from pydicom.uid import (
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

VERIFICATION = "1.2.840.10008.1.1"
XA, XRF, SC = (
    str(uid)
    for uid in (XRayAngiographicImageStorage, XRayRadiofluoroscopicImageStorage, SecondaryCaptureImageStorage)
)
EXPLICIT, IMPLICIT = str(ExplicitVRLittleEndian), "1.2.840.10008.1.2"

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)

ECHO_CONTEXT, XA_CONTEXT = 1, 3
CONTEXTS: Mapping[int, tuple[str, Sequence[str]]] = {
    ECHO_CONTEXT: (VERIFICATION, [IMPLICIT]),
    XA_CONTEXT: (XA, [EXPLICIT]),
    5: (SC, [EXPLICIT]),
}


def pdu(kind: int, body: bytes) -> bytes:
    """Any PDU."""
    return struct.pack(">BBI", kind, 0, len(body)) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def associate_rq(
    *,
    called: str = "CASGAN",
    calling: str = "MODALITY",
    contexts: Mapping[int, tuple[str, Sequence[str]]] = CONTEXTS,
    max_pdu: int = 131072,
) -> bytes:
    """A-ASSOCIATE-RQ."""
    body = struct.pack(">HH", 1, 0) + called.encode().ljust(16) + calling.encode().ljust(16) + bytes(32)
    body += _item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, (abstract, syntaxes) in contexts.items():
        inside = _item(0x30, abstract.encode()) + b"".join(_item(0x40, s.encode()) for s in syntaxes)
        body += _item(0x20, bytes([number, 0, 0, 0]) + inside)
    body += _item(0x50, _item(0x51, struct.pack(">I", max_pdu)) + _item(0x52, b"1.2.3.4"))
    return pdu(ASSOCIATE_RQ, body)


def p_data(context: int, control: int, data: bytes) -> bytes:
    """P-DATA-TF with one fragment; control: 1 command, 2 last."""
    return pdu(DATA, struct.pack(">IBB", len(data) + 2, context, control) + data)


def command(elements: Mapping[int, bytes | int]) -> bytes:
    """A command set, Implicit VR Little Endian; element numbers of group 0000, integers as US."""
    content = b""
    for number, value in sorted(elements.items()):
        raw = struct.pack("<H", value) if isinstance(value, int) else value + b"\0" * (len(value) % 2)
        content += struct.pack("<HHI", 0, number, len(raw)) + raw
    return struct.pack("<HHII", 0, 0, 4, len(content)) + content


def echo_command(message_id: int = 1) -> bytes:
    """C-ECHO-RQ."""
    return command({0x0002: VERIFICATION.encode(), 0x0100: 0x0030, 0x0110: message_id, 0x0800: 0x0101})


def store_command(sop_class: str, sop_uid: str, message_id: int = 1) -> bytes:
    """C-STORE-RQ."""
    return command(
        {
            0x0002: sop_class.encode(),
            0x0100: 0x0001,
            0x0110: message_id,
            0x0700: 0,
            0x0800: 0x0000,
            0x1000: sop_uid.encode(),
        }
    )


def parse_command(content: bytes) -> dict[int, bytes]:
    """Values of a command set by element number."""
    values, at = {}, 0
    while at < len(content):
        _, number, length = struct.unpack("<HHI", content[at : at + 8])
        values[number] = content[at + 8 : at + 8 + length]
        at += 8 + length
    return values


@dataclass(frozen=True)
class Reply:
    """The response to a request."""

    status: int
    """Status (0000,0900)."""
    comment: str
    """Error Comment (0000,0902)."""


class Wire:
    """A connection to a listener on this machine."""

    def __init__(self, port: int, *, source: str = "127.0.0.1", seconds: float = 30.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), seconds, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def associated(
        cls,
        port: int,
        *,
        calling: str = "MODALITY",
        contexts: Mapping[int, tuple[str, Sequence[str]]] = CONTEXTS,
        source: str = "127.0.0.1",
        seconds: float = 30.0,
    ) -> Wire:
        """Connect and associate."""
        wire = cls(port, source=source, seconds=seconds)
        try:
            wire.send(associate_rq(calling=calling, contexts=contexts))
            kind, _ = wire.read()
            assert kind == ASSOCIATE_AC, f"no association: PDU of type {kind}"
        except BaseException:
            wire.socket.close()
            raise
        return wire

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(content)

    def read(self) -> tuple[int, bytes]:
        """Type and body of the next PDU; (0, b"") when the connection is over."""
        head = self._exactly(6)
        return (head[0], self._exactly(int.from_bytes(head[2:], "big"))) if head else (0, b"")

    def reply(self) -> Reply:
        """The next response; ConnectionError where something else came."""
        kind, body = self.read()
        if kind != DATA:
            raise ConnectionError(f"PDU of type {kind} in place of a response")
        values = parse_command(body[6:])
        comment = values.get(0x0902, b"").decode().strip()
        return Reply(int.from_bytes(values[0x0900], "little"), comment)

    def echo(self) -> int:
        """C-ECHO; its status."""
        self.send(p_data(ECHO_CONTEXT, 3, echo_command()))
        return self.reply().status

    def store(
        self, sop_class: str, sop_uid: str, content: bytes, *, context: int = XA_CONTEXT, piece: int = 131066
    ) -> Reply:
        """C-STORE of an encoded data set, in pieces of so many bytes."""
        self.send_data_set(store_command(sop_class, sop_uid), content, context=context, piece=piece)
        return self.reply()

    def send_data_set(
        self, request: bytes, content: bytes, *, context: int = XA_CONTEXT, piece: int = 131066
    ) -> None:
        """Send a request and its data set, and wait for nothing."""
        self.send(p_data(context, 3, request))
        for at in range(0, len(content), piece):
            last = at + piece >= len(content)
            self.send(p_data(context, 2 if last else 0, content[at : at + piece]))

    def release(self) -> None:
        """Release the association."""
        self.send(pdu(RELEASE_RQ, bytes(4)))
        kind, _ = self.read()
        assert kind == RELEASE_RP, f"PDU of type {kind} in place of A-RELEASE-RP"

    def reset(self) -> None:
        """End the connection with RST: nothing is said, and what waits is dropped."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def is_over(self) -> bool:
        """Wait for the end of the connection, whatever comes before it; False if it does not come in time."""
        try:
            while self.socket.recv(65536):
                continue
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def _exactly(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            # A peer with Nagle's algorithm holds the rest of its response back until we acknowledge.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            try:
                piece = self.socket.recv(count - len(content))
            except ConnectionError:
                piece = b""
            if not piece:
                return b""
            content += piece
        return content
