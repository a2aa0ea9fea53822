"""What holds for every request and answer, whoever asks: which name is called, what a browser may do.

A page of somebody else must neither read this one nor act through it:

- A request has to call this machine by an address or by a name that it knows, so that no name of a stranger
  leads here (DNS rebinding).
- What changes something has to bear a token of its own, or the header that only our page sends, and the
  Origin of our page: a form or an image elsewhere can do neither.
- Nothing is loaded from elsewhere, nothing here is framed, and no answer is kept in a cache.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from casgan_dicom.node.addresses import as_address
from casgan_dicom.node.settings import PageSettings
from casgan_dicom.node.web.refusal import FORBIDDEN, MISDIRECTED, RefusedError, told

PAGE_HEADER = "X-Casgan-Page"
"""What our page sends with every request; no form can."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SAFE = ("GET", "HEAD")


class Guard:
    """Stands before an application.

    Parameters
    ----------
    app
        What answers.
    page
        Says by which names this machine may be called.
    """

    def __init__(self, app: ASGIApp, page: PageSettings) -> None:
        self._app = app
        self._names = {"localhost", page.host.lower(), *(name.lower() for name in page.names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        try:
            self._check(scope["method"], Headers(scope=scope))
        except RefusedError as refused:
            await told(refused)(scope, receive, sealed)
        else:
            await self._app(scope, receive, sealed)

    def _check(self, method: str, headers: Headers) -> None:
        """Raise RefusedError where a page of somebody else may be behind it."""
        host = headers.get("host", "")
        name = _name_in(host)
        if as_address(name) is None and name.lower() not in self._names:
            hint = "call it by its address, or add the name to `names` of [page]"
            raise RefusedError(MISDIRECTED, "this machine is not known by that name", hint)
        if method in _SAFE or "authorization" in headers:
            return
        if PAGE_HEADER not in headers or headers.get("origin", "").partition("://")[2] != host:
            hint = "programs send a token: Authorization: Bearer"
            raise RefusedError(FORBIDDEN, "only the page itself may do this without a token", hint)


def _name_in(host: str) -> str:
    """Name or address of a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
