"""Who gets in at the page, and what a browser may be made to do by a page of somebody else."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from casgan_dicom.node.web.attempts import MOST
from casgan_dicom.node.web.guard import POLICY
from tests.node.listening import rows_of, wait_for
from tests.node.looking import ACT, LOOK, Filled, Looking, fill, fill_with_cine, looking, page_settings
from tests.node.secure import Authority, Pair

OPEN = ("/healthz", "/login", "/static/style.css", "/static/main.js")
"""What needs no token; and ``/readyz``, whose status depends on the node."""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Looking]:
    with looking(page_settings(tmp_path / "node", names=("node.example",))) as running:
        yield running


@pytest.fixture
def filled(page: Looking) -> Filled:
    return fill(page.layout, page.ledger)


@contextmanager
def logged_in(page: Looking, token: str = ACT) -> Iterator[httpx.Client]:
    """A browser that has shown a token."""
    headers = {"X-Casgan-Page": "1", "Origin": page.url}
    with httpx.Client(base_url=page.url, headers=headers, timeout=60, trust_env=False) as client:
        answer = client.post("/login", json={"token": token})
        assert answer.status_code == 200, answer.text
        yield client


@pytest.mark.parametrize("path", OPEN)
def test_some_paths_need_no_token(page: Looking, path: str) -> None:
    assert page.ask("GET", path, token="").status_code == 200


def test_readiness_is_told_to_everybody(page: Looking) -> None:
    assert page.ask("GET", "/readyz", token="").status_code == 503  # no node holds the folder


@pytest.mark.parametrize("token", ["", "wrong", ACT[:-1], f"{ACT}x"])
@pytest.mark.parametrize("path", ["/api/v1/status", "/api/v1/openapi.json", "/api/v1/jobs", "/api/v1/self"])
def test_without_a_known_token_nothing_is_answered(page: Looking, path: str, token: str) -> None:
    answer = page.ask("GET", path, token)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json().keys() == {"error", "hint"}


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs/1", "/troubles", "/peers", "/rules"])
def test_a_page_sends_strangers_to_the_login(page: Looking, path: str) -> None:
    answer = page.ask("GET", path, token="")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")


def test_the_cines_of_a_job_are_there_for_who_may_look(page: Looking, tmp_path: Path) -> None:
    job = fill_with_cine(tmp_path / "made", page)
    item = f"/player/items/{job}"

    for path in (item, f"{item}/0/source/frames/0-1", "/player/static/player.js"):
        assert page.ask("GET", path, token="").status_code == 401
        assert page.ask("GET", path, LOOK).status_code == 200
    assert page.ask("GET", "/player/items/absent").status_code == 404


def test_what_the_node_can_be_measured_by_takes_a_token(page: Looking) -> None:
    answer = page.ask("GET", "/metrics", LOOK)

    assert page.ask("GET", "/metrics", token="").status_code == 401
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert any(name.startswith("casgan") for name in families)


def test_no_path_leads_out_of_what_is_served(page: Looking) -> None:
    for path in (
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/pages/",
        "/docs",
    ):
        assert page.ask("GET", path, token="").status_code == 404


def test_a_login_begins_a_session_in_a_cookie_that_no_script_can_read(page: Looking) -> None:
    with logged_in(page) as browser:
        assert browser.get("/api/v1/self").json() == {"name": "anna", "role": "act"}
        cookie = browser.post("/login", json={"token": LOOK}).headers["Set-Cookie"]

    parts = [part.strip().lower() for part in cookie.split(";")]
    assert {"httponly", "samesite=strict", "path=/", "max-age=28800"} <= set(parts)
    assert "secure" not in parts  # without TLS it would not come back
    assert ACT not in cookie


def test_who_logs_out_is_out(page: Looking) -> None:
    with logged_in(page) as browser:
        kept = dict(browser.cookies)
        assert browser.post("/logout").status_code == 204
        assert browser.get("/api/v1/self").status_code == 401
        browser.cookies.update(kept)
        assert browser.get("/api/v1/self").status_code == 401


def test_a_session_ends_when_its_token_is_taken_out_of_the_file(page: Looking, tmp_path: Path) -> None:
    with logged_in(page) as browser:
        (tmp_path / "tokens").write_text(f"wallboard look {LOOK}\n")
        assert browser.get("/api/v1/self").status_code == 401
    assert page.ask("GET", "/api/v1/self").status_code == 401
    assert page.get("/self", LOOK) == {"name": "wallboard", "role": "look"}


def test_a_session_is_over_after_its_time(tmp_path: Path) -> None:
    settings = page_settings(tmp_path / "node", session_seconds=0.5)
    with looking(settings) as page, logged_in(page) as browser:
        number = dict(browser.cookies)

        def is_over() -> bool:
            browser.cookies.update(number)  # the browser itself forgets it as well
            return browser.get("/api/v1/self").status_code == 401

        wait_for(is_over, "the end of the session")


@pytest.mark.parametrize("how", ["login", "bearer"])
def test_after_too_many_wrong_tokens_none_is_looked_at(page: Looking, how: str) -> None:
    with logged_in(page) as browser:
        for number in range(MOST):
            guess = f"wrong-token-number-{number}"
            if how == "login":
                assert browser.post("/login", json={"token": guess}).status_code == 401
            else:
                assert page.ask("GET", "/api/v1/self", guess).status_code == 401
        refused = browser.post("/login", json={"token": ACT})
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert page.ask("GET", "/api/v1/self").status_code == 429
        assert browser.get("/api/v1/self").status_code == 200  # who is in stays in


def test_who_is_not_let_in_is_counted(page: Looking) -> None:
    page.ask("GET", "/api/v1/self", "wrong-token-of-somebody")

    wait_for(lambda: rows_of(page.layout, "rejections"), "the count")
    assert [(row["reason"], row["count"]) for row in rows_of(page.layout, "rejections")] == [("login", 1)]


@pytest.mark.parametrize("host", ["evil.example", "node.example.evil.example", "", "localhost.evil.example"])
def test_another_name_that_leads_here_is_not_answered_to(page: Looking, host: str) -> None:
    for path in ("/healthz", "/login", "/api/v1/self"):
        assert page.ask("GET", path, headers={"Host": host}).status_code in (400, 421)


@pytest.mark.parametrize(
    "host", ["localhost:{port}", "127.0.0.1:{port}", "NODE.example", "[::1]:{port}", "10.1.2.3"]
)
def test_the_names_and_addresses_of_this_machine_are(page: Looking, host: str) -> None:
    headers = {"Host": host.format(port=page.port)}
    assert page.ask("GET", "/api/v1/self", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"X-Casgan-Page": None},
    ],
)
def test_a_page_of_somebody_else_changes_nothing(
    page: Looking, filled: Filled, headers: dict[str, str | None]
) -> None:
    with logged_in(page) as browser:
        for name, value in headers.items():
            if value is None:
                del browser.headers[name]
            else:
                browser.headers[name] = value
        assert browser.post(f"/api/v1/jobs/{filled.queued}/cancel").status_code == 403
        assert browser.post("/login", json={"token": ACT}).status_code == 403
        assert browser.post("/logout").status_code == 403
    assert page.get(f"/jobs/{filled.queued}")["job"]["state"] == "queued"


def test_our_own_page_does(page: Looking, filled: Filled) -> None:
    with logged_in(page) as browser:
        assert browser.post(f"/api/v1/jobs/{filled.queued}/cancel").status_code == 200
    assert page.get(f"/jobs/{filled.queued}")["job"]["state"] == "cancelled"


@pytest.mark.parametrize("path", [*OPEN, "/readyz", "/", "/api/v1/self", "/api/v1/nothing", "/nothing"])
def test_every_answer_tells_browsers_to_load_nothing_from_elsewhere(page: Looking, path: str) -> None:
    headers = page.ask("GET", path).headers

    assert headers["Content-Security-Policy"] == POLICY
    for said in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert said in POLICY.split("; ")
    assert "unsafe" not in POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers
    assert "Server" not in headers


def test_over_tls_the_cookie_is_never_sent_without(tmp_path: Path, authority: Authority, node: Pair) -> None:
    tls = {"tls_certificate": str(node.certificate), "tls_key": str(node.key)}
    with looking(page_settings(tmp_path / "node", **tls)) as page:
        trusted = ssl.create_default_context(cafile=authority.certificate)
        headers = {"X-Casgan-Page": "1", "Origin": page.url}
        with httpx.Client(base_url=page.url, headers=headers, verify=trusted, trust_env=False) as browser:
            answer = browser.post("/login", json={"token": ACT})
            assert browser.get("/api/v1/self").status_code == 200
    cookie = answer.headers["Set-Cookie"].lower()
    assert "secure" in [part.strip() for part in cookie.split(";")]
    assert cookie.startswith("__host-")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"token": 5}', b"{", b"[" * 5000, b"x" * 70_000])
def test_a_login_that_makes_no_sense_is_refused(page: Looking, content: bytes) -> None:
    headers = {"X-Casgan-Page": "1", "Origin": page.url}
    answer = page.ask("POST", "/login", token="", headers=headers, content=content)

    assert answer.status_code == (413 if len(content) > 65536 else 400)


def test_a_body_that_stands_still_is_ended(tmp_path: Path) -> None:
    settings = page_settings(tmp_path / "node", idle_seconds=0.3)
    with looking(settings) as page, socket.create_connection(("127.0.0.1", page.port), 60) as line:
        line.sendall(
            b"POST /api/v1/jobs/1/priority HTTP/1.1\r\nHost: localhost\r\n"
            b"Authorization: Bearer " + ACT.encode() + b"\r\nContent-Length: 100\r\n\r\n{"
        )
        assert line.recv(4096).startswith(b"HTTP/1.1 408")
