"""The socket of one association that we accepted: whole PDUs in bounded time, or an error.

pynetdicom's own (3.0.4) reads 4 KiB a call, believes any length, waits without end, and leaks the file number
of a connection that the peer reset. Here a PDU has a longest length and a deadline, and the thread that reads
sleeps until a byte comes or somebody calls `PeerSocket.wake`.

One thread reads and writes, and does what TLS there is (``tls_channel.py``). Others can only hang up; file
numbers are given back by `PeerSocket.release` when that thread is gone, so that it never meets one that
belongs to another connection by now.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from casgan_dicom.node.dimse import MalformedError
from casgan_dicom.node.tls import Identity
from casgan_dicom.node.tls_channel import Channel

HEADER_BYTES = 6
"""Type and length of a PDU, PS3.8 9.3."""
_TYPES = range(1, 8)
_DRAIN_BYTES = 64 * 1024
_FIRST_BUFFER_BYTES = 4096
_BUFFER_BYTES = 256 * 1024 + 12
"""Of a connection with longer PDUs: two of the longest that we ask for come with one call."""


@dataclass(frozen=True)
class Limits:
    """How long and how large things may be. Times are seconds, lengths bytes."""

    io: float = 10.0
    """Without a byte, inside a PDU, either way."""
    pdu: float = 15.0
    """For one PDU."""
    request: float = 5.0
    """Until an association is requested, and for that PDU; for the handshake of TLS before it; and until the
    peer closes when it is over."""
    idle: float = 900.0
    """Between two PDUs."""
    request_bytes: int = 128 * 1024
    """Longest PDU before there is an association: 128 contexts of 14 syntaxes take half of it."""
    pdu_bytes: int = 128 * 1024
    """Longest PDU that we ask for; some peers count the header."""


DEFAULT_LIMITS = Limits()


class PeerSocket(AssociationSocket):
    """The socket of one association.

    Parameters
    ----------
    assoc
        The association.
    line
        The accepted socket, ours from now on.
    limits
        How long to wait.
    """

    def __init__(self, assoc: Association, line: socket.socket, limits: Limits) -> None:
        super().__init__(assoc, client_socket=line)
        self._line = line
        self._limits = limits
        self._buffer = memoryview(bytearray(_FIRST_BUFFER_BYTES))
        self._begin = self._next = self._end = 0
        """In the buffer: the PDU that was read last, what comes behind it, and the end of what has come."""
        self._is_ready = False
        self._channel: Channel | None = None
        self._is_hung_up = False
        line.setblocking(False)
        with suppress(OSError):  # reset already
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        """Held by other threads while they use file numbers, and when these are given back."""
        self._work = select.poll()
        self._work.register(line, select.POLLIN)
        self._work.register(self._bell, select.POLLIN)
        self._input = select.poll()
        self._input.register(line, select.POLLIN)
        self._output = select.poll()
        self._output.register(line, select.POLLOUT)
        self._end_only = select.poll()
        self._end_only.register(line, 0)
        self._end_only.register(self._bell, select.POLLIN)

    def secure(self, context: ssl.SSLContext, seconds: float) -> None:
        """Talk TLS from here on, once: the handshake. Raises OSError, see `tls.reason_of`."""
        self._channel = Channel(context, self._line.recv, self._line.send)
        deadline = monotonic() + seconds
        while True:
            try:
                self._channel.handshake()
            except BlockingIOError:
                self._acknowledge()
                poll = self._output if self._channel.unsent else self._input
                _await(poll, deadline - monotonic())
            else:
                return

    @property
    def is_secure(self) -> bool:
        """Whether TLS is talked, or was begun with."""
        return self._channel is not None

    @property
    def is_unheard(self) -> bool:
        """Whether the peer left before its first byte, or we hung up on it."""
        return self._is_hung_up or self._channel is None or not self._channel.has_begun

    @property
    def identity(self) -> Identity | None:
        """Who the peer is by its certificate; None where it showed none."""
        return self._channel.identity if self._channel is not None else None

    def pause(self, seconds: float) -> None:
        """Read nothing for so long, unless the connection ends or somebody wakes us."""
        self._end_only.poll(seconds * 1000)

    def wait(self, seconds: float) -> None:
        """Sleep until a byte comes, the peer hangs up, or somebody wakes us, but not longer."""
        if self._holds:  # it has come already
            self._is_ready = True
            return
        ready = self._work.poll(0)
        if not ready:
            self._acknowledge()
            ready = self._work.poll(seconds * 1000)
        handles = [handle for handle, _ in ready]
        if self._bell in handles:
            os.eventfd_read(self._bell)
        self._is_ready = self._line.fileno() in handles

    def wake(self) -> None:
        """End the sleep of the thread that reads, now or the next; from any thread, at any time."""
        with self._lock:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    @property
    def ready(self) -> bool:
        """Whether there is something to read, be it the end."""
        known, self._is_ready = self._is_ready or self._holds, False
        if self.socket is None or not self._is_connected or not (known or self._input.poll(0)):
            return False
        return self._channel is None or self._has_come()

    def read_pdu(self, longest: int, seconds: float) -> memoryview:
        """Read one PDU, header included; what is returned lasts until the next one is read.

        Raises
        ------
        MalformedError
            The type is unknown or the length above `longest`; nothing can be read after that.
        OSError
            The peer hung up, or was too slow (TimeoutError).
        """
        deadline = monotonic() + seconds
        self._begin = self._next
        self._fill(HEADER_BYTES, deadline)
        kind, length = self._buffer[self._begin], self._buffer[self._begin + 2 : self._begin + HEADER_BYTES]
        end = HEADER_BYTES + int.from_bytes(length, "big")
        if kind not in _TYPES or end > HEADER_BYTES + longest:
            said = f"PDU of type {kind:02X} and {end - HEADER_BYTES} bytes, take {longest} at most"
            raise MalformedError(said)
        self._fill(end, deadline)
        self._next = self._begin + end
        return self._buffer[self._begin : self._next]

    def drain(self) -> None:
        """Throw away what has come. Raises OSError if that was the end."""
        self._begin = self._next = self._end = 0
        if self._channel is not None and self._channel.is_over:
            raise ConnectionAbortedError
        with suppress(BlockingIOError):
            if not self._line.recv(_DRAIN_BYTES):
                raise ConnectionAbortedError

    def send(self, bytestream: bytes) -> None:
        """Send everything; a peer that does not take it counts as gone (Evt17)."""
        deadline = monotonic() + self._limits.io
        rest = memoryview(bytestream)
        send: Callable[[memoryview], int] = self._line.send if self._channel is None else self._channel.send
        try:
            while rest or (self._channel is not None and self._channel.unsent):
                try:
                    rest = rest[send(rest) :]
                except BlockingIOError:
                    _await(self._output, deadline - monotonic())
        except OSError:
            self.event_queue.put("Evt17")

    def hang_up(self) -> None:
        """End the connection, from any thread, at any time; whoever reads finds its end."""
        self._is_hung_up = True
        with self._lock, suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    def _shutdown_socket(self) -> None:
        """By the thread that reads and writes, which may say goodbye."""
        if self._channel is not None:
            self._channel.end()
        self.hang_up()

    def release(self) -> None:
        """Give the file numbers back; no thread may read or write any more."""
        with self._lock:
            self._line.close()
            if self._bell >= 0:
                os.close(self._bell)
            self._bell = -1

    def _fill(self, count: int, deadline: float) -> None:
        """Read until so many bytes of a PDU have come, and with them what else is there."""
        self._make_room(count)
        channel = self._channel
        receive: Callable[[memoryview], int] = self._line.recv_into if channel is None else channel.receive
        while self._end - self._begin < count:
            try:
                came = receive(self._buffer[self._end :])
            except BlockingIOError:
                self._acknowledge()
                _await(self._input, min(self._limits.io, deadline - monotonic()))
                continue
            if not came:
                raise ConnectionAbortedError
            self._end += came

    @property
    def _holds(self) -> bool:
        """Whether something has come that was not looked at yet."""
        return self._next < self._end or (self._channel is not None and self._channel.holds)

    def _has_come(self) -> bool:
        """Whether there is something to read, be it the end: with TLS, what is on the line may hold none."""
        if self._channel is None or self._next < self._end:
            return True
        self._begin = self._next = self._end = 0
        try:
            self._end = self._channel.receive(self._buffer)
        except BlockingIOError:
            return False
        except OSError:
            return True  # whoever reads will meet it again
        return True

    def _make_room(self, count: int) -> None:
        """See that so many bytes fit in behind the beginning of the PDU."""
        if self._begin + count <= len(self._buffer) and self._begin < self._end:
            return
        came = self._buffer[self._begin : self._end]
        if count > len(self._buffer):
            self._buffer = memoryview(bytearray(max(count, _BUFFER_BYTES)))
        self._buffer[: len(came)] = came
        self._begin, self._next, self._end = 0, 0, len(came)

    def _acknowledge(self) -> None:
        """Acknowledge at once what has come: a peer with Nagle's algorithm holds the rest back until then."""
        with suppress(OSError):
            self._line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _await(poll: select.poll, seconds: float) -> None:
    """Wait until `poll` tells something. Raises TimeoutError."""
    if seconds <= 0 or not poll.poll(seconds * 1000):
        raise TimeoutError
