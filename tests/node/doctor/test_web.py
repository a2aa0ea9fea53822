"""Web services that answer, and each way in which they do not: the key that has to be changed is named."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import time

import pytest

from casgan_dicom.node.doctor.finding import Finding, Verdict
from casgan_dicom.node.doctor.web import look_at_dicomweb, look_at_stow
from casgan_dicom.node.settings import ArchiveSettings, DestinationSettings, NodeSettings
from tests.node.doctor.looking import bad, one
from tests.node.secure import Authority, Pair, server
from tests.support.orthanc import free_ports

TOKEN = "letmein"


class Service:
    """What a server answers, and what it was asked."""

    def __init__(self) -> None:
        self.options = self.get = 200
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        self.authorisations: list[str | None] = []
        self.url = ""


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Service]:
    """A server on this machine, for the time of a block."""
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, status: int) -> None:
            service.asked.append((self.command, self.path))
            service.authorisations.append(self.headers.get("Authorization"))
            self.send_response_only(status)
            for name, value in (
                {"Date": formatdate(usegmt=True), "Content-Length": "0"} | service.headers
            ).items():
                self.send_header(name, value)
            self.end_headers()

        def do_OPTIONS(self) -> None:
            self._answer(service.options)

        def do_GET(self) -> None:
            self._answer(service.get)

        def do_POST(self) -> None:
            self._answer(500)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Nothing: clients that do not believe the certificate go."""

    http = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        http.socket = tls.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    scheme = "http" if tls is None else "https"
    service.url = f"{scheme}://localhost:{http.server_address[1]}/dicom-web/studies"
    thread = threading.Thread(target=http.serve_forever, args=[0.02])
    thread.start()
    try:
        yield service
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    """A server that lets everybody in."""
    with serving() as running:
        yield running


def stow(url: str, **keys: object) -> NodeSettings:
    """A node with a destination over the web."""
    place = DestinationSettings("web", kind="stow", url=url, **keys)  # type: ignore[arg-type]
    return NodeSettings(destinations=(place,))


def look(url: str, **keys: object) -> list[Finding]:
    """What is found of a destination."""
    return list(look_at_stow(stow(url, **keys), 1, 5))


def test_a_server_that_answers_is_well_and_nothing_is_posted(service: Service) -> None:
    assert bad(look(service.url)) == {}
    assert service.asked == [("OPTIONS", "/dicom-web/studies"), ("GET", "/dicom-web/studies?limit=1")]


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_that_knows_no_options_is_there(service: Service, status: int) -> None:
    service.options = status

    assert bad(look(service.url)) == {}


@pytest.mark.parametrize(
    ("status", "about"),
    [
        (401, "destinations#1.user"),
        (403, "destinations#1.user"),
        (400, "destinations#1.url"),
        (301, "destinations#1.url"),
        (307, "destinations#1.url"),
        (500, "destinations#1"),
        (503, "destinations#1"),
    ],
)
def test_each_refusal_names_the_key(service: Service, status: int, about: str) -> None:
    service.options = status
    service.headers = {"Location": "https://elsewhere.example/studies"}

    found = one(look(service.url))

    assert (found.verdict, found.about) == (Verdict.FAIL, about)
    assert f"({status})" in found.text
    assert found.advice


def test_an_address_at_which_nothing_is_there_is_the_fault_of_url(service: Service) -> None:
    service.options = service.get = 404

    assert bad(look(service.url)) == {"destinations#1.url": Verdict.FAIL}


def test_a_token_that_is_no_good_is_the_fault_of_token_file(service: Service, tmp_path: Path) -> None:
    service.options = 401
    (token := tmp_path / "token").write_text(f"{TOKEN}\n")

    found = one(look(service.url, token_file=token))

    assert (found.verdict, found.about) == (Verdict.FAIL, "destinations#1.token_file")
    assert service.authorisations == [f"Bearer {TOKEN}"]
    assert TOKEN not in str(found)


def test_a_login_that_is_asked_for_later_is_a_warning(service: Service) -> None:
    service.get = 401

    assert bad(look(service.url)) == {"destinations#1.user": Verdict.WARN}


@pytest.mark.parametrize("status", [404, 405, 500])
def test_a_server_that_stores_and_answers_no_queries_is_well(service: Service, status: int) -> None:
    service.get = status

    assert bad(look(service.url)) == {}


@pytest.mark.parametrize(
    ("keys", "about"),
    [
        ({"token_file": Path("/nowhere/token")}, "token_file"),
        ({"user": "us", "password_file": Path("/nowhere/password")}, "password_file"),
        ({"user": "us", "password_variable": "NOBODY_SETS_THIS"}, "password_variable"),
    ],
)
def test_a_secret_that_cannot_be_read_is_told_by_its_key(
    service: Service, keys: Mapping[str, object], about: str
) -> None:
    assert bad(look(service.url, **keys)) == {f"destinations#1.{about}": Verdict.FAIL}
    assert service.asked == []


@pytest.mark.parametrize("offset", [-3600, 90])
def test_a_clock_that_differs_is_a_warning(service: Service, offset: int) -> None:
    service.headers = {"Date": formatdate(time() + offset, usegmt=True)}

    assert bad(look(service.url)) == {"destinations#1": Verdict.WARN}


def test_a_date_that_is_none_says_nothing(service: Service) -> None:
    service.headers = {"Date": "yesterday"}

    assert bad(look(service.url)) == {}


def test_a_closed_port_and_an_unknown_host_are_the_fault_of_url() -> None:
    (port,) = free_ports(1)

    for url in (f"http://127.0.0.1:{port}/studies", "https://no-such-host.invalid/studies"):
        assert bad(look(url)) == {"destinations#1.url": Verdict.FAIL}


def test_a_server_that_stays_silent_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings = stow(f"http://127.0.0.1:{silent.getsockname()[1]}/studies", response_seconds=3600)

        assert bad(look_at_stow(settings, 1, 0.5)) == {"destinations#1.url": Verdict.FAIL}


def test_a_certificate_of_another_authority_is_the_fault_of_tls_authorities(
    authority: Authority, node: Pair, tmp_path: Path
) -> None:
    stranger = Authority.make(tmp_path, "stranger")
    context = server(authority, node)
    context.verify_mode = ssl.CERT_NONE
    with serving(context) as service:
        right = look(service.url, tls_authorities=str(authority.certificate))
        wrong = look(service.url, tls_authorities=str(stranger.certificate))

    assert bad(right) == {}
    assert bad(wrong) == {"destinations#1.tls_authorities": Verdict.FAIL}


class TestArchive:
    """Archives that are asked over the web."""

    def look(self, url: str) -> list[Finding]:
        """What is found of one."""
        archive = ArchiveSettings("web", kind="dicomweb", url=url)
        return list(look_at_dicomweb(NodeSettings(archives=(archive,)), 1, 5))

    @pytest.mark.parametrize("status", [200, 204])
    def test_one_that_answers_queries_is_well(self, service: Service, status: int) -> None:
        service.get = status

        assert bad(self.look(service.url.removesuffix("/studies"))) == {}
        assert service.asked == [("GET", "/dicom-web/studies?limit=1")]

    @pytest.mark.parametrize(
        ("status", "about"),
        [
            (401, "archives#1.user"),
            (403, "archives#1.user"),
            (404, "archives#1.url"),
            (302, "archives#1.url"),
        ],
    )
    def test_each_refusal_names_the_key(self, service: Service, status: int, about: str) -> None:
        service.get = status

        assert bad(self.look(service.url)) == {about: Verdict.FAIL}
