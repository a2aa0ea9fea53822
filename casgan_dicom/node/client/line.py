"""The TCP socket of an association that we asked for."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from casgan_dicom.node.client.pace import Pace

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


@dataclass(frozen=True)
class SocketOptions:
    """What our end of the TCP connection does; a benchmark turns it off."""

    no_delay: bool = True
    """TCP_NODELAY: send the last piece of a message at once."""
    quick_ack: bool = True
    """TCP_QUICKACK: acknowledge at once what comes."""
    pace: Pace | None = None
    """How fast it sends, together with others of the same pace; None for as fast as it goes."""


class Line(socket.socket):
    """A TCP socket that remembers the first error, keeps its timeout, and acknowledges at once."""

    def __init__(self, descriptor: int, patience: float, options: SocketOptions) -> None:
        super().__init__(fileno=descriptor)
        self.failure: OSError | None = None
        self.connected = False
        self._forgets = False
        self._patience = patience
        self._given_back = b""
        self._input = select.poll()
        self._input.register(self, select.POLLIN)
        self._pace = options.pace
        self._quick_ack = options.quick_ack and hasattr(socket, "TCP_QUICKACK")
        if options.no_delay and hasattr(socket, "TCP_NODELAY"):
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def settimeout(self, value: float | None, /) -> None:
        """Set the timeout; where pynetdicom wants none, ours."""
        super().settimeout(self._patience if value is None else value)

    def connect(self, address: tuple[Any, ...] | str | ReadableBuffer, /) -> None:
        """Connect, and be ready for small pieces."""
        with self._remembering():
            super().connect(address)
        self.connected = True
        self._acknowledge_at_once()

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        """Send some of `data`."""
        if self._pace is not None:
            content = memoryview(data).cast("B")
            data = content[: self._pace.take(len(content))]
        with self._remembering():
            return super().send(data, flags)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive at most `size` bytes, and let the peer go on."""
        if self._given_back:
            data, self._given_back = self._given_back[:size], self._given_back[size:]
            return data
        with self._remembering():
            data = super().recv(size, flags)
        if data:
            self._acknowledge_at_once()
        else:  # pynetdicom notices by itself
            self._remember(ConnectionResetError("closed by the peer"))
        return data

    @property
    def holds_input(self) -> bool:
        """Whether there is something that was given back."""
        return bool(self._given_back)

    def give_back(self, data: bytes) -> None:
        """Have something received again by whoever reads next."""
        self._given_back = data

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to receive, be it the end; whether there is."""
        return bool(self._input.poll(max(0.0, seconds) * 1000))

    def forget(self) -> None:
        """Remember no error that comes from now on."""
        self._forgets = True

    def hang_up(self) -> None:
        """End both directions, which wakes up whoever waits on this socket."""
        self.forget()
        try:
            self.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it never was connected, or is closed already

    def peek(self) -> bytes:
        """The next byte, which stays; none at the end."""
        return self.recv(1, socket.MSG_PEEK)

    def _acknowledge_at_once(self) -> None:
        if self._quick_ack:
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._remember(error)
            raise

    def _remember(self, error: OSError) -> None:
        if not self._forgets:
            self.failure = self.failure or error
