"""Peers that break off, hang or talk nonsense: each ends in a PeerError in time, and no thread stays."""

from __future__ import annotations

import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage
from pynetdicom import AE, evt
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dul import DULServiceProvider

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.line import SocketOptions
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.scu import echo, store
from tests.support.factories import uid, write_xa
from tests.support.fake_pacs import (
    LOOPBACK,
    NORMAL,
    Behaviour,
    FakePacs,
    abort,
    deaf,
    hang,
    ignore,
    reject,
    reset,
)
from tests.support.waiting import wait_for

PATIENCE = 2.0
"""Seconds that we wait for a peer here."""
IN_TIME = 15.0
"""Seconds after which waiting was not bounded by `PATIENCE`; the rest is for a busy machine."""


def our_threads() -> list[threading.Thread]:
    """Threads of associations that we asked for; the fake PACS in this process has others."""
    return [
        thread
        for thread in threading.enumerate()
        if (isinstance(thread, Association) and thread.is_requestor)
        or (isinstance(thread, DULServiceProvider) and thread.assoc.is_requestor)
    ]


def failing(peer: Peer, files: list[Path]) -> tuple[str, list[StoreResult]]:
    """Send the files, which fails in time and leaves no thread; what was said, and the results before."""
    results: list[StoreResult] = []
    start = time.monotonic()

    with pytest.raises(PeerError) as caught:
        store(peer, files, results.append)

    assert our_threads() == []
    assert time.monotonic() - start < IN_TIME
    return caught.value.message, results


def impatient(port: int) -> Peer:
    return Peer(LOOPBACK, port, "FAKEPACS", connect_seconds=PATIENCE, response_seconds=PATIENCE)


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    """More than the buffers of two sockets hold: 32 MiB."""
    return write_xa(tmp_path / "long", np.zeros((32, 1024, 1024), dtype=np.uint8))


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (ignore(), "did not answer the request for an association within 2 s"),
        (hang(), "gave no answer within 2 s"),
        (deaf(), "neither took nor sent anything for 2 s"),
        (abort(), "aborted the association"),
        (reset("request"), "closed the connection"),
        (reset("response"), "closed the connection"),
        (reject(1, 1, 7), "called AE title 'FAKEPACS' is not known there"),
    ],
    ids=lambda value: value.kind if isinstance(value, Behaviour) else "",
)
def test_a_fault_ends_in_time_and_is_named_and_the_next_attempt_succeeds(
    tmp_path: Path, long_file: Path, behaviour: Behaviour, said: str
) -> None:
    path = long_file if behaviour == deaf() else write_xa(tmp_path / "short")
    with FakePacs(behaviour) as pacs:
        message, _ = failing(impatient(pacs.port), [path])
        pacs.behaviour = NORMAL
        store(pacs.peer(), [path], lambda _: None)

        assert said in message
        assert list(pacs.stored) == [uid("instance")]
    assert our_threads() == []


def test_a_rejection_that_is_over_before_pynetdicom_looks_is_still_a_rejection(
    pacs: FakePacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the answer comes and the connection ends before pynetdicom asks for one."""
    ask = ACSE.send_request

    def ask_and_dawdle(acse: ACSE) -> None:
        ask(acse)
        socket_wrapper = acse.socket
        assert socket_wrapper is not None
        wait_for(lambda: acse.dul.peek_next_pdu() is not None, "the answer", IN_TIME)
        wait_for(lambda: not socket_wrapper._is_connected, "the end of the connection", IN_TIME)

    monkeypatch.setattr(ACSE, "send_request", ask_and_dawdle)
    pacs.behaviour = reject(1, 1, 7)

    with pytest.raises(PeerError, match="called AE title 'FAKEPACS' is not known there"):
        echo(pacs.peer())


def test_an_answer_is_not_lost_to_the_thread_that_watches_the_association(
    pacs: FakePacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine that thread misses that it is to pause, and looks for messages before we do."""
    send = DIMSEServiceProvider.send_msg

    def send_and_dawdle(dimse: DIMSEServiceProvider, message: Any, context: int) -> None:  # noqa: ANN401
        send(dimse, message, context)
        if dimse.assoc.is_requestor:
            time.sleep(0.3)

    awake = threading.Event()
    monkeypatch.setattr(awake, "wait", lambda: time.sleep(0.01))
    checkpoint = property(lambda _: awake, lambda _, event: None)
    monkeypatch.setattr(Association, "_reactor_checkpoint", checkpoint, raising=False)
    monkeypatch.setattr(DIMSEServiceProvider, "send_msg", send_and_dawdle)
    results: list[StoreResult] = []

    store(pacs.peer(response_seconds=PATIENCE), [write_xa(tmp_path / "a")], results.append)

    assert [each.outcome for each in results] == ["stored"]


def test_a_pacs_that_goes_away_is_refused_and_found_again_when_it_is_back(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a")
    with FakePacs() as pacs:
        pacs.close_port()
        message, results = failing(pacs.peer(), [path])
        pacs.open_port()
        store(pacs.peer(), [path], results.append)

    assert "is closed (connection refused)" in message
    assert [each.outcome for each in results] == ["stored"]


def test_a_pacs_that_dies_between_two_files_is_an_error(tmp_path: Path) -> None:
    files = [write_xa(tmp_path / name, SOPInstanceUID=uid(name)) for name in "ab"]
    results: list[StoreResult] = []

    def on_result(result: StoreResult) -> None:
        results.append(result)
        pacs.close_port()

    with FakePacs() as pacs, pytest.raises(PeerError):
        store(pacs.peer(), files, on_result)

    assert [(each.path, each.outcome) for each in results] == [(files[0], "stored"), (files[1], "no-answer")]
    assert our_threads() == []


def test_an_error_of_the_caller_aborts_and_comes_through(tmp_path: Path) -> None:
    def on_result(_: StoreResult) -> None:
        raise RuntimeError("the ledger is full")

    with FakePacs() as pacs:
        with pytest.raises(RuntimeError, match="the ledger is full"):
            store(pacs.peer(), [write_xa(tmp_path / "a")], on_result)

        assert our_threads() == []
        assert len(pacs.received) == 1


def test_an_echo_that_is_not_answered_ends_in_time() -> None:
    start = time.monotonic()

    with FakePacs(hang()) as pacs, pytest.raises(PeerError, match="gave no answer within 2 s"):
        echo(impatient(pacs.port))

    assert time.monotonic() - start < IN_TIME
    assert our_threads() == []


@contextmanager
def raw_peer(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A peer that is no DICOM node: `talk` gets the accepted connection, after the first bytes have come."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                talk(connection)
            except OSError:
                return  # we have been hung up on, as we should

    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(IN_TIME)
    assert not thread.is_alive()


def _drip(connection: socket.socket) -> None:
    """An A-ASSOCIATE-AC that never ends, a byte now and then."""
    connection.sendall(struct.pack(">BBL", 0x02, 0, 1_000_000))
    while True:
        connection.sendall(b"\0")
        time.sleep(0.05)


def _web(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def _hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("talk", [_drip, _web, _hang_up])
def test_what_is_no_dicom_node_is_an_error_in_time(
    tmp_path: Path, talk: Callable[[socket.socket], None]
) -> None:
    with raw_peer(talk) as port:
        message, _ = failing(impatient(port), [write_xa(tmp_path / "a")])

    assert f"FAKEPACS at 127.0.0.1:{port} " in message


def test_a_rejection_with_codes_of_no_standard_is_told_at_once(tmp_path: Path) -> None:
    """PS3.8 table 9-21 knows result 1 and 2, source 1 to 3."""

    def reject_oddly(connection: socket.socket) -> None:
        connection.sendall(struct.pack(">BBLBBBB", 0x03, 0, 4, 0, 5, 9, 77))

    with raw_peer(reject_oddly) as port:
        patient = Peer(LOOPBACK, port, "FAKEPACS", connect_seconds=2 * IN_TIME)
        message, _ = failing(patient, [write_xa(tmp_path / "a")])

    assert "rejected the association (result 5, source 9, reason 77)" in message


def test_a_full_backlog_is_no_connection_in_time(tmp_path: Path) -> None:
    """Nobody accepts, and the kernel takes no more connections: what a firewall that drops looks like."""
    with socket.create_server((LOOPBACK, 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        message, _ = failing(impatient(listener.getsockname()[1]), [write_xa(tmp_path / "a")])
        for each in waiting:
            each.close()

    assert "no connection within 2 s" in message


@contextmanager
def server(
    maximum_pdu_size: int, event: evt.EventType, handler: Callable[[evt.Event], None]
) -> Iterator[Peer]:
    """A plain pynetdicom server that stores everything, for what the fake PACS does not do."""
    entity = AE("PLAIN")
    entity.maximum_pdu_size = maximum_pdu_size
    entity.add_supported_context(XRayAngiographicImageStorage, ExplicitVRLittleEndian)
    handlers: list[evt.EventHandlerType] = [(evt.EVT_C_STORE, lambda _: 0x0000), (event, handler)]
    running = entity.start_server((LOOPBACK, 0), block=False, evt_handlers=handlers)
    assert running is not None
    try:
        yield Peer(LOOPBACK, running.server_address[1], "PLAIN", response_seconds=PATIENCE)
    finally:
        running.shutdown()


def test_an_answer_to_another_request_does_not_count(tmp_path: Path) -> None:
    def answer_another(event: evt.Event) -> None:
        event.message.command_set.MessageIDBeingRespondedTo = 99

    with server(16382, evt.EVT_DIMSE_SENT, answer_another) as peer:
        message, results = failing(peer, [write_xa(tmp_path / "a")])

    assert "answered with an invalid message" in message
    assert [each.outcome for each in results] == ["no-answer"]


@pytest.mark.parametrize("limit", [0, 1024, 4 * 1024 * 1024])
def test_pieces_are_as_long_as_both_sides_like(tmp_path: Path, limit: int) -> None:
    """0 means no limit (PS3.8 D.1); then, and where the peer takes more, we stop at 128 KiB."""
    lengths: list[int] = []
    path = write_xa(tmp_path / "a", np.zeros((2, 512, 512), dtype=np.uint8))

    with server(limit, evt.EVT_DATA_RECV, lambda event: lengths.append(len(event.data))) as peer:
        store(peer, [path], lambda _: None)

    assert max(lengths) == 6 + (limit if 0 < limit < 128 * 1024 else 128 * 1024)


def test_a_peer_that_takes_next_to_nothing_is_an_error(tmp_path: Path) -> None:
    with server(7, evt.EVT_ACCEPTED, lambda _: None) as peer:
        message, _ = failing(peer, [write_xa(tmp_path / "a")])

    assert "takes PDUs of 7 bytes at most" in message


def test_a_long_file_is_not_loaded(long_file: Path) -> None:
    """32 MiB to a peer that stops reading: pynetdicom by itself would queue all of it."""
    with FakePacs(deaf()) as pacs:
        tracemalloc.start()
        try:
            failing(impatient(pacs.port), [long_file])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert peak < 8 * 1024 * 1024


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="an option of Linux")
@pytest.mark.parametrize("wanted", [True, False])
def test_the_options_of_the_socket_are_set_and_stay_set(tmp_path: Path, wanted: bool) -> None:
    """The kernel is asked after each answer: it forgets TCP_QUICKACK as soon as something is sent."""
    found: list[tuple[int, int]] = []

    def look(_: StoreResult) -> None:
        (wrapper,) = (thread.dul.socket for thread in our_threads() if isinstance(thread, Association))
        assert wrapper is not None
        assert wrapper.socket is not None
        no_delay, quick_ack = (
            wrapper.socket.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_NODELAY, socket.TCP_QUICKACK)
        )
        found.append((no_delay, quick_ack))

    files = [write_xa(tmp_path / name, SOPInstanceUID=uid(name)) for name in "abcd"]
    with FakePacs() as pacs:
        store(pacs.peer(), files, look, options=SocketOptions(no_delay=wanted, quick_ack=wanted))

    assert found == [(int(wanted), int(wanted))] * 4
