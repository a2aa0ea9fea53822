"""A web service of our own for tests that takes messages in JSON, and every odd answer on request."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.serving import HttpServer


@dataclass(frozen=True)
class Posted:
    """What came."""

    path: str
    headers: Mapping[str, str]
    """By name in lower case."""
    message: Any
    """Of JSON."""


class HookServer(HttpServer):
    """One server on a free port of loopback, for the time of a `with`."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.posted: list[Posted] = []
        """Messages that were taken, or answered otherwise, in order."""
        self.statuses: list[int] = []
        """What to answer to the next; 0 to hang; then 200."""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                told = {name.lower(): value for name, value in self.headers.items()}
                owner.posted.append(Posted(self.path, told, json.loads(self.rfile.read(length))))
                status = owner.statuses.pop(0) if owner.statuses else 200
                if not status:
                    owner.free.wait()
                    return
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", f"{owner.url}/elsewhere")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing: clients that go are what is tested."""

        super().__init__(Server(("127.0.0.1", 0), Handler))
        self._scheme = "http"
        if tls is not None:
            self._scheme = "https"
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )

    @property
    def url(self) -> str:
        """What to post to; its path is a secret."""
        return f"{self._scheme}://127.0.0.1:{self.port}/hooks/s3cr3t"
