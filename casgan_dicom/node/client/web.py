"""A web service to store at, and in plain words why it does not take what we bring.

The first hour with a new archive goes into a wrong address, certificate or login, so each sentence names the
URL, and each hint the key to change.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.login import Login
from casgan_dicom.node.client.results import BusyError

LONGEST_BUSY_SECONDS = 3600.0
"""Longest wait that a server can ask for."""
ASK = "check that url is that of a STOW-RS service; its log may say more"
_BUSY = (429, 503)


@dataclass(frozen=True)
class Web:
    """A web service, and how it is talked to."""

    url: str
    """What requests are made to."""
    login: Login
    """Who we are there."""
    ca_file: Path | None = None
    """Authority of its certificate; None for those that the system trusts."""
    certificate_file: Path | None = None
    """Our certificate."""
    key_file: Path | None = None
    """Its private key; None if that is in the same file."""
    proxy: bool = False
    """Whether the proxies of the environment hold."""
    connect_seconds: float = 10.0
    """For the TCP connection, and again for TLS."""
    response_seconds: float = 60.0
    """For the answer once the request is on its way, and for any pause in sending it."""

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    """Of HTTP."""
    media_type: str = ""
    """Of the content, in lower case, without parameters; empty if it says none."""
    content: bytes = b""
    """What it says."""
    location: str = ""
    """Where it sends us instead; empty if nowhere."""
    retry_after: str = ""
    """When it wants to be asked again, as it says it; empty if it does not."""
    date: str = ""
    """When it answered, by its own clock and in its own words; empty if it does not say."""


def refusal(
    web: Web, answer: Answer, now: float, words: Mapping[int, tuple[str, str]] | None = None
) -> PeerError:
    """An answer that says nothing of single instances: what is to be changed, or to be waited for.

    `words` say what statuses mean where not instances were to be stored.
    """
    status = answer.status
    if 300 <= status < 400:
        return PeerError(
            f"{web} sends us elsewhere ({status}): {_place(answer.location)}; redirects are not followed",
            hint="put the address that is right into url",
            field="url",
        )
    if status in _BUSY:
        seconds = busy_seconds(answer.retry_after, now)
        return BusyError(f"{web} is busy ({status})", hint="it is tried again later", seconds=seconds)
    said, hint = (_REFUSALS if words is None else words).get(status, ("", ""))
    if not said and status >= 500:
        said, hint = "has a fault of its own", "its log may say why"
    ask = ASK if words is None else FETCHING[404][1]
    field = _of_login(web) if status in _ON_LOGIN else "url" if status in _ON_URL else ""
    return PeerError(f"{web} {said or 'answers'} ({status})", hint=hint or ask, field=field)


_ON_LOGIN, _ON_URL = (401, 403), (400, 404, 405)
"""Statuses that speak of who we are, and of where we ask."""


def _of_login(web: Web) -> str:
    """The key of who we say that we are."""
    return "token_file" if web.login.token_file is not None else "user"


FETCHING: Mapping[int, tuple[str, str]] = {
    400: ("does not understand the question", "its log may say why"),
    401: ("wants a login, or another one", "check user and password, or token_file"),
    403: ("does not let us fetch", "give our user the right to read there, or use another user or token"),
    404: ("is not there", "check url: it is what stands before /studies"),
    406: ("has no form that we take", "let it give DICOM JSON, and instances as application/dicom"),
    407: ("is behind a proxy that wants a login", "put user and password into HTTPS_PROXY"),
}
"""Statuses of HTTP where something was asked for, in words, and what to do."""

_REFUSALS: Mapping[int, tuple[str, str]] = {
    400: ("does not understand the request", "check that url ends with /studies, or ask who makes it"),
    401: ("wants a login, or another one", "check user and password, or token_file"),
    403: ("does not let us store", "give our user the right to store there, or use another user or token"),
    404: ("is not there", "check the path of url: it ends with /studies"),
    405: ("takes no POST", "check the path of url: it ends with /studies"),
    406: ("answers neither in DICOM JSON nor in DICOM XML", "let it answer in one of these"),
    407: ("is behind a proxy that wants a login", "put user and password into HTTPS_PROXY"),
    409: ("stored nothing, and does not say why", "its log may say why"),
}
"""Statuses of HTTP, in words, and what to do."""


def busy_seconds(retry_after: str, now: float) -> float:
    """How long a server wants to be left alone: seconds or a date (RFC 9110 10.2.3); 0 if it does not say."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), LONGEST_BUSY_SECONDS)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_BUSY_SECONDS)


def failure(web: Web, error: Exception) -> PeerError:
    """Why a request has no answer, by what the HTTP client raised."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return _no_tls(web, cause)
    if isinstance(error, httpx.ConnectError):
        return _unreachable(web, causes)
    said, hint = next(
        (words(web) for kind, words in _FAILURES.items() if isinstance(error, kind)),
        (f"broke off its answer, or does not speak HTTP ({type(error).__name__})", "check the port in url"),
    )
    return PeerError(f"{web} {said}", hint=hint, field="url")


_FAILURES: Mapping[type[Exception], Callable[[Web], tuple[str, str]]] = {
    httpx.ConnectTimeout: lambda web: (
        f"cannot be reached within {web.connect_seconds:g} s",
        "check host and port, and whether a firewall lies between, or a proxy has to be used",
    ),
    httpx.ReadTimeout: lambda web: (
        f"gave no answer within {web.response_seconds:g} s",
        "its log may say why; response_seconds is how long we wait",
    ),
    httpx.WriteTimeout: lambda web: (
        f"took nothing within {web.response_seconds:g} s",
        "its log may say why; response_seconds is how long we wait",
    ),
    httpx.ProxyError: lambda _: (
        "cannot be reached through the proxy of the environment",
        "check HTTPS_PROXY, or set proxy = false",
    ),
    httpx.NetworkError: lambda _: ("closed the connection before it answered", "its log may say why"),
}
"""What the HTTP client raises, in words, and what to do; the first that fits."""


def _unreachable(web: Web, causes: list[BaseException]) -> PeerError:
    for cause in causes:
        if isinstance(cause, socket.gaierror | UnicodeError):
            host = urlsplit(web.url).hostname
            hint = "check the spelling of the host in url"
            return PeerError(f"{web}: host '{host}' is unknown", hint=hint, field="url")
        if isinstance(cause, ConnectionRefusedError):
            return PeerError(
                f"{web}: the port is closed (connection refused)",
                hint="check the port in url, and that the server is running",
                field="url",
            )
    said = next((reason(each) for each in causes if isinstance(each, OSError)), "no reason given")
    return PeerError(f"{web}: no connection ({said})", hint="check host and port in url", field="url")


def _no_tls(web: Web, error: ssl.SSLError) -> PeerError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return PeerError(
            f"{web}: its certificate is not one to trust ({error.verify_message})",
            hint="name its authority in tls_authorities; the certificate must hold the host in url",
            field="tls_authorities",
        )
    return PeerError(
        f"{web}: no encrypted connection ({reason(error)})",
        hint="check the port in url, and tls_certificate if the server wants our certificate",
        field="url",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what it comes from, and so on."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def reason(error: OSError) -> str:
    """What the system, or TLS, says of a fault."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason).lower().replace("_", " ")
    return error.strerror or type(error).__name__


def _place(location: str) -> str:
    """Where a redirect leads, without what may be a secret in it."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "nowhere"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200] if parts.netloc else "here"
