"""Who may post: by a token, by being on this machine, by a certificate; and nobody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.state.layout import Layout
from tests.node.listening import log_lines, rows_of
from tests.node.posting import (
    KIND,
    Posting,
    body,
    posting,
    web_settings,
)
from tests.node.secure import Authority, Pair, client
from tests.support.factories import moving_frames, uid, write_xa

TOKEN = "hV0rZ2M1sRkq8pYt6bLw3nXe"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Posting]:
    with posting(web_settings(tmp_path / "data")) as running:
        yield running


def cine(folder: Path, name: str, **header: object) -> bytes:
    """A file."""
    return write_xa(folder / f"{name}.dcm", moving_frames(2), SOPInstanceUID=uid(name), **header).read_bytes()


def tokens(folder: Path, text: str = f"# senders\nCATHLAB 1 {TOKEN}\nCT {TOKEN[::-1]}\n") -> Path:
    path = folder / "tokens"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_token_says_who_sends(tmp_path: Path, folder: Path) -> None:
    with posting(web_settings(tmp_path / "data", tokens_file=str(tokens(tmp_path)))) as web:
        for name, token in (("a", TOKEN), ("b", TOKEN[::-1])):
            one = cine(folder, name)
            assert web.post([one], headers={"Authorization": f"Bearer {token}"}).status_code == 200

        assert [row["peer"] for row in web.rows()] == ["CATHLAB 1", "CT"]


@pytest.mark.parametrize(
    "given",
    [None, "", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer é", TOKEN],
)
def test_without_a_known_token_nobody_sends(tmp_path: Path, folder: Path, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    told = {"Content-Type": KIND} | headers
    with (
        posting(web_settings(tmp_path / "data", tokens_file=str(tokens(tmp_path)))) as web,
        log_lines() as log,
    ):
        answer = httpx.post(
            web.url + "/studies",
            content=body([cine(folder, "a")]),
            headers=[(key.encode(), value.encode()) for key, value in told.items()],
        )

        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert web.rows() == []
        assert TOKEN not in log.getvalue()
    assert [row["reason"] for row in rows_of(Layout(tmp_path / "data"), "rejections")] == ["sender"]


def test_tokens_are_taken_and_taken_back_while_it_runs(tmp_path: Path, folder: Path) -> None:
    path, one = tokens(tmp_path), cine(folder, "a")
    with posting(web_settings(tmp_path / "data", tokens_file=str(path))) as web:

        def status(token: str) -> int:
            return web.post([one], headers={"Authorization": f"Bearer {token}"}).status_code

        assert (status(TOKEN), status("another" * 3)) == (200, 401)
        tokens(tmp_path, f"NEW {'another' * 3}\n")
        assert (status(TOKEN), status("another" * 3)) == (401, 200)
        path.unlink()
        assert status("another" * 3) == 401
        assert [row["peer"] for row in web.rows()] == ["CATHLAB 1"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8042", "10.0.0.1"])
def test_a_page_whose_name_leads_here_cannot_send(web: Posting, folder: Path, host: str) -> None:
    assert web.post([cine(folder, "a")], headers={"Host": host}).status_code == 403
    assert web.rows() == []


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_nobody_can_say_that_he_comes_from_elsewhere(web: Posting, folder: Path, header: str) -> None:
    web.post([cine(folder, "a")], headers={header: "10.9.8.7"})

    assert [row["address"] for row in web.rows()] == ["127.0.0.1"]


# TLS.


def secured(folder: Path, authority: Authority, pair: Pair, **more: object) -> dict[str, Any]:
    return {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key), **more}


def test_over_tls_the_certificate_is_that_of_the_moment(
    tmp_path: Path, folder: Path, authority: Authority
) -> None:
    pair = authority.issue("first", file="served")
    settings = web_settings(tmp_path / "data", **secured(tmp_path, authority, pair))
    with posting(settings) as web:
        first = ssl_name(web.port, authority)
        with httpx.Client(verify=client(authority)) as session:
            answer = session.post(
                web.url + "/studies", content=body([cine(folder, "a")]), headers={"Content-Type": KIND}
            )
        authority.issue("second", file="served")
        second = ssl_name(web.port, authority)

    assert (answer.status_code, first, second) == (200, "first", "second")


def ssl_name(port: int, authority: Authority) -> str:
    """Common name of what is shown."""
    context = client(authority, None)
    line = socket.create_connection(("127.0.0.1", port))
    with context.wrap_socket(line, server_hostname="localhost") as secure:
        found = secure.getpeercert()
    assert found
    return str(dict(each[0] for each in found["subject"])["commonName"])  # type: ignore[misc]


def test_who_must_show_a_certificate_and_does_not_is_not_let_in(
    tmp_path: Path, folder: Path, authority: Authority, node: Pair, modality: Pair
) -> None:
    more = {"tls_authorities": str(authority.certificate)}
    one = body([cine(folder, "a")])
    with posting(web_settings(tmp_path / "data", **secured(tmp_path, authority, node, **more))) as web:
        with pytest.raises(httpx.HTTPError), httpx.Client(verify=client(authority)) as session:
            session.post(web.url + "/studies", content=one, headers={"Content-Type": KIND})
        with httpx.Client(verify=client(authority, modality)) as session:
            assert session.post(
                web.url + "/studies", content=one, headers={"Content-Type": KIND}
            ).status_code == 200  # fmt: skip
        with pytest.raises(httpx.HTTPError):
            httpx.get(web.url.replace("https", "http"))


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("", 0o600, "holds no token"),
        (f"CT {TOKEN}\nCT2 short\n", 0o600, "line 2 has a token of 5 characters"),
        (f"{TOKEN}\n", 0o600, "line 1 has no name"),
        (f"A {TOKEN}\nB {TOKEN}\n", 0o600, "line 2 has a token that stands there before"),
        (f"A {TOKEN}\n", 0o604, "every user may read it"),
    ],
)
def test_tokens_that_are_no_good_are_told_without_quoting_them(
    tmp_path: Path, text: str, mode: int, said: str
) -> None:
    path = tokens(tmp_path, text)
    path.chmod(mode)

    with (
        pytest.raises(ConfigError) as raised,
        posting(web_settings(tmp_path / "data", tokens_file=str(path))),
    ):
        pass

    assert said in raised.value.message
    assert TOKEN not in raised.value.message
