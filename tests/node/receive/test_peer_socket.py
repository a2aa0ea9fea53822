"""The socket of one association."""

from __future__ import annotations

import socket
import threading
from time import monotonic

from pynetdicom import AE
from pynetdicom.association import Association

from casgan_dicom.node.receive.peer_socket import Limits, PeerSocket

MEBIBYTE = 2**20


def test_peer_that_reads_nothing_counts_as_gone() -> None:
    association = Association(AE(), "acceptor")
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.create_connection(server.getsockname())
        line = PeerSocket(association, server.accept()[0], Limits(io=0.3))
    with peer:
        start = monotonic()
        line.send(bytes(64 * MEBIBYTE))
        line.release()

    assert 0.3 <= monotonic() - start < 10
    assert "Evt17" in association.dul.event_queue.queue


def test_sleep_ends_when_somebody_wakes_it() -> None:
    association = Association(AE(), "acceptor")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        line = PeerSocket(association, server.accept()[0], Limits())
        threading.Timer(0.1, line.wake).start()
        start = monotonic()
        line.wait(60)
        slept = monotonic() - start
        line.wait(0.05)  # woken once, not for ever
        assert monotonic() - start - slept >= 0.05
        line.release()
        line.wake()  # does nothing any more

    assert slept < 30


def _pdu(kind: int, length: int) -> bytes:
    return bytes([kind, 0]) + length.to_bytes(4, "big") + bytes([length % 251]) * length


def test_whole_pdus_are_read_whatever_pieces_they_come_in() -> None:
    association = Association(AE(), "acceptor")
    sent = [_pdu(4, length) for length in (1, 100, 131072, 7, 70000, 131072, 131072, 0, 5000, 200_000, 3)]
    stream = b"".join(sent)
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.create_connection(server.getsockname())
        line = PeerSocket(association, server.accept()[0], Limits())

    def send() -> None:
        for at in range(0, len(stream), 50_001):
            peer.sendall(stream[at : at + 50_001])

    sender = threading.Thread(target=send)
    sender.start()
    with peer:
        assert [bytes(line.read_pdu(200_000, 30)) for _ in sent] == sent
        sender.join()
        assert not line.ready
        line.release()


def test_pdu_that_came_with_the_one_before_is_not_waited_for() -> None:
    association = Association(AE(), "acceptor")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as peer,
    ):
        line = PeerSocket(association, server.accept()[0], Limits())
        peer.sendall(_pdu(4, 10) + _pdu(5, 4))
        line.read_pdu(100, 30)
        start = monotonic()
        line.wait(60)

        assert monotonic() - start < 30
        assert line.ready
        assert line.read_pdu(100, 30)[0] == 5
        assert not line.ready
        line.release()
