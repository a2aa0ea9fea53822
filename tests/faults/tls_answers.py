"""Which records of TLS in a trace are the answers of a listener, although nobody can read them.

After the handshake of TLS 1.3 a listener that hands out no session tickets writes one record for each PDU,
and one at the end to say goodbye. A client that notes what it reads knows how many, how long, and which of
them was the answer for which instance; a record more, less, longer or shorter is an error.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.faults.system_calls import Answered, Call
from tests.node.secure import SecureWire

APPLICATION_DATA = 0x17
OVERHEAD = 5 + 1 + 16
"""Bytes of a record beside its content: header, type of the content, tag (RFC 8446 5.2)."""
_HEADER_BYTES = 5
_GOODBYE_BYTES = 2


@dataclass(frozen=True)
class Pdu:
    """What a client has read."""

    length: int
    """With its header."""
    sop_uid: str = ""
    """SOP Instance UID that it says 0000 for; empty if it is something else."""


class NotedWire(SecureWire):
    """Notes how long the PDUs were that came; TLS 1.3."""

    def __init__(
        self, port: int, context: ssl.SSLContext, *, source: str = "127.0.0.1", seconds: float = 30.0
    ) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._came: list[int] = []
        super().__init__(port, context, source=source, seconds=seconds)
        self.own_port = int(self.socket.getsockname()[1])
        """Of the client."""

    def read(self) -> tuple[int, bytes]:
        """Type and body of the next PDU; (0, b"") when the connection is over."""
        kind, body = super().read()
        self._came.append(6 + len(body))
        return kind, body

    def pdus(self, stored: Sequence[str]) -> list[Pdu]:
        """What came from an association by which these were stored, and that was released."""
        accepted, *answers, released = self._came
        told = [Pdu(length, sop_uid) for length, sop_uid in zip(answers, stored, strict=True)]
        return [Pdu(accepted), *told, Pdu(released)]


def answered_over_tls(read: Mapping[int, Sequence[Pdu]]) -> Answered:
    """Finds SOP Instance UID and call of each answer, by what clients have read; by their ports.

    It raises AssertionError where something else was written than what was read.
    """

    def told(calls: Sequence[Call]) -> Iterator[tuple[str, Call]]:
        for port, pdus in read.items():
            written = _records([c for c in calls if c.name == "sendto" and c.path.endswith(f":{port}]")])
            lengths, wanted = [length for length, _ in written], [pdu.length for pdu in pdus]
            assert lengths in (wanted, [*wanted, _GOODBYE_BYTES]), f"wrote {lengths}, were read {wanted}"
            yield from (
                (pdu.sop_uid, call) for pdu, (_, call) in zip(pdus, written, strict=False) if pdu.sop_uid
            )

    return told


def _records(sends: Sequence[Call]) -> list[tuple[int, Call]]:
    """Length of the content and call of each record behind the handshake."""
    found = []
    is_open = False
    for call in sends:
        is_open = (
            is_open or call.content[0] == APPLICATION_DATA
        )  # each flight of the handshake begins in clear
        rest = call.content if is_open else b""
        while rest:
            assert rest[0] == APPLICATION_DATA, f"a record of type {rest[0]:02X} behind the handshake"
            end = _HEADER_BYTES + int.from_bytes(rest[3:_HEADER_BYTES], "big")
            found.append((end - OVERHEAD, call))
            rest = rest[end:]
    return found
