"""A syslog server of our own for tests: TLS, TCP with octet counting, or UDP, and every odd end on request.

    with SyslogServer(tls=context) as server:
        server.turns = ["hang", "reset"]      # what the next connections do; then normal again
        ...
        assert server.messages == [b"<85>1 ...", ...]

Frames are read by our own reading of RFC 6587 3.4.1 here, not by the code under test.
"""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import suppress

from tests.support.serving import Server

TURNS = ("read", "hang", "reset", "reset unread", "rude", "deaf")


class SyslogServer(Server):
    """One server on a free port of loopback, for the time of a `with`."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, udp: bool = False, port: int = 0) -> None:
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        if not udp:
            listening.listen()
        super().__init__(listening)
        self.messages: list[bytes] = []
        """Every message that came in full, also of connections that ended badly."""
        self.turns: list[str] = []
        """What the next connections do: read; hang: take nothing; reset unread: without reading; reset: after
        reading, before the end; rude: end without a goodbye of TLS; deaf: read, and never end."""
        self._tls, self._is_udp = tls, udp

    def run(self) -> None:
        """Take datagrams, or accept connections."""
        if not self._is_udp:
            super().run()
            return
        self.socket.settimeout(0.05)
        while not self.free.is_set():
            with suppress(TimeoutError):
                self.messages.append(self.socket.recv(70000))

    def turn(self) -> str:
        """The next of `turns`."""
        return self.turns.pop(0) if self.turns else "read"

    def serve(self, connection: socket.socket, turn: str) -> None:
        """Do with a connection what its turn is."""
        with connection, suppress(OSError):
            if turn == "reset unread":
                connection.recv(1, socket.MSG_PEEK)
                _reset(connection)
                return
            if turn == "hang":
                self.free.wait()
                return
            line = connection
            if self._tls is not None:
                line = self._tls.wrap_socket(connection, server_side=True)
            with line:
                self._read(line)
                if turn == "reset":
                    _reset(line)
                elif turn == "deaf":
                    self.free.wait()
                elif isinstance(line, ssl.SSLSocket) and turn != "rude":
                    line.unwrap()

    def _read(self, line: socket.socket) -> None:
        content = b""
        while piece := line.recv(65536):
            content += piece
            while (space := content.find(b" ")) > 0 and len(content) > space + int(content[:space]):
                end = space + 1 + int(content[:space])
                self.messages.append(content[space + 1 : end])
                content = content[end:]
        assert content == b"", "a connection ended in the middle of a message"


def _reset(line: socket.socket) -> None:
    """End a connection with a RST."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()
