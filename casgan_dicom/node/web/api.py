"""The JSON interface: every operation of the table becomes a route that knows who may ask."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from casgan_dicom.node.web.asked import Asked
from casgan_dicom.node.web.body import json_of, length_of, write_file
from casgan_dicom.node.web.entrance import Entrance
from casgan_dicom.node.web.openapi import openapi
from casgan_dicom.node.web.operations import OPERATIONS, PREFIX, Operation
from casgan_dicom.node.web.refusal import BAD, BUSY, RefusedError
from casgan_dicom.node.web.schema import read_body
from casgan_dicom.node.web.site import Site

_RETRY = {"Retry-After": "5"}


def api_routes(site: Site, entrance: Entrance) -> list[BaseRoute]:
    """All routes below `PREFIX`; an exception is left to the application."""
    trial = asyncio.Lock()
    found: list[BaseRoute] = [_route(site, entrance, trial, each) for each in OPERATIONS]
    document = openapi()

    async def describe(request: Request) -> Response:
        entrance.who(request)
        return JSONResponse(document)

    return [*found, Route(f"{PREFIX}/openapi.json", describe, methods=["GET"])]


def _route(site: Site, entrance: Entrance, trial: asyncio.Lock, operation: Operation) -> BaseRoute:
    async def endpoint(request: Request) -> Response:
        asked = _asked(request, entrance, operation)
        idle = site.settings.page.idle_seconds
        if operation.takes_file:
            async with _file_of(request, site, trial) as path:
                return await _answer(site, operation, replace(asked, file=path))
        if operation.body is not None:
            asked = replace(asked, body=_read(operation.body, await json_of(request, idle)))
        return await _answer(site, operation, asked)

    return Route(PREFIX + operation.path, endpoint, methods=[operation.method])


def _asked(request: Request, entrance: Entrance, operation: Operation) -> Asked:
    """Who asks, and with which words; they keep their place. Raises RefusedError."""
    holder = entrance.who(request, operation.role)
    request.state.visitor.stay()
    known = {each.name for each in operation.query}
    if strange := set(request.query_params) - known:
        said = f"there is no {', '.join(sorted(strange))[:100]}"
        raise RefusedError(BAD, said, f"known: {', '.join(sorted(known)) or 'nothing'}")
    query = {name: tuple(request.query_params.getlist(name)) for name in request.query_params}
    address = request.client.host if request.client else ""
    return Asked(holder, address, dict(request.path_params), query)


async def _answer(site: Site, operation: Operation, asked: Asked) -> Response:
    found: Any = await run_in_threadpool(operation.handler, site, asked)
    return JSONResponse(asdict(found))


def _read(kind: type, content: object) -> object:
    try:
        return read_body(kind, content)
    except ValueError as error:
        raise RefusedError(BAD, str(error)) from error


@asynccontextmanager
async def _file_of(request: Request, site: Site, trial: asyncio.Lock) -> AsyncIterator[Path]:
    """The file of a request, for the time of a block; one at a time. Raises RefusedError."""
    page, listener = site.settings.page, site.settings.listener
    length = length_of(request, page.max_trial_bytes)
    if trial.locked():
        raise RefusedError(BUSY, "another file is being looked at", headers=_RETRY)
    async with trial:
        site.layout.trials.mkdir(mode=0o700, exist_ok=True)
        if shutil.disk_usage(site.layout.trials).free < listener.min_free_bytes + length:
            raise RefusedError(BUSY, "there is no room on the disk now", headers=_RETRY)
        with tempfile.TemporaryDirectory(dir=site.layout.trials) as folder:
            path = Path(folder) / "file.dcm"
            await write_file(request, path, page.max_trial_bytes, page.idle_seconds)
            yield path
