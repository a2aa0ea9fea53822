"""Everything that can be asked for on the port of the page, and who answers it.

/healthz  /readyz      for load balancers and monitoring, without a token
/login  /static        for browsers that have none yet
/api/v1                JSON, with a token or a session
/  /jobs  …            pages, with a session
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp

from casgan_dicom.errors import CasganError
from casgan_dicom.node.state.ledger import LedgerError
from casgan_dicom.node.state.readiness import reasons_against_ready
from casgan_dicom.node.web.api import api_routes
from casgan_dicom.node.web.assets import asset_routes
from casgan_dicom.node.web.body import json_of
from casgan_dicom.node.web.entrance import Entrance
from casgan_dicom.node.web.gate import Gate
from casgan_dicom.node.web.guard import Guard
from casgan_dicom.node.web.metrics import CONTENT_TYPE
from casgan_dicom.node.web.refusal import BAD, BUSY, RefusedError, on_refused, told
from casgan_dicom.node.web.shelf import JobShelf
from casgan_dicom.node.web.site import Site
from casgan_dicom.player.app import player_routes


def page_app(site: Site, entrance: Entrance) -> ASGIApp:
    """The application."""
    routes = [
        *_health_routes(site),
        *_login_routes(site, entrance),
        _metrics_route(site, entrance),
        *api_routes(site, entrance),
        *asset_routes(entrance),
        Mount("/player", Gate(Router(player_routes(JobShelf(site), site.exhibits)), entrance)),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            RefusedError: on_refused,
            CasganError: on_refused,
            LedgerError: on_refused,
            HTTPException: _on_nothing,
            Exception: on_refused,
        },
    )
    app.router.redirect_slashes = False
    return Guard(app, site.settings.page)


def _health_routes(site: Site) -> list[BaseRoute]:
    async def live(_request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(_request: Request) -> Response:
        least = site.settings.listener.min_free_bytes
        reasons = await run_in_threadpool(
            reasons_against_ready, site.layout, site.ledger, site.processes, least, site.settings.host.name
        )
        return JSONResponse({"ready": not reasons, "reasons": list(reasons)}, BUSY if reasons else 200)

    return [Route("/healthz", live, methods=["GET"]), Route("/readyz", ready, methods=["GET"])]


def _metrics_route(site: Site, entrance: Entrance) -> BaseRoute:
    async def measure(request: Request) -> Response:
        entrance.who(request)
        text = await run_in_threadpool(site.metrics.text, site.now())
        return Response(text, media_type=CONTENT_TYPE)

    return Route("/metrics", measure, methods=["GET"])


def _login_routes(site: Site, entrance: Entrance) -> list[BaseRoute]:
    async def log_in(request: Request) -> Response:
        given = await json_of(request, site.settings.page.idle_seconds)
        token = given.get("token") if isinstance(given, dict) else None
        if not isinstance(token, str):
            raise RefusedError(BAD, 'want an object with a text called "token"')
        return entrance.log_in(request, token)

    async def log_out(request: Request) -> Response:
        return entrance.log_out(request)

    return [
        Route("/login", log_in, methods=["POST"]),
        Route("/logout", log_out, methods=["POST"]),
    ]


async def _on_nothing(_request: Request, error: Exception) -> Response:
    """Answer for a path or method that there is not."""
    assert isinstance(error, HTTPException)
    return told(RefusedError(error.status_code, error.detail.lower(), headers=error.headers))
