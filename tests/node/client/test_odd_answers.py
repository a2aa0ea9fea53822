"""Archives whose answers are not what one expects: byte by byte, from a socket of our own."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from casgan_dicom.errors import CasganError, PeerError
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.scu import echo, store
from tests.node.wire import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    DATA,
    EXPLICIT,
    RELEASE_RP,
    RELEASE_RQ,
    command,
    p_data,
    parse_command,
    pdu,
)
from tests.support.factories import uid, write_xa

_DICOM = b"1.2.840.10008.3.1.1.1"


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def accept(
    *,
    version: int = 1,
    titles: bytes = b"ARCHIVE".ljust(16) + b"CASGAN".ljust(16),
    user: bytes | None = None,
    more: bytes = b"",
    syntax: bytes = EXPLICIT.encode(),
) -> bytes:
    """A-ASSOCIATE-AC that accepts context 1 and refuses all others, with as much as one wants in it."""
    body = struct.pack(">HH", version, 0) + titles + bytes(32) + _item(0x10, _DICOM)
    body += _item(0x21, bytes([1, 0, 0, 0]) + _item(0x40, syntax)) + more
    if user is None:
        user = _item(0x51, struct.pack(">I", 16384)) + _item(0x52, b"1.2.3.4")
    return pdu(ASSOCIATE_AC, body + _item(0x50, user))


class Line:
    """Our end of a connection of the archive."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection

    def read(self) -> tuple[int, bytes]:
        """Type and body of the next PDU; (0, b"") at the end."""
        head = self._exactly(6)
        return (head[0], self._exactly(int.from_bytes(head[2:], "big"))) if head else (0, b"")

    def read_message(self) -> dict[int, bytes]:
        """The command of the next message, whose data set is read and forgotten."""
        content = b""
        while True:
            kind, body = self.read()
            assert kind == DATA
            at = 0
            while at < len(body):
                length = int.from_bytes(body[at : at + 4], "big")
                control, data = body[at + 5], body[at + 6 : at + 4 + length]
                content += data if control & 1 else b""
                at += 4 + length
                if control == 2 or (control == 3 and parse_command(content)[0x0800] == b"\1\1"):
                    return parse_command(content)

    def answer(self, asked: dict[int, bytes], status: int = 0) -> bytes:
        """A response, not sent yet."""
        field = int.from_bytes(asked[0x0100], "little") | 0x8000
        number = int.from_bytes(asked[0x0110], "little")
        elements: dict[int, int | bytes] = {
            0x0002: asked[0x0002].rstrip(b"\0"),
            0x0100: field,
            0x0120: number,
        }
        if 0x1000 in asked:
            elements[0x1000] = asked[0x1000].rstrip(b"\0")
        return p_data(1, 3, command(elements | {0x0800: 0x0101, 0x0900: status}))

    def _exactly(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            try:
                piece = self.socket.recv(count - len(content))
            except OSError:
                piece = b""
            if not piece:
                return b""
            content += piece
        return content


@contextmanager
def archive(serve: Callable[[Line], None]) -> Iterator[Peer]:
    """A peer that does what `serve` says with each connection; whatever it raises is raised here."""
    failed = list[BaseException]()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)

        def run() -> None:
            try:
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(30)
                    serve(Line(connection))
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        yield Peer("127.0.0.1", server.getsockname()[1], "ARCHIVE", connect_seconds=10, response_seconds=10)
        thread.join(30)
    if failed:
        raise failed[0]


def _store_and_release(answer: bytes) -> Callable[[Line], None]:
    def serve(line: Line) -> None:
        line.read()
        line.socket.sendall(answer)
        line.socket.sendall(line.answer(line.read_message()))
        assert line.read()[0] == RELEASE_RQ
        line.socket.sendall(pdu(RELEASE_RP, bytes(4)))

    return serve


_LENGTH = _item(0x51, struct.pack(">I", 16384))

ODD = {
    "unknown user item": accept(user=_LENGTH + _item(0x7E, b"something")),
    "user items that end too soon": accept(user=_LENGTH + b"\x55\0\0\x30short"),
    "no maximum length": accept(user=_item(0x52, b"1.2.3.4")),
    "no user information at all": accept(user=b""),
    "implementation version name of 40": accept(
        user=_LENGTH + _item(0x52, b"1.2.3") + _item(0x55, b"V" * 40)
    ),
    "implementation version name not ASCII": accept(user=_LENGTH + _item(0x55, b"\xc4\xff")),
    "implementation class that is none": accept(user=_LENGTH + _item(0x52, b"no uid")),
    "protocol version 3": accept(version=3),
    "titles NUL": accept(titles=bytes(32)),
    "titles Latin-1": accept(titles=b"\xc4\\".ljust(16) + b"\xff".ljust(16)),
    "unknown item": accept(more=_item(0x77, b"something")),
    "role selection that nobody asked for": accept(user=_LENGTH + _item(0x54, b"\0\x05x")),
    "transfer syntax padded": accept(syntax=EXPLICIT.encode() + b"\0"),
    "a context that we did not ask for": accept(more=_item(0x21, bytes([99, 0, 3, 0]))),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_not_used_in_an_answer_does_not_matter(tmp_path: Path, name: str) -> None:
    results = list[StoreResult]()
    with archive(_store_and_release(ODD[name])) as peer:
        store(peer, [write_xa(tmp_path / "a")], results.append)

    assert [result.outcome for result in results] == ["stored"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (accept(version=2), "protocol version 0002, need version 1"),
        (accept(more=b"\x21\0\xff\xff"), "longer than its PDU"),
        (pdu(ASSOCIATE_AC, bytes(20)), "need at least 68"),
        (pdu(RELEASE_RP, bytes(4)), "out of turn"),
        (pdu(ASSOCIATE_RJ, b""), "cannot be decoded"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no PDU"),
    ],
)
def test_it_is_said_that_we_aborted_and_why(tmp_path: Path, answer: bytes, why: str) -> None:
    last = list[int]()

    def serve(line: Line) -> None:
        line.read()
        line.socket.sendall(answer)
        last.append(line.read()[0])

    with archive(serve) as peer, pytest.raises(PeerError) as caught:
        store(peer, [write_xa(tmp_path / "a")], lambda _: None)

    assert "we aborted the association" in caught.value.message
    assert why in caught.value.message
    assert last == [ABORT]


@pytest.mark.parametrize("pause", [0.0, 0.05])
def test_archive_that_asks_for_a_release_with_its_answer_keeps_nobody_waiting(
    tmp_path: Path, pause: float, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both may ask at once, whichever is first."""
    heard = list[int]()

    def serve(line: Line) -> None:
        line.read()
        line.socket.sendall(accept())
        answer = line.answer(line.read_message())
        if pause:
            line.socket.sendall(answer)
            time.sleep(pause)
            line.socket.sendall(pdu(RELEASE_RQ, bytes(4)))
        else:
            line.socket.sendall(answer + pdu(RELEASE_RQ, bytes(4)))
        while (kind := line.read()[0]) not in (0, RELEASE_RP):
            heard.append(kind)
        heard.append(kind)
        if RELEASE_RQ in heard:
            line.socket.sendall(pdu(RELEASE_RP, bytes(4)))

    results = list[StoreResult]()
    with archive(serve) as peer:
        started = time.monotonic()
        store(peer, [write_xa(tmp_path / "a")], results.append)
        seconds = time.monotonic() - started

    assert [result.outcome for result in results] == ["stored"]
    assert seconds < 8  # of the 10 that it stalled; the rest is for a busy machine
    assert RELEASE_RP in heard or heard == [RELEASE_RQ, 0]
    assert "Traceback" not in "".join(capfd.readouterr())


def test_archive_that_asks_for_a_release_between_two_files_is_named(tmp_path: Path) -> None:
    def serve(line: Line) -> None:
        line.read()
        line.socket.sendall(accept())
        line.socket.sendall(line.answer(line.read_message()) + pdu(RELEASE_RQ, bytes(4)))
        while line.read()[0] not in (0, RELEASE_RP):
            continue

    files = [write_xa(tmp_path / name, SOPInstanceUID=uid(name)) for name in "ab"]
    results = list[StoreResult]()
    with archive(serve) as peer, pytest.raises(PeerError, match=r"released|closed"):
        store(peer, files, results.append)

    assert results[0].outcome == "stored"


def test_echo_of_an_archive_that_releases_at_once(tmp_path: Path) -> None:
    def serve(line: Line) -> None:
        line.read()
        line.socket.sendall(accept(syntax=b"1.2.840.10008.1.2"))
        line.socket.sendall(line.answer(line.read_message()) + pdu(RELEASE_RQ, bytes(4)))
        while line.read()[0] not in (0, RELEASE_RP):
            continue

    with archive(serve) as peer:
        assert echo(peer) < 8


def test_duplicate_is_there_and_said(tmp_path: Path) -> None:
    def serve(line: Line) -> None:
        line.read()
        line.socket.sendall(accept())
        line.socket.sendall(line.answer(line.read_message(), 0x0111))
        line.read()
        line.socket.sendall(pdu(RELEASE_RP, bytes(4)))

    results = list[StoreResult]()
    with archive(serve) as peer:
        store(peer, [write_xa(tmp_path / "a")], results.append)

    (result,) = results
    assert result.is_stored
    assert result.reason == "an object of this UID was there already (0x0111)"


_FIELD, _ANSWERED = 0x0100, 0x0120


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({_FIELD: 0x8030}, "invalid message"),  # that of an echo
        ({_FIELD: 0x0001}, "invalid message"),  # a request of its own
        ({_ANSWERED: 999}, "invalid message"),
        ({_FIELD: None}, "because a message cannot be decoded"),
        ({0x0900: None}, "invalid message"),
    ],
)
def test_what_does_not_answer_our_request_is_not_taken_for_success(
    tmp_path: Path, change: dict[int, int | None], why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    def serve(line: Line) -> None:
        line.read()
        line.socket.sendall(accept())
        asked = line.read_message()
        elements: dict[int, int | None] = {_FIELD: 0x8001, 0x0800: 0x0101, 0x0900: 0}
        elements |= {_ANSWERED: int.from_bytes(asked[0x0110], "little")} | change
        line.socket.sendall(p_data(1, 3, command({k: v for k, v in elements.items() if v is not None})))
        while line.read()[0]:
            continue

    results = list[StoreResult]()
    started = time.monotonic()
    with archive(serve) as peer, pytest.raises(PeerError, match=why):
        store(peer, [write_xa(tmp_path / "a")], results.append)

    assert [result.outcome for result in results] == ["no-answer"]
    assert time.monotonic() - started < 8  # of the 10 for a response; the rest is for a busy machine
    assert "Traceback" not in "".join(capfd.readouterr())


def _in_two_pdus(answer: bytes) -> bytes:
    content = answer[12:]
    return p_data(1, 1, content[:30]) + p_data(1, 3, content[30:])


def _in_two_fragments(answer: bytes) -> bytes:
    content = answer[12:]
    fragments = [(1, content[:50]), (3, content[50:])]
    return pdu(
        DATA, b"".join(struct.pack(">IBB", len(data) + 2, 1, control) + data for control, data in fragments)
    )


@pytest.mark.parametrize("form", [bytes, _in_two_pdus, _in_two_fragments])
def test_answer_counts_in_whatever_pieces_it_comes(tmp_path: Path, form: Callable[[bytes], bytes]) -> None:
    def serve(line: Line) -> None:
        line.read()
        line.socket.sendall(accept())
        for _ in range(3):
            answer = form(line.answer(line.read_message()))
            for at in range(0, len(answer), 5):
                line.socket.sendall(answer[at : at + 5])
        assert line.read()[0] == RELEASE_RQ
        line.socket.sendall(pdu(RELEASE_RP, bytes(4)))

    files = [write_xa(tmp_path / name, SOPInstanceUID=uid(name)) for name in "abc"]
    results = list[StoreResult]()
    with archive(serve) as peer:
        store(peer, files, results.append)

    assert [result.outcome for result in results] == ["stored"] * 3


def test_archive_may_answer_before_the_data_set_is_over(tmp_path: Path) -> None:
    def serve(line: Line) -> None:
        line.read()
        line.socket.sendall(accept())
        for _ in range(2):
            asked = parse_command(line.read()[1][6:])
            line.socket.sendall(line.answer(asked, 0xA700))
            while not line.read()[1][5] & 2:
                time.sleep(0.001)
        assert line.read()[0] == RELEASE_RQ
        line.socket.sendall(pdu(RELEASE_RP, bytes(4)))

    frames = np.zeros((8, 512, 512), np.uint16)
    files = [write_xa(tmp_path / name, frames, SOPInstanceUID=uid(name)) for name in "ab"]
    results = list[StoreResult]()
    with archive(serve) as peer:
        store(peer, files, results.append)

    assert [result.status for result in results] == [0xA700, 0xA700]


def test_abort_amid_a_data_set_is_noticed_before_it_is_all_sent(tmp_path: Path) -> None:
    """The archive reads on, and the association is over all the same."""
    pieces = list[int]()

    def serve(line: Line) -> None:
        line.read()
        line.socket.sendall(accept())
        line.read()
        line.socket.sendall(pdu(ABORT, bytes(4)))
        while (kind := line.read()[0]) == DATA:
            pieces.append(kind)
            time.sleep(0.001)

    path = write_xa(tmp_path / "a", np.zeros((128, 512, 512), np.uint16))
    with archive(serve) as peer, pytest.raises(PeerError, match="aborted the association"):
        store(peer, [path], lambda _: None)

    assert len(pieces) < path.stat().st_size / 16384 / 2


def test_file_that_loses_its_data_set_meanwhile_is_not_sent(tmp_path: Path) -> None:
    files = [write_xa(tmp_path / name, SOPInstanceUID=uid(name)) for name in "ab"]
    results = list[StoreResult]()
    told = list[int]()

    def cut(result: StoreResult) -> None:
        results.append(result)
        files[1].write_bytes(files[1].read_bytes()[:200])

    def serve(line: Line) -> None:
        line.read()
        line.socket.sendall(accept())
        line.socket.sendall(line.answer(line.read_message()))
        while kind := line.read()[0]:
            told.append(kind)

    with archive(serve) as peer, pytest.raises(CasganError, match="cannot be read any more"):
        store(peer, files, cut)

    assert len(results) == 1
    assert told[-1] == ABORT
