"""Tells those for whom there is no room that there is none (A-ASSOCIATE-RJ), instead of hanging up on them.

One thread for all of them, which never waits for one. A peer reads the rejection only if nothing that it sent
is left unread when the connection is closed, so its request is read first, and its own end of the connection
is awaited for a moment. Where the listener talks TLS, so does the doorman: who cannot is let go.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

from casgan_dicom.node.tls_channel import Channel

NO_ROOM = b"\3\0" + (4).to_bytes(4, "big") + bytes([0, 2, 3, 2])
"""A-ASSOCIATE-RJ (PS3.8 9.3.4): transient, presentation related, local limit exceeded."""
MOST_AT_ONCE = 50
"""Peers that are told at the same time; others are only hung up on."""
SECONDS = 3.0
"""For a request to come, and for its sender to leave."""
_LOOK_SECONDS = 0.2
_MOST_BYTES = 128 * 1024


@dataclass
class _Guest:
    """Somebody who is to be told."""

    channel: Channel | None
    """TLS, where the listener talks it."""
    until: float
    head: bytes = b""
    left: int = -1
    """Bytes of the request that are still to come; negative while its length is unknown."""
    is_greeted: bool = False
    """Whether TLS is talked, if it is to be."""
    is_told: bool = False
    _buffer: memoryview = field(default_factory=lambda: memoryview(b""))

    def receive(self, line: socket.socket) -> bytes:
        """Some bytes of what came, none at the end. Raises OSError."""
        if self.channel is None:
            return line.recv(_MOST_BYTES)
        if not self.is_greeted:
            self.channel.handshake()
            self.is_greeted = True
            self._buffer = memoryview(bytearray(_MOST_BYTES))
        return bytes(self._buffer[: self.channel.receive(self._buffer)])

    def tell(self, line: socket.socket) -> None:
        """Reject what was asked for. Raises OSError."""
        self.is_told = True
        if self.channel is None:
            line.sendall(NO_ROOM)
        else:
            self.channel.send(memoryview(NO_ROOM))
            self.channel.end()
        with suppress(OSError):
            line.shutdown(socket.SHUT_WR)


class Doorman:
    """Rejects associations; its thread lives while there is anybody to tell.

    Parameters
    ----------
    context
        How the listener talks TLS at the moment; None where it does not.
    """

    def __init__(self, context: Callable[[], ssl.SSLContext] | None = None) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._new: list[socket.socket] = []
        self._count = 0
        self._runs = False

    def refuse(self, line: socket.socket) -> bool:
        """Take over a connection and reject what it asks for; False if there are too many already."""
        with self._lock:
            if self._count >= MOST_AT_ONCE:
                return False
            self._count += 1
            self._new.append(line)
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="doorman", daemon=True).start()
            return True

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            while self._take_new(selector):
                for key, _ in selector.select(_LOOK_SECONDS):
                    if isinstance(key.fileobj, socket.socket) and not _attend(key.fileobj, key.data):
                        self._leave(selector, key.fileobj)
                late = [key.fileobj for key in selector.get_map().values() if key.data.until < monotonic()]
                for line in late:
                    if isinstance(line, socket.socket):
                        self._leave(selector, line)

    def _take_new(self, selector: selectors.BaseSelector) -> bool:
        """Look after those who came; False, and the thread ends, when there is nobody left."""
        with self._lock:
            new, self._new = self._new, []
        for line in new:
            line.setblocking(False)
            selector.register(line, selectors.EVENT_READ, self._guest(line))
        with self._lock:
            self._runs = bool(selector.get_map()) or bool(self._new)
            return self._runs

    def _guest(self, line: socket.socket) -> _Guest:
        channel = None if self._context is None else Channel(self._context(), line.recv, line.send)
        return _Guest(channel, monotonic() + SECONDS)

    def _leave(self, selector: selectors.BaseSelector, line: socket.socket) -> None:
        selector.unregister(line)
        line.close()
        with self._lock:
            self._count -= 1


def _attend(line: socket.socket, guest: _Guest) -> bool:
    """Read what came, and answer a request that is complete; whether there is anything left to do."""
    try:
        goes_on = _listen(line, guest)
        while goes_on and guest.channel is not None and guest.channel.holds:
            goes_on = _listen(line, guest)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return goes_on


def _listen(line: socket.socket, guest: _Guest) -> bool:
    """Read some of what came; whether there is anything left to do. Raises OSError."""
    content = guest.receive(line)
    if not content or guest.is_told:
        return bool(content)
    if guest.left < 0:
        guest.head += content
        if len(guest.head) < 6:
            return True
        length = int.from_bytes(guest.head[2:6], "big")
        if guest.head[0] != 1 or length > _MOST_BYTES:
            return False
        guest.left = length + 6 - len(guest.head)
    else:
        guest.left -= len(content)
    if guest.left <= 0:
        guest.tell(line)
    return True
