"""What rules would do with a file that a browser sends: told, and the file is not kept."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.node.listening import wait_for
from tests.node.looking import ACT, Looking, looking, page_settings
from tests.support.factories import moving_frames, write_xa

TRIAL = "/api/v1/rules/trial"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Looking]:
    with looking(page_settings(tmp_path / "node", max_trial_bytes=100_000, idle_seconds=1.0)) as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> bytes:
    return write_xa(tmp_path / "made" / "a", moving_frames(3)).read_bytes()


def left(page: Looking) -> list[Path]:
    """Files that are kept of what was tried."""
    return list(page.layout.trials.rglob("*")) if page.layout.trials.exists() else []


@pytest.mark.parametrize(
    ("calling", "rule", "converts"), [("CT1", "keep-ct", False), ("CATHLAB", "all", True)]
)
def test_the_rule_that_would_decide_is_told(
    page: Looking, file: bytes, calling: str, rule: str, converts: bool
) -> None:
    answer = page.ask("POST", TRIAL, content=file, params={"calling_ae": calling})

    (series,) = answer.json()["series"]
    assert (series["rule"], series["convert"]) == (rule, converts)
    assert series["destinations"] == (["pacs", "archive"] if converts else [])
    assert left(page) == []
    assert page.get("/jobs")["total"] == 0


@pytest.mark.parametrize("content", [b"", b"no DICOM", b"\0" * 128 + b"DICM", b"\0" * 5000])
def test_what_is_no_dicom_is_told(page: Looking, content: bytes) -> None:
    answer = page.ask("POST", TRIAL, content=content)

    assert answer.status_code in (200, 409)
    if answer.status_code == 200:
        assert answer.json()["series"] == []
        assert sum(answer.json()["passed_over"].values()) == 1
    assert left(page) == []


def test_a_file_that_is_too_long_is_refused_before_it_is_read(page: Looking) -> None:
    with socket.create_connection(("127.0.0.1", page.port), 60) as line:
        line.sendall(head("Content-Length: 100001"))
        assert line.recv(4096).startswith(b"HTTP/1.1 413")


def test_a_file_without_its_length_is_refused(page: Looking) -> None:
    with socket.create_connection(("127.0.0.1", page.port), 60) as line:
        line.sendall(head("Transfer-Encoding: chunked"))
        assert line.recv(4096).startswith(b"HTTP/1.1 411")


def test_a_file_of_which_nothing_comes_leaves_nothing(page: Looking) -> None:
    with socket.create_connection(("127.0.0.1", page.port), 60) as line:
        line.sendall(head("Content-Length: 1000") + b"part of it")
        assert line.recv(4096).startswith(b"HTTP/1.1 408")
    assert left(page) == []


def test_who_goes_in_the_middle_leaves_nothing_and_holds_up_nobody(page: Looking, file: bytes) -> None:
    with socket.create_connection(("127.0.0.1", page.port), 60) as line:
        line.sendall(head("Content-Length: 1000") + b"part of it")
        wait_for(lambda: left(page), "the beginning of the file")

    wait_for(lambda: page.ask("POST", TRIAL, content=file).status_code == 200, "the place of the first")
    assert left(page) == []


def test_one_file_at_a_time_is_looked_at(page: Looking, file: bytes) -> None:
    with socket.create_connection(("127.0.0.1", page.port), 60) as line:
        line.sendall(head("Content-Length: 1000") + b"part of it")
        wait_for(lambda: left(page), "the beginning of the file")
        answer = page.ask("POST", TRIAL, content=file)
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


def test_what_a_process_left_that_was_killed_is_removed_at_the_start(tmp_path: Path) -> None:
    settings = page_settings(tmp_path / "node")
    stale = settings.data / "trials" / "tmp1" / "file.dcm"
    stale.parent.mkdir(parents=True)
    stale.touch()

    with looking(settings) as page:
        assert left(page) == []


def head(more: str) -> bytes:
    return (
        f"POST {TRIAL} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ACT}\r\n{more}\r\n\r\n".encode()
    )
