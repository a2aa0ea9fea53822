"""Requests to a web service, each of them bounded in time, and in what comes back.

Redirects are not followed: a login, and patient data, go where the configuration says and nowhere else.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic

import httpx

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.web import ASK, Answer, Web, failure, reason

MOST_ANSWERED = 4 * 1024 * 1024
"""Longest answer in bytes; what is said of a thousand instances takes a quarter of that."""


@contextmanager
def opened(web: Web) -> Iterator[Session]:
    """Requests for the time of a block, over one connection if the server lets it stay open.

    Raises PeerError where certificates or keys of ours cannot be used.
    """
    timeout = httpx.Timeout(web.response_seconds, connect=web.connect_seconds, pool=None)
    with httpx.Client(verify=_tls(web), trust_env=web.proxy, timeout=timeout) as client:
        yield Session(web, client)


class Session:
    """Requests to a service, one after the other; `opened` makes one."""

    def __init__(self, web: Web, client: httpx.Client) -> None:
        self._web = web
        self._client = client

    def post(self, headers: Mapping[str, str], length: int, body: Iterable[bytes]) -> Answer:
        """Post a body of `length` bytes, which is never held in memory, and return the answer.

        Raises PeerError where none comes, or none that can be read.
        """
        told = {**headers, **self._web.login.headers(), "Content-Length": str(length)}
        told["Accept-Encoding"] = "identity"  # what is packed may be far longer than it looks
        try:
            with self._client.stream("POST", self._web.url, content=body, headers=told) as response:
                return self._answer(response, self._content(response))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure(self._web, error) from error

    def options(self) -> Answer:
        """Ask what the service takes (RFC 9110 9.3.7), and do nothing there; raises PeerError as `post`."""
        try:
            with self._client.stream("OPTIONS", self._web.url, headers=self._web.login.headers()) as response:
                return self._answer(response, b"")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure(self._web, error) from error

    def get(self, path: str, query: Mapping[str, str], accept: str) -> Answer:
        """Ask for something short, below the address of the service; raises PeerError as `post`."""
        with self.fetching(path, accept, query) as response:
            return self._answer(response, self._content(response))

    @contextmanager
    def fetching(
        self, path: str, accept: str, query: Mapping[str, str] | None = None
    ) -> Iterator[httpx.Response]:
        """Ask for something long: the block reads it. Raises PeerError as `post`, in the block too."""
        told = {**self._web.login.headers(), "Accept": accept, "Accept-Encoding": "identity"}
        url = self._web.url.rstrip("/") + path
        try:
            with self._client.stream("GET", url, params=query, headers=told) as response:
                self._check_plain(response)
                yield response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure(self._web, error) from error

    def refused(self, response: httpx.Response) -> Answer:
        """What a response says that brings nothing."""
        return self._answer(response, b"")

    def _answer(self, response: httpx.Response, content: bytes) -> Answer:
        found = response.headers
        return Answer(
            status=response.status_code,
            media_type=found.get("content-type", "").split(";")[0].strip().lower(),
            content=content,
            location=found.get("location", ""),
            retry_after=found.get("retry-after", ""),
            date=found.get("date", ""),
        )

    def _check_plain(self, response: httpx.Response) -> None:
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise PeerError(f"{self._web} packs its answer, though asked not to", hint=ASK)

    def _content(self, response: httpx.Response) -> bytes:
        web, content = self._web, bytearray()
        deadline = monotonic() + web.response_seconds
        self._check_plain(response)
        for piece in response.iter_raw():
            content += piece
            if len(content) > MOST_ANSWERED:
                raise PeerError(f"{web} answers with more than {MOST_ANSWERED} bytes", hint=ASK)
            if monotonic() > deadline:
                raise PeerError(f"{web} did not end its answer within {web.response_seconds:g} s", hint=ASK)
        return bytes(content)


def _tls(web: Web) -> ssl.SSLContext:
    """How certificates are checked: PeerError if a file of ours cannot be used."""
    files = [path for path in (web.ca_file, web.certificate_file, web.key_file) if path is not None]
    try:
        context = ssl.create_default_context(cafile=web.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if web.certificate_file is not None:
            context.load_cert_chain(web.certificate_file, web.key_file, password=_no_password)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        said = reason(error) if isinstance(error, OSError) else str(error)
        raise PeerError(
            f"{web}: {', '.join(map(str, files))} cannot be used ({said})",
            hint="tls_authorities, tls_certificate and tls_key are PEM files that the node's user can read",
        ) from error
    return context


def _no_password() -> str:
    """Instead of a question at the terminal."""
    raise ValueError("the key is encrypted, want one that is not")
