"""Messages to a web service over real HTTP: taken, or not, and the address stays a secret."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.webhook import post_message
from casgan_dicom.node.settings import NotificationSettings
from tests.node.secure import Authority
from tests.support.hook_server import HookServer

MESSAGE = {"text": "Müller & Söhne", "changes": []}


def target(server: HookServer) -> NotificationSettings:
    return NotificationSettings("chat", url=server.url, response_seconds=5)


def test_a_message_arrives_as_json() -> None:
    with HookServer() as server:
        assert post_message(target(server), MESSAGE) == "HTTP 200"

        (posted,) = server.posted
    assert posted.message == MESSAGE
    assert posted.path == "/hooks/s3cr3t"
    assert posted.headers["content-type"] == "application/json"
    assert "authorization" not in posted.headers


def test_the_address_and_a_token_may_stand_in_files(tmp_path: Path) -> None:
    with HookServer() as server:
        url, token = tmp_path / "url", tmp_path / "token"
        url.write_text(f"{server.url}?sig=a%2Fb\n")
        token.write_text("t0ken\n")
        settings = replace(target(server), url="", url_file=url, token_file=token)
        post_message(settings, MESSAGE)

        (posted,) = server.posted
    assert posted.path == "/hooks/s3cr3t?sig=a%2Fb"
    assert posted.headers["authorization"] == "Bearer t0ken"


@pytest.mark.parametrize("content", ["", "ftp://chat.example/x", "https://a b", "https://user@chat.example"])
def test_a_file_without_an_address_is_told_and_not_quoted(tmp_path: Path, content: str) -> None:
    file = tmp_path / "url"
    file.write_text(content)

    with pytest.raises(PeerError, match="url_file") as caught:
        post_message(NotificationSettings("chat", url_file=file), MESSAGE)

    assert not content or content not in caught.value.message


def test_a_token_is_not_sent_where_anybody_could_read_it(tmp_path: Path) -> None:
    url, token = tmp_path / "url", tmp_path / "token"
    url.write_text("http://chat.example/x")
    token.write_text("t0ken")

    with pytest.raises(PeerError, match="token_file"):
        post_message(NotificationSettings("chat", url_file=url, token_file=token), MESSAGE)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 405, 410, 418, 429, 500, 503])
def test_what_is_not_taken_is_told_by_its_status_and_without_the_address(status: int) -> None:
    with HookServer() as server:
        server.statuses = [status]
        with pytest.raises(PeerError) as caught:
            post_message(target(server), MESSAGE)

        assert len(server.posted) == 1  # redirects are not followed
    assert f"({status})" in caught.value.message
    assert "s3cr3t" not in caught.value.message + caught.value.hint
    assert "chat (http://127.0.0.1)" in caught.value.message


def test_a_server_that_hangs_is_left_after_its_time() -> None:
    with HookServer() as server:
        server.statuses = [0]
        with pytest.raises(PeerError, match="gave no answer"):
            post_message(replace(target(server), response_seconds=0.3), MESSAGE)


def test_a_closed_port_is_told_without_the_address() -> None:
    with HookServer() as server:
        settings = target(server)
    with pytest.raises(PeerError, match="port is closed") as caught:
        post_message(settings, MESSAGE)
    assert "s3cr3t" not in caught.value.message + caught.value.hint


def test_the_certificate_of_the_server_is_checked(tmp_path: Path) -> None:
    ours, other = Authority.make(tmp_path, "ca"), Authority.make(tmp_path, "other")
    pair = ours.issue("chat")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with HookServer(tls=context) as server:
        post_message(replace(target(server), tls_authorities=str(ours.certificate)), MESSAGE)
        for wrong in (str(other.certificate), ""):
            with pytest.raises(PeerError, match="not one to trust"):
                post_message(replace(target(server), tls_authorities=wrong), MESSAGE)

        assert len(server.posted) == 1


def test_a_proxy_of_the_environment_is_used_only_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with HookServer() as server:
        post_message(target(server), MESSAGE)
        with pytest.raises(PeerError):
            post_message(replace(target(server), proxy=True), MESSAGE)

        assert len(server.posted) == 1
