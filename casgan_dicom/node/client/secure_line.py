"""The TCP socket of an association that we asked for, with TLS over it.

It stays a plain socket, so that others can wait for it and hang up: the cipher lies beside it
(``tls_channel.py``), and is used only by whoever may use the socket. What was deciphered and not asked for
yet is kept here.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from pynetdicom.transport import AssociationSocket

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.line import Line, SocketOptions
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.peer_tls import PeerTls, insecure
from casgan_dicom.node.tls_channel import Channel

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_BUFFER_BYTES = 32 * 1024
_GOODBYE_SECONDS = 0.2


class SecureLine(Line):
    """A `Line` that talks TLS from the moment of its connection."""

    def __init__(self, descriptor: int, patience: float, options: SocketOptions, tls: PeerTls) -> None:
        super().__init__(descriptor, patience, options)
        self._channel = Channel(tls.context(), self._receive_raw, super().send, name=tls.name)
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._clear = memoryview(b"")
        """What was deciphered, and is still to be received."""
        self._deadline: float | None = None
        self.is_secure = self.is_answered = False
        """Whether the handshake is over; whether anything came after it."""

    def connect(self, address: tuple[Any, ...] | str | ReadableBuffer, /) -> None:
        """Connect, and agree on TLS in the same time once more."""
        super().connect(address)
        timeout = self.gettimeout()
        self._deadline = None if timeout is None else monotonic() + timeout
        with self._remembering():
            self._channel.handshake()
        self._deadline = None
        self.is_secure = True

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:  # noqa: ARG002  # as the base
        """Send some of `data`."""
        try:
            return self._channel.send(memoryview(data))
        except ConnectionError:
            self._has_come()  # it may have said why
            raise

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive at most `size` bytes; `flags` may be MSG_PEEK."""
        if self._given_back and not flags:
            return super().recv(size)
        if not self._clear:
            with self._remembering():
                self._clear = self._buffer[: self._channel.receive(self._buffer)]
            if self._clear:
                self.is_answered = True
            else:
                self._remember(ConnectionResetError("closed by the peer"))
        data = bytes(self._clear[:size])
        if not flags & socket.MSG_PEEK:
            self._clear = self._clear[size:]
        return data

    @property
    def holds_input(self) -> bool:
        """Whether there is something to receive without waiting, be it the end or a fault.

        pynetdicom asks before it connects, too.
        """
        if not self.is_secure:
            return False
        return super().holds_input or bool(self._clear) or self._has_come()

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to receive, be it the end; whether there is."""
        deadline = monotonic() + seconds
        while not self.holds_input:
            if not super().wait(deadline - monotonic()):
                return False
        return True

    def shutdown(self, how: int, /) -> None:
        """End the connection, by the thread that uses it: say goodbye first."""
        super().settimeout(_GOODBYE_SECONDS)
        self._channel.end()
        super().shutdown(how)

    def hang_up(self) -> None:
        """End both directions, from any thread, which wakes up whoever waits on this socket."""
        self.forget()
        with suppress(OSError):  # it never was connected, or is closed already
            socket.socket.shutdown(self, socket.SHUT_RDWR)

    def _has_come(self) -> bool:
        """Whether what has come by now holds something: it may be part of a record, or TLS's own."""
        if not self._channel.holds and not super().wait(0):
            return False
        timeout = self.gettimeout()
        super().settimeout(0)
        try:
            self._clear = self._buffer[: self._channel.receive(self._buffer)]
        except BlockingIOError:
            return False
        except OSError as error:
            self._remember(error)
            return True  # whoever receives will meet it again
        finally:
            super().settimeout(timeout)
        return True

    def _remember(self, error: OSError) -> None:
        """Remember the first error, but rather what TLS says than a line that is cut."""
        super()._remember(error)
        if isinstance(error, ssl.SSLError) and isinstance(self.failure, ConnectionError):
            self.failure = error

    def _receive_raw(self, size: int) -> bytes:
        """Receive what is enciphered, and let the peer go on; during the handshake not beyond its time."""
        if self._deadline is not None:
            socket.socket.settimeout(self, max(0.001, self._deadline - monotonic()))
        content = socket.socket.recv(self, size)
        self._acknowledge_at_once()
        return content


class SecureSocket(AssociationSocket):
    """pynetdicom's wrapper of a `SecureLine`, which asks it whether there is something to read."""

    @property
    def ready(self) -> bool:
        """Whether there is something to read, be it the end."""
        return self.socket is not None and self._is_connected and cast(SecureLine, self.socket).holds_input


def insecurity(peer: Peer, line: Line | None) -> PeerError | None:
    """Why there is no TLS with a peer; None where there is, or none was wanted.

    With TLS 1.3 a peer refuses our certificate only after our part of the handshake, and may hang up on what
    we have sent by then.
    """
    if not isinstance(line, SecureLine) or peer.tls is None or line.failure is None:
        return None
    is_refused = not line.is_answered and isinstance(line.failure, ConnectionError)
    if line.is_secure and not is_refused and not isinstance(line.failure, ssl.SSLError):
        return None
    return insecure(str(peer), peer.tls, line.failure)
