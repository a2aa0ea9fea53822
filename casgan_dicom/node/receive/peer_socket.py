"""The socket of one association that we accepted: whole PDUs in bounded time, or an error.

pynetdicom's own (3.0.4) reads 4 KiB a call, believes any length, waits without end, and leaks the file number
of a connection that the peer reset. Here a PDU has a longest length and a deadline, and the thread that reads
sleeps until a byte comes or somebody calls `PeerSocket.wake`.

One thread reads and writes. Others can only hang up; file numbers are given back by `PeerSocket.release` when
that thread is gone, so that it never meets one that belongs to another connection by now.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

HEADER_BYTES = 6
"""Type and length of a PDU, PS3.8 9.3."""
_TYPES = range(1, 8)
_DRAIN_BYTES = 64 * 1024
_FIRST_BUFFER_BYTES = 4096


@dataclass(frozen=True)
class Limits:
    """How long and how large things may be. Times are seconds, lengths bytes."""

    io: float = 10.0
    """Without a byte, inside a PDU, either way."""
    pdu: float = 15.0
    """For one PDU."""
    request: float = 5.0
    """Until an association is requested, and for that PDU; and until the peer closes when it is over."""
    idle: float = 900.0
    """Between two PDUs."""
    request_bytes: int = 128 * 1024
    """Longest PDU before there is an association: 128 contexts of 14 syntaxes take half of it."""
    pdu_bytes: int = 128 * 1024
    """Longest PDU that we ask for; some peers count the header."""


DEFAULT_LIMITS = Limits()


class MalformedError(Exception):
    """What came is no PDU or message, or longer than we take; the message says what is wrong, if it can."""


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
        self._is_ready = False
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

    def wait(self, seconds: float) -> None:
        """Sleep until a byte comes, the peer hangs up, or somebody wakes us, but not longer."""
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
        known, self._is_ready = self._is_ready, False
        return self.socket is not None and self._is_connected and (known or bool(self._input.poll(0)))

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
        self._fill(self._buffer[:HEADER_BYTES], deadline)
        length = int.from_bytes(self._buffer[2:HEADER_BYTES], "big")
        if self._buffer[0] not in _TYPES or length > longest:
            raise MalformedError(
                f"PDU of type {self._buffer[0]:02X} and {length} bytes, take {longest} at most"
            )
        end = HEADER_BYTES + length
        if end > len(self._buffer):
            larger = memoryview(bytearray(max(end, 2 * len(self._buffer))))
            larger[:HEADER_BYTES] = self._buffer[:HEADER_BYTES]
            self._buffer = larger
        self._fill(self._buffer[HEADER_BYTES:end], deadline)
        return self._buffer[:end]

    def drain(self) -> None:
        """Throw away what has come. Raises OSError if that was the end."""
        with suppress(BlockingIOError):
            if not self._line.recv(_DRAIN_BYTES):
                raise ConnectionAbortedError

    def send(self, bytestream: bytes) -> None:
        """Send everything; a peer that does not take it counts as gone (Evt17)."""
        deadline = monotonic() + self._limits.io
        rest = memoryview(bytestream)
        try:
            while rest:
                try:
                    rest = rest[self._line.send(rest) :]
                except BlockingIOError:
                    _await(self._output, deadline - monotonic())
        except OSError:
            self.event_queue.put("Evt17")

    def hang_up(self) -> None:
        """End the connection, from any thread, at any time; whoever reads finds its end."""
        with self._lock, suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    def _shutdown_socket(self) -> None:
        self.hang_up()

    def release(self) -> None:
        """Give the file numbers back; no thread may read or write any more."""
        with self._lock:
            self._line.close()
            if self._bell >= 0:
                os.close(self._bell)
            self._bell = -1

    def _fill(self, view: memoryview, deadline: float) -> None:
        """Read until `view` is full."""
        while view:
            try:
                count = self._line.recv_into(view)
            except BlockingIOError:
                self._acknowledge()
                _await(self._input, min(self._limits.io, deadline - monotonic()))
                continue
            if not count:
                raise ConnectionAbortedError
            view = view[count:]

    def _acknowledge(self) -> None:
        """Acknowledge at once what has come: a peer with Nagle's algorithm holds the rest back until then."""
        with suppress(OSError):
            self._line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _await(poll: select.poll, seconds: float) -> None:
    """Wait until `poll` tells something. Raises TimeoutError."""
    if seconds <= 0 or not poll.poll(seconds * 1000):
        raise TimeoutError
