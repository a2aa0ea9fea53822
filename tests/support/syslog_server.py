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
import threading
from contextlib import suppress
from types import TracebackType

TURNS = ("read", "hang", "reset", "reset unread", "rude", "deaf")


class SyslogServer:
    """One server on a free port of loopback, for the time of a `with`."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, udp: bool = False, port: int = 0) -> None:
        self.messages: list[bytes] = []
        """Every message that came in full, also of connections that ended badly."""
        self.turns: list[str] = []
        """What the next connections do: read; hang: take nothing; reset unread: without reading; reset: after
        reading, before the end; rude: end without a goodbye of TLS; deaf: read, and never end."""
        self.connections = 0
        """How many there were."""
        self.free = threading.Event()
        """Set when those that hang are to go."""
        self._tls, self._is_udp = tls, udp
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        if not udp:
            self._socket.listen()
        self._thread = threading.Thread(target=self._gather if udp else self._accept)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    def __enter__(self) -> SyslogServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.free.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _gather(self) -> None:
        self._socket.settimeout(0.05)
        while not self.free.is_set():
            with suppress(TimeoutError):
                self.messages.append(self._socket.recv(70000))

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            turn = self.turns.pop(0) if self.turns else "read"
            threading.Thread(target=self._serve, args=[connection, turn], daemon=True).start()

    def _serve(self, connection: socket.socket, turn: str) -> None:
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
