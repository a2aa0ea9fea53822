"""The player by itself, for files of a folder: one page behind a secret path, for this machine alone."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config, Server

from casgan_dicom.errors import ConfigError
from casgan_dicom.player.app import STATIC, player_routes
from casgan_dicom.player.open_exhibits import OpenExhibits
from casgan_dicom.player.shelf import Exhibit

ITEM = "files"
"""Name of the one item; the page asks for it."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy: nothing from elsewhere, and nothing written into the page."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the path is a secret
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HOST = "127.0.0.1"


@dataclass(frozen=True)
class FilesShelf:
    """The files that were given, as one item."""

    exhibit: Exhibit
    """Sources and derived objects among each other: who is what, their headers tell."""

    def find(self, name: str) -> Exhibit | None:
        """The files."""
        return self.exhibit if name == ITEM else None


def new_secret() -> str:
    """What the path begins with, so that no other page of the browser can guess it."""
    return secrets.token_urlsafe(24)


def view_app(exhibit: Exhibit, secret: str, exhibits: OpenExhibits) -> Starlette:
    """The page with the player of some files, behind a secret path.

    Host (RFC 9110) has to be this machine, or a page whose name was led here could read it.
    """
    page = (STATIC / "view.html").read_text(encoding="utf-8")

    def show(_request: Request) -> HTMLResponse:
        return HTMLResponse(page)

    player = player_routes(FilesShelf(exhibit), exhibits)
    routes = [Route("/", show), Mount("/player", routes=player)]
    middleware = [
        Middleware(_WithHeaders),
        Middleware(TrustedHostMiddleware, allowed_hosts=[_HOST, "localhost"], www_redirect=False),
    ]
    return Starlette(routes=[Mount(f"/{secret}", routes=routes)], middleware=middleware)


def serve(app: Starlette, listening: socket.socket) -> None:
    """Answer requests until Ctrl-C."""
    config = Config(
        app, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    with suppress(KeyboardInterrupt):  # uvicorn ends its work first, then passes it on
        Server(config).run(sockets=[listening])


def listening_socket(port: int) -> socket.socket:
    """Have a port of this machine, any free one for 0. Raises ConfigError."""
    try:
        return socket.create_server((_HOST, port))
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {_HOST} port {port} ({error.strerror or type(error).__name__})",
            hint="pass another --port, or none for a free one",
        ) from error


def address_of(listening: socket.socket, secret: str) -> str:
    """What to open in a browser."""
    return f"http://{_HOST}:{listening.getsockname()[1]}/{secret}/"


class _WithHeaders:
    """Puts `HEADERS` on every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, send_with)
