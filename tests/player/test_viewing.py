"""The page of ``casgan-dicom view``: for this machine alone, behind a secret, with a strict policy."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.player.open_exhibits import OpenExhibits
from casgan_dicom.player.shelf import Exhibit
from casgan_dicom.player.viewing import address_of, listening_socket, new_secret, view_app
from tests.player.exhibits import served
from tests.support.factories import write_xa


def answers(tmp_path: Path, *asked: tuple[str, dict[str, str]]) -> list[httpx.Response]:
    """Answers to paths with headers, at a page whose secret is ``s3cret``."""
    exhibits = OpenExhibits()
    app = view_app(Exhibit((write_xa(tmp_path / "a"),), ()), "s3cret", exhibits)
    with served(app) as address, httpx.Client(base_url=address, trust_env=False) as client:
        found = [client.get(path, headers=headers) for path, headers in asked]
    exhibits.close()
    return found


@pytest.mark.parametrize(
    "path", ["/", "/player/items/files", "/other/player/items/files", "/s3crets/", "/s3cre/"]
)
def test_without_the_secret_there_is_nothing(tmp_path: Path, path: str) -> None:
    (answer,) = answers(tmp_path, (path, {}))

    assert answer.status_code == 404


@pytest.mark.parametrize(
    "path", ["/s3cret/", "/s3cret/player/items/files", "/s3cret/player/static/player.js"]
)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "0.0.0.0"])
def test_a_page_that_calls_this_machine_by_another_name_gets_nothing(
    tmp_path: Path, path: str, host: str
) -> None:
    mine, theirs = answers(tmp_path, (path, {}), (path, {"Host": host}))

    assert mine.status_code == 200
    assert theirs.status_code == 400
    assert len(theirs.content) < 100


@pytest.mark.parametrize("path", ["/s3cret/", "/s3cret/player/items/files", "/nothing"])
def test_every_answer_has_the_policy(tmp_path: Path, path: str) -> None:
    (answer,) = answers(tmp_path, (path, {}))

    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_page_warns_without_any_script(tmp_path: Path) -> None:
    (answer,) = answers(tmp_path, ("/s3cret/", {}))

    assert "AI SYNTHETIC - NOT FOR DIAGNOSIS" in answer.text


def test_secrets_differ_and_are_long() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
    assert all(len(new_secret()) >= 32 for _ in range(100))


def test_only_this_machine_is_listened_on_and_a_port_in_use_is_refused() -> None:
    with listening_socket(0) as first:
        host, port = first.getsockname()
        assert host == "127.0.0.1"
        assert address_of(first, "s") == f"http://127.0.0.1:{port}/s/"
        with pytest.raises(ConfigError, match=f"127.0.0.1 port {port}"):
            listening_socket(port)
        assert first.family is socket.AF_INET
