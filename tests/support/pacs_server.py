"""The server of our own PACS: as pynetdicom's, but every connection is closed, and a handshake may wait."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from pynetdicom.transport import ThreadedAssociationServer

HANDSHAKE_SECONDS = 20.0


class PacsServer(ThreadedAssociationServer):
    """Lets one in after the other."""

    before_handshake: Callable[[], None]
    """Called before each handshake of TLS; OSError ends the connection."""

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection, with TLS if there is a context."""
        assert self.socket is not None
        accepted, address = self.socket.accept()
        line: socket.socket = _Line(fileno=accepted.detach())
        if self.ssl_context is None:
            return line, address
        self.ssl_context.sslsocket_class = _SecureLine
        with line:  # which is none any more once TLS has taken it over
            self.before_handshake()
            line.settimeout(HANDSHAKE_SECONDS)
            secure = self.ssl_context.wrap_socket(line, server_side=True)
            secure.settimeout(None)
        return secure, address


class _Line(socket.socket):
    """Shuts down without an error: pynetdicom leaves a socket open that the peer has reset already."""

    def shutdown(self, how: int, /) -> None:
        with suppress(OSError):
            super().shutdown(how)


class _SecureLine(ssl.SSLSocket):
    """As `_Line`, with TLS."""

    def shutdown(self, how: int, /) -> None:
        with suppress(OSError):
            super().shutdown(how)
