"""Who asks: the holder of a bearer token, or of a session that began with one. Nobody else gets in."""

from __future__ import annotations

import math

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from casgan_dicom.node.door.refusals import Refusal, Refusals
from casgan_dicom.node.settings import PageSettings
from casgan_dicom.node.state.audit import Audit
from casgan_dicom.node.web.attempts import Attempts
from casgan_dicom.node.web.holders import Holder, Holders, Role
from casgan_dicom.node.web.refusal import FORBIDDEN, TOO_MANY, UNKNOWN, RefusedError
from casgan_dicom.node.web.sessions import Sessions

_COOKIE = "casgan_session"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="casgan-dicom page"'}


class Entrance:
    """Lets in who has a token; for one thread.

    Parameters
    ----------
    page
        Of the settings.
    holders
        Who has a token.
    refusals
        Where it is told who has none.
    audit
        Where it is told who logged in.
    """

    def __init__(self, page: PageSettings, holders: Holders, refusals: Refusals, audit: Audit) -> None:
        self._holders, self._refusals, self._audit = holders, refusals, audit
        self._sessions, self._attempts = Sessions(page.session_seconds), Attempts()
        self._seconds = int(page.session_seconds)
        self._is_secure = bool(page.tls_certificate)

    def who(self, request: Request, role: Role = "look") -> Holder:
        """Who asks, and may do what takes this role. Raises RefusedError."""
        given = request.headers.get("authorization", "")
        holder = self._holder_of(_bearer(given), request) if given else self._in_session(request)
        if holder is None:
            raise RefusedError(
                UNKNOWN, "a token is needed", "log in, or send Authorization: Bearer", _CHALLENGE
            )
        if not holder.may(role):
            raise RefusedError(FORBIDDEN, "your token may look, and not act", "ask for one with the role act")
        return holder

    def log_in(self, request: Request, token: str) -> Response:
        """Begin a session for a token. Raises RefusedError."""
        holder = self._holder_of(token.strip(), request)
        if holder is None:
            raise RefusedError(UNKNOWN, "this token is not known", "the file of tokens says which are")
        self._audit.logged_in(holder.name, _address(request))
        answer = JSONResponse({"name": holder.name, "role": holder.role})
        self._set(answer, self._sessions.begin(token.strip()), self._seconds)
        return answer

    def log_out(self, request: Request) -> Response:
        """End the session of a browser."""
        self._sessions.end(self._number(request))
        answer = Response(status_code=204)
        self._set(answer, "", 0)
        return answer

    def _holder_of(self, token: str, request: Request) -> Holder | None:
        """Who has a token; None if nobody has, and that is counted. Raises RefusedError after too many."""
        address = _address(request)
        if wait := self._attempts.wait_seconds(address):
            seconds = math.ceil(wait)
            headers = {"Retry-After": str(seconds)}
            raise RefusedError(
                TOO_MANY, "too many wrong tokens from here", f"wait {seconds} seconds", headers
            )
        holder = self._holders.holder_of(token)
        if holder is None:
            self._attempts.failed(address)
            self._refusals.note(Refusal("login", "its token is not known", address), "web request refused")
        return holder

    def _in_session(self, request: Request) -> Holder | None:
        token = self._sessions.token_of(self._number(request))
        return self._holders.holder_of(token)

    def _number(self, request: Request) -> str:
        return request.cookies.get(self._name, "")

    @property
    def _name(self) -> str:
        return f"__Host-{_COOKIE}" if self._is_secure else _COOKIE

    def _set(self, answer: Response, number: str, seconds: int) -> None:
        answer.set_cookie(
            self._name,
            number,
            max_age=seconds,
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="strict",
        )


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
