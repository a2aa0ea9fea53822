"""Store over the web, as the origin server (STOW-RS, PS3.18 10.5): same spool, same promise as C-STORE.

A request is answered when each of its instances is flushed and entered, or refused. What it holds goes to
the disk as it comes. Files are written in threads, since a disk may make one wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from casgan_dicom.log import get_logger
from casgan_dicom.node.receive.media_types import preferred
from casgan_dicom.node.receive.posted_file import PostedFile, Sender
from casgan_dicom.node.receive.reception import Reception
from casgan_dicom.node.receive.spool import Spool
from casgan_dicom.node.receive.store_answer import JSON, XML, http_status, written
from casgan_dicom.node.receive.store_body import StoreBody, UnfitError
from casgan_dicom.uids import is_uid

RETRY_SECONDS = 60
"""After which to come again, where there is no room now."""
_BAD, _TIMEOUT, _TOO_LONG, _KIND, _BUSY = 400, 408, 413, 415, 503

T = TypeVar("T")

log = get_logger("web")


@dataclass(frozen=True)
class StoreLimits:
    """How much a client may take."""

    request_bytes: int
    """Longest body."""
    idle_seconds: float
    """Longest time without a byte of it."""


class StoreService:
    """Answers requests to store.

    Parameters
    ----------
    spool
        Where instances go.
    reception
        Takes them.
    limits
        How much a client may take.
    threads
        Where files are written.
    """

    def __init__(
        self, spool: Spool, reception: Reception, limits: StoreLimits, threads: ThreadPoolExecutor
    ) -> None:
        self._spool, self._reception = spool, reception
        self._limits, self._threads = limits, threads

    async def answer(self, request: Request, name: str) -> Response:
        """Take what a sender of this name posts, and say what became of it."""
        media_type = preferred(request.headers.get("accept", ""), (JSON, XML))
        if not media_type:
            return _said(406, f"answers are {JSON} or {XML}")
        try:
            body = self._body(request, name)
        except UnfitError as error:
            return _said(error.status, str(error))
        if await self._in_thread(self._is_full):
            return _said(_BUSY, "there is no room on the disk now", {"Retry-After": str(RETRY_SECONDS)})
        status = await self._take(request, body, name)
        if not body.outcomes:
            return _said(status or _BAD, body.faults[0] if body.faults else "the request holds no instance")
        return _answer(body, status, media_type)

    def _body(self, request: Request, name: str) -> StoreBody:
        """What takes the body. Raises UnfitError where it cannot be taken."""
        study = request.path_params.get("study", "")
        if study and not is_uid(study):
            raise UnfitError(_BAD, "the study in the path is no UID")
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise UnfitError(_KIND, "a packed body is not taken: send it without Content-Encoding")
        length = request.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length[:20]) > self._limits.request_bytes:
            raise UnfitError(_TOO_LONG, f"a request may have {self._limits.request_bytes} bytes")
        sender = Sender(name, request.client.host if request.client else "", study)
        new_file = partial(PostedFile, self._spool, self._reception, sender)
        return StoreBody(request.headers.get("content-type", ""), new_file)

    def _is_full(self) -> bool:
        return self._spool.free_bytes() < self._spool.min_free_bytes

    async def _take(self, request: Request, body: StoreBody, name: str) -> int:
        """Read a body to its end; a status of HTTP where that cannot be reached, or 0."""
        told = log.bind(ae_title=name, address=request.client.host if request.client else "")
        status, reason = 0, ""
        try:
            await self._read(request, body)
            await self._in_thread(body.end)
        except UnfitError as error:
            status, reason = error.status, str(error)
        except TimeoutError:
            status, reason = _TIMEOUT, f"nothing came for {self._limits.idle_seconds:g} s"
        except ClientDisconnect:
            status, reason = _BAD, "the connection was closed before the end"
        finally:
            await self._in_thread(body.discard)
        if reason:
            body.faults.insert(0, reason)
            told.warning("web request not read to its end", reason=reason, whole=len(body.outcomes))
        elif body.faults:
            told.warning("instances of a web request refused", reasons=sorted(set(body.faults)))
        return status

    async def _read(self, request: Request, body: StoreBody) -> None:
        """Hand the body over as it comes. Raises UnfitError, TimeoutError, ClientDisconnect."""
        length, pieces = 0, request.stream()
        while True:
            async with asyncio.timeout(self._limits.idle_seconds):
                piece = await anext(pieces, None)
            if piece is None:
                return
            length += len(piece)
            if length > self._limits.request_bytes:
                raise UnfitError(_TOO_LONG, f"a request may have {self._limits.request_bytes} bytes")
            await self._in_thread(body.write, piece)

    async def _in_thread(self, work: Callable[..., T], *words: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *words)


def _answer(body: StoreBody, status: int, media_type: str) -> Response:
    """What became of each instance; where the body had no end, what came whole is stored in spite of that."""
    found = http_status(body.outcomes)
    if status:
        stored = any(not each.status for each in body.outcomes)
        found = status if status == _TOO_LONG or not stored else 202
    headers = {"Retry-After": str(RETRY_SECONDS)} if found == _BUSY else {}
    return Response(written(body.outcomes, media_type), found, headers, media_type)


def _said(status: int, words: str, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(words + "\n", status, dict(headers or {}))
