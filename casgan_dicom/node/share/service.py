"""Gives the files of this host to the others, over HTTP.

    GET /instances/{sop uid}/{digest}          an instance that came in here
    GET /instances/{sop uid}/{digest}/whole    whether its file is there, in every byte: 204, else 404
    GET /objects/{job}/{sop uid}               an object that was made here

Who asks proves by a shared secret that it is one of us (``signature.py``). Nothing of a request gets into a
path: the ledger is asked for the row, and the row says which file it is. `Range: bytes=N-` gives the rest of
a file of which a part has come.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from casgan_dicom.log import get_logger
from casgan_dicom.node.door.refusals import Refusal, Refusals
from casgan_dicom.node.share.digests import instance_sha256
from casgan_dicom.node.share.signature import Secret
from casgan_dicom.node.state.holdings import HeldFile, Holdings
from casgan_dicom.node.state.layout import Layout

PIECE_BYTES = 1024 * 1024
"""How much of a file is read at a time."""
_RANGE = re.compile(r"bytes=([0-9]{1,18})-")

log = get_logger("share")


class FileService:
    """The files of one host.

    Parameters
    ----------
    host
        Which.
    layout
        Where they are.
    holdings
        What the ledger says of them.
    secret
        Proves who may have them.
    clock
        The time that all hosts share.
    """

    def __init__(
        self, host: str, layout: Layout, holdings: Holdings, secret: Secret, clock: Callable[[], float]
    ) -> None:
        self._host, self._layout, self._holdings = host, layout, holdings
        self._secret, self._clock = secret, clock

    def may(self, request: Request) -> bool:
        """Whether a request is by one of us."""
        header, path = request.headers.get("authorization", ""), request.url.path
        try:
            return self._secret.proves(header, path, _begin(request), self._clock())
        except ValueError:  # no number where the time should be, or no range that we take
            return False

    def answer(self, request: Request) -> Response:
        """The answer to a request by one of us. Raises LedgerError."""
        asked = request.path_params
        if "job" in asked:
            held = self._holdings.object(self._host, asked["job"], asked["sop_uid"])
        else:
            held = self._holdings.instance(self._host, asked["sop_uid"], asked["sha256"])
        if held is None:
            return PlainTextResponse("there is no such file here\n", 404)
        try:
            if request.url.path.endswith("/whole"):
                return self._whole(held)
            return _content(held.place(self._layout), _begin(request))
        except OSError as error:
            log.exception("file cannot be given", error=error, kind=held.kind, sop_uid=held.sop_uid)
            return PlainTextResponse("the file cannot be read\n", 404)

    def _whole(self, held: HeldFile) -> Response:
        if instance_sha256(held.place(self._layout), held.sop_uid) == held.sha256:
            return Response(status_code=204)
        log.error("file is damaged", kind=held.kind, sop_uid=held.sop_uid)
        return PlainTextResponse("the file is damaged\n", 404)


def file_app(service: FileService, refusals: Refusals) -> Starlette:
    """Everything that another host may ask for."""

    async def give(request: Request) -> Response:
        if not await run_in_threadpool(service.may, request):
            address = request.client.host if request.client else ""
            refusals.note(Refusal("sender", "it is no host of ours", address), "web request refused")
            return PlainTextResponse("a signature of one of our hosts is needed\n", 401)
        request.state.visitor.stay()
        return await run_in_threadpool(service.answer, request)

    async def on_fault(_request: Request, error: Exception) -> Response:
        log.exception("request of a host failed", error=error)
        return PlainTextResponse("internal error\n", 500)

    instance = "/instances/{sop_uid}/{sha256}"
    paths = (instance, f"{instance}/whole", "/objects/{job}/{sop_uid}")
    routes = [Route(path, give, methods=["GET"]) for path in paths]
    app = Starlette(routes=routes, exception_handlers={Exception: on_fault})
    app.router.redirect_slashes = False
    return app


def _begin(request: Request) -> int:
    """From which byte on a file is wanted. Raises ValueError where that cannot be told."""
    said = request.headers.get("range", "bytes=0-")
    if (found := _RANGE.fullmatch(said)) is None:
        raise ValueError("no range that is taken")
    return int(found[1])


def _content(path: Path, begin: int) -> Response:
    """The rest of a file. Raises OSError."""
    file = path.open("rb")
    length = file.seek(0, 2)
    if begin > length:
        file.close()
        return PlainTextResponse("the file is shorter\n", 416)
    file.seek(begin)
    headers = {"Content-Length": str(length - begin)}
    return StreamingResponse(
        _pieces(file, length - begin),
        206 if begin else 200,
        headers,
        media_type="application/octet-stream",
    )


def _pieces(file: BinaryIO, count: int) -> Iterator[bytes]:
    with file:
        while count and (piece := file.read(min(PIECE_BYTES, count))):
            count -= len(piece)
            yield piece
