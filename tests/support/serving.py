"""What servers and services of our own for tests have in common: a thread, for the time of a block."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import ThreadingHTTPServer
from queue import Queue
from types import TracebackType
from typing import Self

WAIT_SECONDS = 60.0
"""Deadline for a service to be ready, and to stop."""


class Server:
    """A server on a port of loopback that accepts connections in a thread; whoever derives serves them.

    Parameters
    ----------
    listening
        Its socket, which is bound.
    """

    def __init__(self, listening: socket.socket) -> None:
        self.connections = 0
        """How many there were."""
        self.free = threading.Event()
        """Set when those that hang are to go."""
        self.socket = listening
        self._thread = threading.Thread(target=self.run)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.socket.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.free.set()
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.socket.close()

    def run(self) -> None:
        """Accept connections until the socket is shut."""
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=[connection, self.turn()], daemon=True).start()

    def turn(self) -> str:
        """What the next connection is to meet; empty for nothing odd."""
        return ""

    def serve(self, connection: socket.socket, turn: str) -> None:
        """Talk on a connection, in a thread of its own."""
        raise NotImplementedError


class HttpServer:
    """A server of the standard library, which answers in a thread.

    Parameters
    ----------
    server
        Which is bound.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.free = threading.Event()
        """Set when those that hang are to go."""
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=[0.02])

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.free.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def service(
    run: Callable[[Callable[[int], None], threading.Event], None],
) -> Iterator[tuple[int, threading.Event]]:
    """Run a service of a node in a thread for the time of a block; its port, and what stops it.

    `run` is given what it calls with its port when it is ready, and the event that ends it; whatever ends it
    early is raised here.
    """
    stop, told = threading.Event(), Queue[int | BaseException]()

    def serve() -> None:
        try:
            run(told.put, stop)
        except BaseException as error:
            told.put(error)

    thread = threading.Thread(target=serve)
    thread.start()
    port = told.get(timeout=WAIT_SECONDS)
    if isinstance(port, BaseException):
        thread.join()
        raise port
    try:
        yield port, stop
    finally:
        stop.set()
        thread.join(WAIT_SECONDS)
    assert not thread.is_alive(), "it did not stop"
    if not told.empty() and isinstance(failed := told.get(), BaseException):
        raise failed
