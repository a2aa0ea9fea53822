"""What is sent with a request: a little JSON, or one file, never more of either than is allowed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from casgan_dicom.node.web.refusal import BAD, NO_LENGTH, TIMEOUT, TOO_LONG, RefusedError

_MOST_JSON = 64 * 1024


async def json_of(request: Request, idle_seconds: float) -> object:
    """The JSON of a request. Raises RefusedError."""
    content = b"".join([piece async for piece in _pieces(request, _MOST_JSON, idle_seconds)])
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RefusedError(BAD, "the body is no JSON") from error


def length_of(request: Request, most: int) -> int:
    """How long a request says that its file is. Raises RefusedError where it does not, or is too long."""
    given = request.headers.get("content-length", "")
    if not (given.isascii() and given.isdigit()):
        raise RefusedError(NO_LENGTH, "a file is sent with its length", "send Content-Length")
    length = int(given[:20])
    if length > most:
        raise RefusedError(TOO_LONG, f"a file may have {most} bytes", "`max_trial_bytes` of [page] says so")
    return length


async def write_file(request: Request, path: Path, most: int, idle_seconds: float) -> None:
    """Write the body of a request to a new file. Raises RefusedError and OSError."""
    with path.open("xb") as file:
        async for piece in _pieces(request, most, idle_seconds):
            await run_in_threadpool(file.write, piece)


async def _pieces(request: Request, most: int, idle_seconds: float) -> AsyncIterator[bytes]:
    length, pieces = 0, request.stream()
    while True:
        try:
            async with asyncio.timeout(idle_seconds):
                piece = await anext(pieces, None)
        except TimeoutError as error:
            raise RefusedError(TIMEOUT, f"nothing came for {idle_seconds:g} s") from error
        except ClientDisconnect as error:
            raise RefusedError(BAD, "the connection was closed before the end") from error
        if piece is None:
            return
        length += len(piece)
        if length > most:
            raise RefusedError(TOO_LONG, f"a body may have {most} bytes")
        yield piece
