"""Why a request gets no answer: its status of HTTP, what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from casgan_dicom.errors import CasganError, ConfigError, SeriesError, WeightsError
from casgan_dicom.log import get_logger
from casgan_dicom.node.state.ledger import LedgerError

BAD, UNKNOWN, FORBIDDEN, ABSENT, TIMEOUT = 400, 401, 403, 404, 408
CONFLICT, NO_LENGTH, TOO_LONG, MISDIRECTED, TOO_MANY, BUSY = 409, 411, 413, 421, 429, 503
"""Statuses of HTTP."""

log = get_logger("page")


class RefusedError(Exception):
    """A request that gets no answer; no patient data in what is said."""

    def __init__(
        self, status: int, said: str, hint: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(said)
        self.status = status
        """Of HTTP."""
        self.said = said
        """What is wrong."""
        self.hint = hint
        """What to do about it; empty if nothing can be."""
        self.headers = dict(headers or {})
        """Further headers of the answer."""


def told(refused: RefusedError) -> Response:
    """The answer that says it."""
    content = {"error": refused.said, "hint": refused.hint}
    return JSONResponse(content, refused.status, headers=refused.headers)


async def on_refused(_request: Request, error: Exception) -> Response:
    """Answer for an exception, whatever it is: what nobody foresaw is told in the log alone."""
    return told(_as_refused(error))


def _as_refused(error: Exception) -> RefusedError:
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, LedgerError):
        log.exception("ledger cannot be used for the page", error=error)
        return RefusedError(
            BUSY, "the ledger cannot be read or written now", "look at the disk of the data folder"
        )
    if isinstance(error, SeriesError):
        return RefusedError(CONFLICT, error.message, error.hint)
    if isinstance(error, ConfigError | WeightsError):
        return RefusedError(BAD, error.message, error.hint)
    if isinstance(error, CasganError):
        return RefusedError(CONFLICT, error.message, error.hint)
    log.exception("request of the page failed", error=error)
    return RefusedError(500, "internal error", "look into the log of the node")
