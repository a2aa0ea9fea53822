"""Lets requests through to another application, if who asks may look."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from casgan_dicom.node.web.entrance import Entrance
from casgan_dicom.node.web.refusal import RefusedError, told


class Gate:
    """Stands before an application that asks nobody for a token.

    Parameters
    ----------
    app
        What answers.
    entrance
        Says who may look.
    """

    def __init__(self, app: ASGIApp, entrance: Entrance) -> None:
        self._app, self._entrance = app, entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        request = Request(scope)
        try:
            self._entrance.who(request)
        except RefusedError as refused:
            await told(refused)(scope, receive, send)
            return
        request.state.visitor.stay()
        await self._app(scope, receive, send)
