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
