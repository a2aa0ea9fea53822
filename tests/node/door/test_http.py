"""Whoever only connects, hangs or floods costs a place for a while, and nobody else's post."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import numpy as np
import pytest

from casgan_dicom.node.door.http import Patience
from casgan_dicom.node.settings import WebSettings
from casgan_dicom.node.state.layout import Layout
from tests.node.listening import check_spool, open_files, resident_bytes, rows_of, wait_for
from tests.node.nodes import Node, node_settings, running_node
from tests.node.posting import KIND, STORED, Posting, body, posting, uids, web_settings
from tests.node.secure import Authority, Pair, client
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.orthanc import free_ports

SOON = 20.0
"""Seconds that a post may take beside an attack: it takes a fraction of one."""
BRIEF = Patience(handshake=1.0, head=1.0, between=1.0)
HEAD = f"POST /studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: {KIND}\r\n"


def cine(folder: Path, name: str) -> bytes:
    return write_xa(folder / f"{name}.dcm", moving_frames(2), SOPInstanceUID=uid(name)).read_bytes()


def connected(port: int, said: bytes = b"") -> socket.socket:
    """A connection on which this much was said."""
    line = socket.create_connection(("127.0.0.1", port))
    line.settimeout(SOON)
    line.sendall(said)
    return line


def is_closed(line: socket.socket) -> bool:
    """Whether the other end hung up; waits for that."""
    try:
        while line.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "said", [b"", b"POST /stud", HEAD.encode(), b"\x16\x03\x01"], ids=["nothing", "a line", "headers", "TLS"]
)
def test_200_idle_connections_hold_up_nobody(tmp_path: Path, folder: Path, said: bytes) -> None:
    settings = web_settings(tmp_path / "data", max_connections=50, max_connections_per_address=25)
    with posting(settings) as web, ExitStack() as held:
        for _ in range(200):
            held.enter_context(connected(web.port, said))
        began = monotonic()

        answer = web.post([cine(folder, "a")])

        assert answer.status_code == 200
        assert monotonic() - began < SOON


def test_200_idle_connections_hold_up_nobody_where_tls_is_talked(
    tmp_path: Path, folder: Path, authority: Authority, node: Pair
) -> None:
    own: dict[str, Any] = {"tls_certificate": str(node.certificate), "tls_key": str(node.key)}
    with posting(web_settings(tmp_path / "data", max_connections=50, **own)) as web, ExitStack() as held:
        for k in range(200):
            held.enter_context(connected(web.port, b"\x16\x03\x01" if k % 2 else b""))

        with httpx.Client(verify=client(authority), timeout=SOON) as session:
            answer = session.post(
                web.url + "/studies", content=body([cine(folder, "a")]), headers={"Content-Type": KIND}
            )
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "said",
    [b"", b"POST /stud", HEAD.encode(), b"GET /studies HTTP/1.1\r\nHost: localhost\r\n\r\nPOST"],
    ids=["nothing", "a line", "headers", "a second request"],
)
def test_who_does_not_ask_is_hung_up_on(tmp_path: Path, said: bytes) -> None:
    with posting(web_settings(tmp_path / "data"), BRIEF) as web, connected(web.port, said) as line:
        assert is_closed(line)


def test_a_handshake_that_never_ends_is_ended(tmp_path: Path, authority: Authority, node: Pair) -> None:
    own: dict[str, Any] = {"tls_certificate": str(node.certificate), "tls_key": str(node.key)}
    with posting(web_settings(tmp_path / "data", **own), BRIEF) as web:
        with connected(web.port, b"\x16\x03\x01") as line:
            assert is_closed(line)
        assert [row["reason"] for row in refusals(web)] == ["TLS"]


def refusals(web: Posting) -> list[dict[str, object]]:
    """Who was not let in, as soon as it is written down."""
    wait_for(lambda: rows_of(web.layout, "rejections"), "a refusal")
    return rows_of(web.layout, "rejections")


def test_a_head_without_end_is_refused(tmp_path: Path) -> None:
    with posting(web_settings(tmp_path / "data")) as web, connected(web.port, HEAD.encode()) as line:
        with suppress(ConnectionError):
            line.sendall(b"X: y\r\n" * 20_000)
        assert is_closed(line)


def test_a_body_that_stands_still_is_ended_and_leaves_nothing(tmp_path: Path, folder: Path) -> None:
    content = body([cine(folder, "a"), cine(folder, "b")])
    with posting(web_settings(tmp_path / "data", idle_seconds=1.0), BRIEF) as web:
        head = f"{HEAD}Content-Length: {len(content)}\r\n\r\n".encode()
        with connected(web.port, head + content[:-100]) as line:
            wait_for(lambda: any(web.layout.incoming.iterdir()), "a file that is being received")
            assert line.recv(12) == b"HTTP/1.1 202"
            assert is_closed(line)
        assert check_spool(web.layout) == 1


def test_a_client_that_goes_leaves_what_was_whole(tmp_path: Path, folder: Path) -> None:
    content = body([cine(folder, "a"), cine(folder, "b")])
    with posting(web_settings(tmp_path / "data")) as web:
        with connected(web.port, f"{HEAD}Content-Length: {len(content)}\r\n\r\n".encode() + content[:-100]):
            wait_for(lambda: len(web.rows()) == 1, "the first of two")
        wait_for(lambda: not any(web.layout.incoming.iterdir()), "the second to be deleted")
        assert check_spool(web.layout) == 1
        assert web.post([cine(folder, "b")]).status_code == 200


def test_who_may_not_send_reads_why_however_much_he_sends(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("CT hV0rZ2M1sRkq8pYt6bLw3nXe\n")
    path.chmod(0o600)
    with posting(web_settings(tmp_path / "data", tokens_file=str(path))) as web:
        answer = httpx.post(
            web.url + "/studies", content=b"x" * 20_000_000, headers={"Content-Type": KIND}, timeout=SOON
        )

        assert answer.status_code == 401


def test_a_part_without_end_fills_no_memory_and_is_ended(tmp_path: Path, folder: Path) -> None:
    most, piece = 200_000_000, b"\0" * 1_000_000
    head = body([cine(folder, "a")])[:-40]

    def endless() -> Iterator[bytes]:
        yield head
        while True:
            yield piece

    with posting(web_settings(tmp_path / "data", max_request_bytes=most), BRIEF) as web:
        before = resident_bytes()
        with suppress(httpx.WriteError, httpx.ReadError):
            answer = httpx.post(
                web.url + "/studies", content=endless(), headers={"Content-Type": KIND}, timeout=SOON
            )
            assert answer.status_code == 413

        assert resident_bytes() - before < 60_000_000  # a fraction of what was sent
        wait_for(lambda: not any(web.layout.incoming.iterdir()), "the file to be deleted")
        assert web.rows() == []


def test_a_long_cine_fills_no_memory(tmp_path: Path, folder: Path) -> None:
    frames = np.zeros((800, 512, 512), np.uint8)
    path = write_xa(folder / "long.dcm", frames, SOPInstanceUID=uid("long"))
    length = path.stat().st_size
    with posting(web_settings(tmp_path / "data")) as web:
        del frames
        before, highest = resident_bytes(), 0

        def pieces() -> Iterator[bytes]:
            nonlocal highest
            yield f"--b0undary\r\nContent-Type: application/dicom\r\nContent-Length: {length}\r\n".encode()
            yield b"\r\n"
            with path.open("rb") as file:
                while piece := file.read(1 << 20):
                    highest = max(highest, resident_bytes())
                    yield piece
            yield b"\r\n--b0undary--"

        answer = httpx.post(
            web.url + "/studies", content=pieces(), headers={"Content-Type": KIND}, timeout=120
        )

        assert uids(answer, STORED) == [uid("long")]
        assert max(highest, resident_bytes()) - before < 60_000_000
        assert check_spool(web.layout) == 1


def test_files_and_connections_are_let_go(tmp_path: Path, folder: Path) -> None:
    one = cine(folder, "a")
    with posting(web_settings(tmp_path / "data"), BRIEF) as web:
        web.post([one])
        before = open_files()
        for _ in range(20):
            web.post([one, b"rubbish"])
            connected(web.port, b"GET").close()

        wait_for(lambda: open_files() <= before, "all files and connections to be closed")


def test_random_requests_end_nothing(tmp_path: Path, folder: Path) -> None:
    chance, one = random.Random(7), cine(folder, "a")
    whole = HEAD.encode() + f"Content-Length: {len(body([one]))}\r\n\r\n".encode() + body([one])
    with posting(web_settings(tmp_path / "data", idle_seconds=1.0), BRIEF) as web:
        for _ in range(150):
            changed = bytearray(whole)
            for _ in range(chance.randrange(1, 8)):
                changed[chance.randrange(len(changed) if chance.random() < 0.3 else 400)] = chance.randrange(
                    256
                )
            with suppress(OSError), connected(web.port, bytes(changed[: chance.randrange(1, len(changed))])):
                pass

        assert web.post([one]).status_code == 200
        wait_for(lambda: not any(web.layout.incoming.iterdir()), "all files to be whole")


# A node that is killed.


def test_kills_cost_nothing_that_was_acknowledged(tmp_path: Path, folder: Path) -> None:
    kills, chance = int(os.environ.get("CASGAN_WEB_KILLS", "4")), random.Random(3)
    (port,) = free_ports(1)
    settings = replace(node_settings(tmp_path), web=WebSettings(port=port, ae_title="CATHLAB"))
    settings = replace(
        settings, completion=replace(settings.completion, quiet_seconds=600, short_seconds=600)
    )
    acknowledged, over = set[str](), threading.Event()
    with running_node(settings) as node:
        threads = [
            threading.Thread(target=_post_on, args=[port, folder / str(k), k, acknowledged, over])
            for k in range(3)
        ]
        for thread in threads:
            thread.start()
        for _ in range(kills):
            _kill(node, acknowledged, chance)
        _wait_for_more(acknowledged, 5)
        over.set()
        for thread in threads:
            thread.join()

    there = {row["sop_uid"] for row in rows_of(node_layout(node))}
    assert len(acknowledged) > 5 * kills
    assert acknowledged <= there
    rows = rows_of(node_layout(node))
    assert all(Path(row["path"]).stat().st_size == row["bytes"] for row in rows)


def node_layout(node: Node) -> Layout:
    """Where its files are."""
    return Layout(node.settings.data)


def _kill(node: Node, acknowledged: set[str], chance: random.Random) -> None:
    """Kill what listens, somewhere in the middle of some posts."""
    _wait_for_more(acknowledged, chance.randrange(3, 20))
    os.kill(node.pid("web"), 9)


def _wait_for_more(acknowledged: set[str], count: int) -> None:
    enough = len(acknowledged) + count
    wait_for(lambda: len(acknowledged) >= enough, f"{count} acknowledged instances")


def _post_on(port: int, folder: Path, number: int, acknowledged: set[str], over: threading.Event) -> None:
    """Post one request of three new instances after the other, and note what the answers say."""
    folder.mkdir()
    template = write_xa(folder / "one.dcm", moving_frames(2), SOPInstanceUID="1.2.3.1000000.1").read_bytes()
    for k in range(1_000_000):
        names = [f"1.2.3.{number + 1}{k:06d}.{part}" for part in "123"]
        files = [template.replace(b"1.2.3.1000000.1", name.encode()) for name in names]
        while not over.is_set():
            with suppress(httpx.HTTPError):
                answer = httpx.post(
                    f"http://127.0.0.1:{port}/studies", content=body(files), headers={"Content-Type": KIND}
                )
                acknowledged.update(uids(answer, STORED))
                break
        if over.is_set():
            return
