"""What peers can do to a listener that talks TLS: nothing that lasts, and nobody waits for them."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic

import pytest
from pynetdicom import AE
from pynetdicom.presentation import build_context
from pynetdicom.transport import AssociationServer

from casgan_dicom.node.receive.peer_socket import Limits
from tests.node.listening import (
    Listening,
    data_set,
    events,
    listening,
    log_lines,
    open_files,
    resident_bytes,
    wait_for,
)
from tests.node.secure import Authority, Pair, SecureWire, client, listener_keys
from tests.node.wire import (
    ABORT,
    ASSOCIATE_RJ,
    DATA,
    VERIFICATION,
    XA,
    XA_CONTEXT,
    Wire,
    associate_rq,
    p_data,
    pdu,
    store_command,
)
from tests.support.factories import uid

BUSY = bytes([0, 2, 3, 2])
IMPATIENT = Limits(io=0.5, pdu=1.0, request=0.5, idle=1.0)
SLACK = 5.0
"""How much longer than a second an answer may take on a busy machine."""


@pytest.fixture
def quick(tmp_path: Path, authority: Authority, node: Pair) -> Iterator[Listening]:
    """A listener without patience; after the test nothing of any connection may be left."""
    threads, files = threading.active_count(), open_files()
    with listening(tmp_path / "data", limits=IMPATIENT, **listener_keys(authority, node)) as running:
        base = threading.active_count(), open_files()
        yield running
        wait_for(lambda: (threading.active_count(), open_files()) == base, "threads and files of the start")
    assert (threading.active_count(), open_files()) == (threads, files)


def client_hello(context: ssl.SSLContext) -> bytes:
    """The first bytes of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def test_stock_server_waits_for_one_peer_that_says_nothing(authority: Authority, node: Pair) -> None:
    """Why ours is another: pynetdicom (3.0.4) shakes hands where it accepts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(node.certificate, node.key)
    ae = AE("STOCK")
    ae.network_timeout = 1
    server = ae.make_server(
        ("127.0.0.1", 0),
        contexts=[build_context(VERIFICATION)],
        ssl_context=context,
        server_class=AssociationServer,
    )
    thread = threading.Thread(target=server.serve_forever, args=[0.1])
    thread.start()
    port = server.server_address[1]
    idle = socket.create_connection(("127.0.0.1", port))
    try:
        late = socket.create_connection(("127.0.0.1", port), 2)
        with late, pytest.raises(TimeoutError):
            client(authority).wrap_socket(late, server_hostname="localhost")
    finally:
        idle.close()  # only now does it go on
        super(AssociationServer, server).shutdown()
        server.server_close()
        thread.join()


def test_others_are_served_while_200_handshakes_are_open(
    tmp_path: Path, authority: Authority, node: Pair, modality: Pair
) -> None:
    context = client(authority, modality)
    hello = client_hello(context)
    keys = listener_keys(authority, node) | {"max_connections": 250, "max_connections_per_address": 250}
    with listening(tmp_path / "data", **keys) as running, ExitStack() as stack:
        before = resident_bytes()
        for number in range(200):
            wire = stack.enter_context(Wire(running.port, source=f"127.0.1.{1 + number % 200}"))
            if number % 2:
                wire.send(hello[: 1 + number * len(hello) // 200])
        start = monotonic()
        with SecureWire.let_in(running.port, context) as legitimate:
            assert legitimate.echo() == 0
        taken = monotonic() - start

        assert taken <= 1 + SLACK
        assert resident_bytes() - before < 50 * 2**20


@pytest.mark.parametrize("sent", ["nothing", "half", "hello", "a byte now and then"])
def test_handshake_that_does_not_end_is_not_waited_for(
    quick: Listening, authority: Authority, modality: Pair, sent: str
) -> None:
    context = client(authority, modality)
    hello = client_hello(context)
    start = monotonic()
    with Wire(quick.port) as wire:
        if sent == "half":
            wire.send(hello[:100])
        elif sent == "hello":
            wire.send(hello)
        elif sent != "nothing":
            with suppress(OSError):
                for at in range(200):
                    wire.send(hello[at : at + 1])
                    wire.socket.settimeout(0.1)
                    with suppress(TimeoutError):
                        if not wire.socket.recv(1, socket.MSG_PEEK):
                            break
            wire.socket.settimeout(30)
        assert wire.is_over()
    assert monotonic() - start < 20  # 1 s, and slack
    with SecureWire.let_in(quick.port, context) as other:
        assert other.echo() == 0


def test_half_a_record_does_not_keep_a_processor_busy(
    secure: Listening, authority: Authority, modality: Pair
) -> None:
    with SecureWire.let_in(secure.port, client(authority, modality)) as wire:
        raw = socket.socket(fileno=socket.dup(wire.socket.fileno()))
        with raw:
            raw.sendall(b"\x17\x03\x03\x40\x00" + bytes(100))
            before = _processor_seconds()
            assert not threading.Event().wait(1.0)
            assert _processor_seconds() - before < 0.5


def _processor_seconds() -> float:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize(
    "sent", [b"\x17\x03\x03\x00\x20" + bytes(32), b"plain bytes in between", b"\x15\x03\x03\x00\x02\x02\x28"]
)
def test_record_that_was_changed_ends_the_association_and_is_told(
    tmp_path: Path, authority: Authority, node: Pair, modality: Pair, sent: bytes
) -> None:
    with log_lines() as stream:
        with listening(tmp_path / "data", **listener_keys(authority, node)) as running:
            wire = SecureWire.let_in(running.port, client(authority, modality))
            with socket.socket(fileno=socket.dup(wire.socket.fileno())) as raw:
                raw.sendall(sent)
                raw.settimeout(30)
                with suppress(ConnectionError):
                    while raw.recv(4096):
                        continue
            wire.socket.close()
            wait_for(lambda: "association aborted" in stream.getvalue(), "the line")
        assert "Error" not in "".join(str(event.get("reason")) for event in events(stream))


def test_half_pdus_and_false_lengths_end_as_without_tls(
    quick: Listening, authority: Authority, modality: Pair
) -> None:
    context = client(authority, modality)
    with SecureWire.let_in(quick.port, context) as wire:
        wire.send(p_data(XA_CONTEXT, 3, store_command(XA, uid("instance")))[:50])
        assert wire.is_over()
    with SecureWire.let_in(quick.port, context) as wire:
        wire.send(struct.pack(">BBI", DATA, 0, 2**32 - 1))
        assert wire.read()[0] == ABORT
        assert wire.is_over()
    with SecureWire(quick.port, context) as wire:
        assert wire.is_over()  # shook hands, and asked for nothing


@pytest.mark.parametrize("how", ["reset", "close", "close_notify", "A-ABORT"])
def test_peer_that_leaves_leaves_nothing(
    quick: Listening, authority: Authority, modality: Pair, folder: Path, how: str
) -> None:
    for _ in range(3):
        wire = SecureWire.let_in(quick.port, client(authority, modality))
        wire.send(p_data(XA_CONTEXT, 3, store_command(XA, uid("instance"))))
        wire.send(p_data(XA_CONTEXT, 0, data_set(folder)[:500]))
        wait_for(quick.files, "the first bytes on the disk")
        if how == "reset":
            wire.reset()
        elif how == "A-ABORT":
            wire.send(pdu(ABORT, bytes(4)))
            assert wire.is_over()
            wire.socket.close()
        elif how == "close":
            wire.socket.close()
        else:
            with suppress(OSError), wire.socket as line:
                assert isinstance(line, ssl.SSLSocket)
                line.unwrap()
        wait_for(lambda: not quick.files(), "nothing on the disk")
    assert quick.rows() == []


def test_who_finds_no_room_is_told_by_tls(
    tmp_path: Path, authority: Authority, node: Pair, modality: Pair
) -> None:
    context = client(authority, modality)
    keys = listener_keys(authority, node) | {"max_connections_per_address": 2}
    with listening(tmp_path / "data", **keys) as running, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(SecureWire.let_in(running.port, context))
        with Wire(running.port) as plain:
            plain.send(associate_rq())
            assert plain.read()[0] not in (ASSOCIATE_RJ, 2)
        for piece in (50, 10_000):
            with SecureWire(running.port, context) as wire:
                request = associate_rq()
                for at in range(0, len(request), piece):
                    wire.send(request[at : at + piece])

                assert wire.read() == (ASSOCIATE_RJ, BUSY)
                assert wire.is_over()
    assert ("no room", 3) in [(row["reason"], row["count"]) for row in running.rows("rejections")]


def test_listener_stops_while_handshakes_are_open(
    tmp_path: Path, authority: Authority, node: Pair, modality: Pair
) -> None:
    hello = client_hello(client(authority, modality))
    with listening(tmp_path / "data", **listener_keys(authority, node)) as running, ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(Wire(running.port)).send(hello[:-1])
        stack.enter_context(SecureWire.let_in(running.port, client(authority, modality)))
        start = monotonic()
        running.stop.set()
    assert monotonic() - start < 30  # some 5 s, and slack
