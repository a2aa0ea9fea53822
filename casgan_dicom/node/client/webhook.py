"""Messages to a web service that tells people: a JSON object with a text, as chat programs take it.

With many of them the address itself is a secret, so no message of ours says more of it than the host.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.login import Login, secret_in
from casgan_dicom.node.client.web import Web
from casgan_dicom.node.client.web_session import opened
from casgan_dicom.node.notification_rules import is_private, wrong_url
from casgan_dicom.node.settings import NotificationSettings

_HEADERS = {"Content-Type": "application/json", "Accept": "*/*"}
_OTHER = "its log may say why"
_REFUSALS: Mapping[int, tuple[str, str]] = {
    400: ("does not understand the message", "check that it takes JSON with a text, see docs/operations.md"),
    401: ("wants a token, or another one", "check token_file"),
    403: ("does not let us post", "check token_file, and url or url_file"),
    404: ("is not there", "check the path in url or url_file"),
    405: ("takes no POST", "check the path in url or url_file"),
    407: ("is behind a proxy that wants a login", "put user and password into HTTPS_PROXY"),
    410: ("is there no more", "have a new address made, and put it into url or url_file"),
    429: ("has had too many messages", "it is tried again later"),
}
"""Statuses of HTTP, in words, and what to do."""


@dataclass(frozen=True)
class _Hook(Web):
    """A web service whose address is not to be told."""

    name: str = ""

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return f"{self.name} ({parts.scheme}://{parts.hostname})"


def post_message(settings: NotificationSettings, message: Mapping[str, Any]) -> str:
    """Post a message; what came back, in words. Raises PeerError where it was not taken."""
    hook, content = _hook(settings), json.dumps(message, ensure_ascii=False).encode()
    with opened(hook) as session:
        answer = session.post(_HEADERS, len(content), [content])
    if 200 <= answer.status < 300:
        return f"HTTP {answer.status}"
    if 300 <= answer.status < 400:
        raise PeerError(
            f"{hook} sends us elsewhere ({answer.status}); redirects are not followed",
            hint="put the address that is right into url or url_file",
        )
    said, hint = _REFUSALS.get(answer.status, ("has a fault of its own", _OTHER))
    raise PeerError(f"{hook} {said} ({answer.status})", hint=hint)


def _hook(settings: NotificationSettings) -> _Hook:
    url = settings.url
    if settings.url_file is not None:
        url = secret_in(settings.url_file, "url_file")
        if wanted := wrong_url(url):
            raise PeerError(f"url_file {settings.url_file}: the first line is no address, want {wanted}")
    if settings.token_file is not None and not is_private(url):
        raise PeerError("token_file is set and the address begins with http:, want https")
    return _Hook(
        url=url,
        login=Login(token_file=settings.token_file),
        ca_file=Path(settings.tls_authorities).expanduser() if settings.tls_authorities else None,
        proxy=settings.proxy,
        connect_seconds=settings.response_seconds,
        response_seconds=settings.response_seconds,
        name=settings.name,
    )
