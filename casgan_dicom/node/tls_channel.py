"""TLS over a socket that somebody else owns: who owns it waits, and may be hung up on from any thread.

Python's own ``SSLSocket`` takes the socket over, so that another thread that ends the connection pulls the
cipher from under the one that reads. Here the cipher is apart from the socket and belongs to the thread that
reads and writes; the socket stays one.

The owner polls the socket, but bytes there need not be bytes of a message: part of a record, an alert, or
nothing but TLS itself. `Channel.holds` and `Channel.receive` tell.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from casgan_dicom.node.tls import Identity, identity_of

_PIECE = 128 * 1024
"""Bytes that go through the cipher at once."""


class Channel:
    """TLS over one connection; for one thread at a time.

    Parameters
    ----------
    context
        How we talk TLS.
    receive
        Receives at most so many bytes from the socket; none at the end.
    send
        Sends some bytes to the socket, and says how many.
    name
        What the certificate of the other end must hold. None: we are the server.

    What `receive` and `send` raise comes through, BlockingIOError above all, where a socket that does not
    block would: then the owner waits, for output if `unsent`, and calls again.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        receive: Callable[[int], bytes],
        send: Callable[[memoryview], int],
        *,
        name: str | None = None,
    ) -> None:
        self._receive, self._send = receive, send
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=name is None, server_hostname=name
        )
        self._unsent = memoryview(b"")
        self._is_tried = True
        """Whether what has come holds no whole record any more."""
        self._is_over = self._has_begun = False
        self._failure: ssl.SSLError | None = None

    @property
    def unsent(self) -> bool:
        """Whether something is still to be sent."""
        return bool(self._unsent) or bool(self._outgoing.pending)

    @property
    def holds(self) -> bool:
        """Whether `receive` may give something although nothing more comes."""
        return self._is_over or self._tls.pending() > 0 or not self._is_tried

    @property
    def has_begun(self) -> bool:
        """Whether anything has come at all."""
        return self._has_begun

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self._is_over

    @property
    def identity(self) -> Identity | None:
        """Who the other end is; None where that is unknown."""
        return identity_of(self._tls)

    def handshake(self) -> None:
        """Begin, or go on.

        Raises
        ------
        OSError
            It failed, see `tls.reason_of`; the other end was told so, if it still listens.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                if not self._take():
                    raise ConnectionAbortedError from None
            except ssl.SSLError:
                with suppress(OSError):
                    self.flush()  # the alert
                raise
            else:
                self.flush()
                return

    def receive(self, view: memoryview) -> int:
        """Receive some bytes, as many as have come or fit; 0 at the end."""
        if self._failure is not None:
            raise self._failure
        while True:
            try:
                count = cast(int, self._tls.read(len(view), view))
            except ssl.SSLWantReadError:
                with suppress(OSError):
                    self.flush()  # what TLS itself answers; the other end may have said more before it left
                self._is_tried = True
                if not self._take():
                    return 0
                continue
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                count = 0
            except ssl.SSLError as error:
                self._is_over, self._failure = True, error
                raise
            self._is_over = self._is_over or not count
            return count

    def send(self, view: memoryview) -> int:
        """Send some bytes, and say how many; they may be `unsent` until the next call, or `flush`."""
        self.flush()
        at = 0
        while at < min(len(view), _PIECE):
            at += self._tls.write(view[at:_PIECE])
        with suppress(BlockingIOError):
            self.flush()
        return at

    def flush(self) -> None:
        """Send what is still to be sent."""
        while self.unsent:
            if not self._unsent:
                self._unsent = memoryview(self._outgoing.read())
            self._unsent = self._unsent[self._send(self._unsent) :]

    def end(self) -> None:
        """Say that nothing more comes (close_notify), without waiting for an answer; never raises."""
        with suppress(OSError, ValueError):
            with suppress(ssl.SSLWantReadError):
                self._tls.unwrap()
            self.flush()

    def _take(self) -> bool:
        """Take more from the socket; False at its end."""
        content = b"" if self._is_over else self._receive(_PIECE)
        if not content:
            self._is_over = True
            return False
        self._incoming.write(content)
        self._is_tried, self._has_begun = False, True
        return True
