"""The port for HTTP: who is connected, how long anybody may take, and TLS. Requests are not read here.

The protocol is uvicorn's (h11); connections are accepted here, so that each is counted before it costs
anything, and talks TLS with the certificates of the moment. A connection on which no request is read has
seconds for the next one, and loses its place first.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from casgan_dicom.log import get_logger
from casgan_dicom.node.door.connections import Connections
from casgan_dicom.node.door.refusals import Refusal, Refusals
from casgan_dicom.node.tls import reason_of

GRACE_SECONDS = 3.0
"""How long requests may go on when the node stops."""
_END_SECONDS = 2.0
_TICK_SECONDS = 0.2
_WAIT_SECONDS = 0.5
"""After the system had no file number for a connection."""
_LONGEST_HEAD = 32 * 1024
"""Bytes of what a request says before its body."""

log = get_logger("web")


@dataclass(frozen=True)
class Patience:
    """How long a client may take, in seconds."""

    handshake: float = 10.0
    """For TLS."""
    head: float = 10.0
    """For what a request says before its body, and for the rest of a body that was refused."""
    between: float = 30.0
    """From the end of a response to the next request."""


class Visitor:
    """One connection."""

    def __init__(self, connections: Connections, address: str) -> None:
        self.address = address
        """IP address that it comes from."""
        self.end: Callable[[], object] = lambda: None
        """Ends it at once; another way once it talks."""
        self._connections = connections

    def come(self) -> None:
        """It is there, and has asked for nothing that it may have."""
        self._connections.add(self, self.address, self._hang_up)

    def stay(self) -> None:
        """A request of it is worked at: it keeps its place."""
        self._connections.associated(self, self)

    def wait(self) -> None:
        """Its request was answered."""
        self.leave()
        self.come()

    def leave(self) -> None:
        """It is gone."""
        self._connections.remove(self)

    def _hang_up(self) -> None:
        self.end()


class Door:
    """Accepts connections.

    Parameters
    ----------
    app
        Answers requests; ``state`` of the scope has the `Visitor` as ``visitor``.
    connections
        Who may still come in.
    refusals
        Where it is told who does not get in.
    tls
        How to talk TLS at the moment; None for HTTP without it.
    patience
        How long clients may take.
    """

    def __init__(
        self,
        app: ASGIApp,
        connections: Connections,
        refusals: Refusals,
        tls: Callable[[], ssl.SSLContext] | None,
        patience: Patience,
    ) -> None:
        self._connections, self._refusals, self._tls = connections, refusals, tls
        self._patience = patience
        self._state = ServerState()
        self._coming = set[asyncio.Task[None]]()
        self._config = Config(
            app,
            http=H11Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # an address proves something here: nobody may tell us another
            timeout_keep_alive=int(patience.between),
            h11_max_incomplete_event_size=_LONGEST_HEAD,
        )

    async def run(self, listening: socket.socket, is_over: Callable[[], bool]) -> None:
        """Accept connections until it is over, then end those that there are."""
        accepting = asyncio.create_task(self._accept(listening))
        try:
            while not is_over():
                self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
                if accepting.done():
                    raise RuntimeError(
                        "the task that accepts connections has ended"
                    ) from accepting.exception()
                await asyncio.sleep(_TICK_SECONDS)
        finally:
            accepting.cancel()
            await self._end()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0)  # connections that are there already do not make one wait for the others
            try:
                line, place = await loop.sock_accept(listening)
            except OSError as error:  # no file number, or the client is gone
                log.exception("connection cannot be accepted now", error=error)
                await asyncio.sleep(_WAIT_SECONDS)
                continue
            address = str(place[0])
            if not self._connections.admit(address):
                line.close()
                self._refuse(Refusal("no room", "there is no room for another connection", address))
                continue
            visitor = Visitor(self._connections, address)
            visitor.come()
            task = loop.create_task(self._welcome(line, visitor))
            visitor.end = task.cancel
            self._coming.add(task)
            task.add_done_callback(self._coming.discard)

    async def _welcome(self, line: socket.socket, visitor: Visitor) -> None:
        """Talk TLS, if at all, and have requests read."""
        context = None if self._tls is None else self._tls()
        seconds = None if context is None else self._patience.handshake

        def make() -> _Line:
            return _Line(self._config, self._state, visitor, self._patience)

        try:
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(make, line, ssl=context, ssl_handshake_timeout=seconds)
        except OSError as error:
            self._refuse(Refusal("TLS", reason_of(error), visitor.address))
            visitor.leave()
            line.close()
        except asyncio.CancelledError:
            visitor.leave()
            line.close()
            raise

    def _refuse(self, refusal: Refusal) -> None:
        self._refusals.note(refusal, "no TLS" if refusal.kind == "TLS" else "web request refused")

    async def _end(self) -> None:
        """Let requests go on for a while, then hang up."""
        for task in list(self._coming):
            task.cancel()
        for line in list(self._state.connections):
            line.shutdown()
        if self._state.tasks:
            await asyncio.wait(list(self._state.tasks), timeout=GRACE_SECONDS)
        self._connections.hang_up()
        if self._state.tasks:
            await asyncio.wait(list(self._state.tasks), timeout=_END_SECONDS)


class _Line(H11Protocol):
    """uvicorn's protocol, with an end to waiting for a request."""

    def __init__(self, config: Config, state: ServerState, visitor: Visitor, patience: Patience) -> None:
        super().__init__(config, state, {"visitor": visitor})
        self._visitor, self._seconds = visitor, patience.head
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base
        super().connection_made(transport)
        self._visitor.end = transport.abort
        self._await_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._await_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._visitor.wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._visitor.leave()
        super().connection_lost(exc)

    def _await_request(self) -> None:
        """Hang up later, unless a request is worked at: whose client has seconds for each piece of it."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(self._seconds, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
