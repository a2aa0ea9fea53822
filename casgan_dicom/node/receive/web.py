"""What listens for HTTP: takes instances over the web (STOW-RS), and says so only when they are safe.

    POST /studies               any instances
    POST /studies/{study}       instances of one study

Who may send is decided here: by a bearer token (``door/tokens.py``) or, without any, by being on this
machine. The wire is in ``door/http.py``, what is posted in ``store_request.py``. Nothing is read back, and no
page of a browser can send: there is no CORS, and without tokens a name that is not of this machine is not
answered to.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from casgan_dicom.log import get_logger
from casgan_dicom.node.addresses import is_loopback
from casgan_dicom.node.changes import Changes
from casgan_dicom.node.credentials import files_of_web
from casgan_dicom.node.door.complaints import Complaints
from casgan_dicom.node.door.connections import Connections
from casgan_dicom.node.door.http import Door, Patience
from casgan_dicom.node.door.port import counting, listening_on
from casgan_dicom.node.door.refusals import Refusal, Refusals
from casgan_dicom.node.door.tokens import Tokens
from casgan_dicom.node.receive.spool import Spool
from casgan_dicom.node.receive.store_request import StoreLimits, StoreService
from casgan_dicom.node.receive.taking import reception_of
from casgan_dicom.node.settings import NodeSettings, WebSettings
from casgan_dicom.node.state.audit import Audit
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.rejections import Rejections
from casgan_dicom.node.tls import Renewed, server_context

_THREADS = 16
"""That write files: more wait for the same disk."""

log = get_logger("web")


class Entrance:
    """Who may post.

    Parameters
    ----------
    settings
        Of the web.
    refusals
        Where it is told who may not.
    """

    def __init__(self, settings: WebSettings, refusals: Refusals) -> None:
        self._name = settings.ae_title
        path = settings.tokens_file
        self._tokens = Tokens(Path(path).expanduser(), "web.tokens_file") if path else None
        self._refusals = refusals

    def name_of(self, request: Request) -> str | Response:
        """What the sender is called; a response that refuses it where it may not send."""
        address = request.client.host if request.client else ""
        if self._tokens is not None:
            given = request.headers.get("authorization", "")
            if name := self._tokens.name_of(given):
                return name
            self._refuse("its token is not known" if given else "it shows no token", address)
            headers = {"WWW-Authenticate": 'Bearer realm="casgan-dicom"'}
            return PlainTextResponse("a bearer token is needed\n", 401, headers)
        if not is_loopback(address):
            self._refuse("it is not this machine, and there are no tokens", address)
            return PlainTextResponse("only this machine may send\n", 403)
        if not is_loopback((request.url.hostname or "").strip("[]")):  # a page whose name leads here
            self._refuse("it calls this machine by another name", address)
            return PlainTextResponse("call this machine localhost or 127.0.0.1\n", 403)
        return self._name

    def _refuse(self, reason: str, address: str) -> None:
        self._refusals.note(Refusal("sender", reason, address), "web request refused")


def web_app(entrance: Entrance, service: StoreService) -> Starlette:
    """Everything that can be asked for over HTTP."""

    async def store(request: Request) -> Response:
        name = entrance.name_of(request)
        if isinstance(name, Response):
            return name
        request.state.visitor.stay()
        return await service.answer(request, name)

    async def on_fault(_request: Request, error: Exception) -> Response:
        log.exception("web request failed", error=error)
        return PlainTextResponse("internal error\n", 500)

    paths = ("/studies", "/studies/{study}")
    routes = [Route(path, store, methods=["POST"]) for path in paths]
    app = Starlette(routes=routes, exception_handlers={Exception: on_fault})
    app.router.redirect_slashes = False
    return app


def run_web(
    settings: NodeSettings,
    recipe: str,
    on_ready: Callable[[int], None],
    stop: threading.Event,
    changes: Changes | None = None,
    patience: Patience = Patience(),  # noqa: B008  # frozen
) -> None:
    """Listen until `stop` is set.

    Parameters
    ----------
    settings
        Of the node.
    recipe
        What decides a result besides the series, see `receipts.job_id`.
    on_ready
        Called with the port, when it listens.
    stop
        Ends it: no new connections, and requests may go on for `http.GRACE_SECONDS`.
    changes
        Tells of another recipe, which counts from the next series.
    patience
        How long clients may take.

    Raises
    ------
    ConfigError
        The port cannot be had, or the tokens or files of TLS are no good.
    OSError
        The spool cannot be made.
    """
    web, listener = settings.web, settings.listener
    spool = Spool(Layout(settings.data), listener.max_instance_bytes, listener.min_free_bytes)
    spool.make()
    audit = Audit(spool.layout, settings.audit, listener.ae_title)
    refusals = Refusals(
        Complaints(), lambda each: audit.rejected(each.ae_title, each.called, each.address, each.reason)
    )
    entrance = Entrance(web, refusals)
    ledger = open_ledger(settings)
    try:
        reception, receipts = reception_of(settings, spool, ledger, recipe)
        (changes or Changes()).hear(lambda _, recipe: setattr(receipts, "recipe", recipe))
        with (
            ThreadPoolExecutor(_THREADS, "web") as threads,
            listening_on(web.host, web.port, "web") as listening,
        ):
            limits = StoreLimits(web.max_request_bytes, web.idle_seconds)
            service = StoreService(spool, reception, limits, threads)
            app = web_app(entrance, service)
            on_ready(listening.getsockname()[1])
            log.info("listening for HTTP", host=web.host, port=web.port, tls=bool(web.tls_certificate))
            with counting(refusals, Rejections(ledger)):
                asyncio.run(_door(web, app, refusals, patience).run(listening, stop.is_set))
    finally:
        ledger.close()
    log.info("stopped listening for HTTP")


def _door(web: WebSettings, app: Starlette, refusals: Refusals, patience: Patience) -> Door:
    files = files_of_web(web)
    make = partial(server_context, asks=bool(web.tls_authorities))
    tls = None if files is None else Renewed(files, make).context
    return Door(
        app, Connections(web.max_connections, web.max_connections_per_address), refusals, tls, patience
    )
