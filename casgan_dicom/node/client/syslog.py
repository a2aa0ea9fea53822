"""Lines to a syslog server: RFC 5424 over TLS (RFC 5425), TCP (RFC 6587, octet counting) or UDP (RFC 5426).

Nobody answers a line of syslog, and what was written to a socket is lost where the other end dies before it
has read it. So each call has a connection of its own, and ends it first: a server that has read everything
ends it too, one that has not resets it, one that hangs does neither. Only then the lines have arrived. Over
UDP they were sent, and nothing is known.
"""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, sleep

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.peer_tls import PeerTls, insecure
from casgan_dicom.node.tls_channel import Channel

LONGEST_DATAGRAM = 65000
"""Bytes of a line over UDP; the rest of a longer one is cut off, as PS3.15 A.7 says it may be."""
_REFUSED_SECONDS = 0.1
"""How long a machine may take to say that nobody listens at a port of UDP."""
_ACKNOWLEDGED_SECONDS = 2.0
"""How long it may take to acknowledge what came, after a server has ended the connection."""


@dataclass(frozen=True)
class SyslogServer:
    """Where lines go."""

    host: str
    """Name or address."""
    port: int
    """Its port."""
    transport: str
    """How they get there: tls, tcp or udp."""
    tls: PeerTls | None
    """How we talk TLS there; needed for that transport."""
    seconds: float
    """For the connection, for all of the sending, and for its end."""

    def __str__(self) -> str:
        return f"syslog server {self.host}:{self.port}"


def send_lines(server: SyslogServer, lines: Sequence[bytes]) -> None:
    """Send lines, without line feeds, in their order. Raises PeerError where they may not have arrived."""
    try:
        if server.transport == "udp":
            _send_datagrams(server, lines)
        else:
            _send_frames(server, b"".join(b"%d %b" % (len(line), line) for line in lines))
    except OSError as error:
        raise _failed(server, error) from error


def _send_datagrams(server: SyslogServer, lines: Sequence[bytes]) -> None:
    family, _, _, _, place = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as line:
        line.settimeout(server.seconds)
        line.connect(place)
        for each in lines:
            line.send(each[:LONGEST_DATAGRAM])
        line.settimeout(_REFUSED_SECONDS)
        with suppress(TimeoutError):  # it says nothing, as it should
            line.recv(1)


def _send_frames(server: SyslogServer, frames: bytes) -> None:
    with socket.create_connection((server.host, server.port), server.seconds) as plain:
        if server.tls is None:
            plain.sendall(frames)
            plain.shutdown(socket.SHUT_WR)
            _wait_for_end(plain, server.seconds, lambda: plain.recv(4096))
        else:
            _send_secured(server.tls, plain, frames, server.seconds)


def _send_secured(tls: PeerTls, plain: socket.socket, frames: bytes, seconds: float) -> None:
    """Send over TLS, and end that; a server that refuses our certificate may say so only now."""
    channel = Channel(tls.context(), plain.recv, plain.send, name=tls.name)
    channel.handshake()
    room = memoryview(bytearray(4096))
    try:
        rest = memoryview(frames)
        while rest:
            rest = rest[channel.send(rest) :]
        channel.flush()
    except ConnectionError:
        with suppress(ConnectionError, TimeoutError):
            channel.receive(room)  # raises what it has said before it left
        raise
    channel.end()
    _wait_for_end(plain, seconds, lambda: channel.receive(room))


def _wait_for_end(line: socket.socket, seconds: float, receive: Callable[[], int | bytes]) -> None:
    """Wait until the server ends the connection; what it says meanwhile is nothing of syslog.

    Some servers end it without a goodbye of TLS.
    """
    deadline = monotonic() + seconds
    while receive():
        line.settimeout(max(0.001, deadline - monotonic()))
    _check_read(line)


def _check_read(line: socket.socket) -> None:
    """Make sure that a server which ended the connection had read everything; raises ConnectionError.

    Its system says so: it acknowledges what it had room for, and resets what nobody reads any more.
    """
    deadline = monotonic() + _ACKNOWLEDGED_SECONDS
    while _unacknowledged(line) and monotonic() < deadline:
        sleep(0.005)
    if line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or _unacknowledged(line):
        raise ConnectionResetError


def _unacknowledged(line: socket.socket) -> int:
    """Bytes that the other machine has not acknowledged; tcp(7), SIOCOUTQ."""
    (count,) = struct.unpack("i", fcntl.ioctl(line.fileno(), termios.TIOCOUTQ, b"\0" * 4))
    return int(count)


def _failed(server: SyslogServer, error: OSError) -> PeerError:
    if isinstance(error, ssl.SSLError) and server.tls is not None:
        return insecure(str(server), server.tls, error)
    hint = "check host and port of [audit], and that the server is running"
    if isinstance(error, ConnectionRefusedError):
        return PeerError(f"{server}: the port is closed (connection refused)", hint=hint)
    if isinstance(error, socket.gaierror):
        return PeerError(f"{server}: the host is unknown", hint="check the spelling of host of [audit]")
    if isinstance(error, TimeoutError):
        said = f"did not take the lines, or not end the connection, within {server.seconds:g} s"
        return PeerError(f"{server} {said}", hint="check its port; its log may say why")
    if isinstance(error, ConnectionError):
        shown = "" if server.tls is None else f", and whether it takes what we show: {server.tls.certificate}"
        return PeerError(f"{server} broke off the connection", hint=f"check transport of [audit]{shown}")
    return PeerError(f"{server}: no connection ({error.strerror or type(error).__name__})", hint=hint)
