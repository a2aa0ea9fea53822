"""Who may come in when many are there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pynetdicom.acse import ACSE

from casgan_dicom.node.door.connections import Connections
from tests.node.listening import Listening, listening, wait_for
from tests.node.wire import ASSOCIATE_AC, Wire, associate_rq


class Peers:
    """Connections that remember who was closed."""

    def __init__(self, total: int, per_address: int) -> None:
        self.connections = Connections(total, per_address)
        self.closed: list[str] = []

    def come(self, name: str, address: str) -> bool:
        if not self.connections.admit(address):
            return False
        self.connections.add(name, address, lambda: self.closed.append(name))
        return True


def test_oldest_connection_without_association_makes_room() -> None:
    peers = Peers(total=3, per_address=3)
    for name in "abc":
        assert peers.come(name, f"10.0.0.{ord(name)}")
    peers.connections.associated("a", "A")

    assert peers.come("d", "10.0.0.9")

    assert peers.closed == ["b"]


def test_one_address_makes_room_among_its_own() -> None:
    peers = Peers(total=100, per_address=2)
    assert peers.come("old", "10.0.0.1")
    assert peers.come("a", "10.0.0.2")
    assert peers.come("b", "10.0.0.2")

    assert peers.come("c", "10.0.0.2")

    assert peers.closed == ["a"]


def test_nobody_comes_in_where_all_places_have_an_association() -> None:
    peers = Peers(total=2, per_address=2)
    for name in "ab":
        peers.come(name, "10.0.0.1")
        peers.connections.associated(name, "A")

    assert not peers.come("c", "10.0.0.2")
    peers.connections.remove("a")
    assert peers.come("c", "10.0.0.2")
    assert peers.closed == []


def test_closed_connections_whose_threads_hang_do_not_pile_up_without_end() -> None:
    peers = Peers(total=10, per_address=10)

    came = sum(peers.come(str(k), "10.0.0.1") for k in range(1000))

    assert came == len(peers.connections.all()) < 100


def test_waiting_ends_when_the_last_connection_is_gone() -> None:
    peers = Peers(total=2, per_address=2)
    peers.come("a", "10.0.0.1")
    threading.Timer(0.1, peers.connections.remove, ["a"]).start()

    assert peers.connections.wait_until_none(30)


def test_waiting_ends_in_time_when_a_connection_stays() -> None:
    peers = Peers(total=2, per_address=2)
    peers.come("a", "10.0.0.1")

    assert not peers.connections.wait_until_none(0.05)


def serves(running: Listening) -> bool:
    """Whether somebody else is served."""
    with Wire.associated(running.port) as wire:
        return wire.echo() == 0


def test_idle_connections_of_one_address_do_not_lock_others_out(tmp_path: Path) -> None:
    with listening(tmp_path / "data", max_connections=20, max_connections_per_address=5) as running:
        before = threading.active_count()
        idle = [Wire(running.port, source="127.0.0.2") for _ in range(40)]

        assert serves(running)

        wait_for(
            lambda: threading.active_count() <= before + 2 * 5, "no more threads than 5 connections have"
        )
        for wire in idle:
            wire.socket.close()


def test_idle_connections_of_many_addresses_do_not_lock_others_out(tmp_path: Path) -> None:
    with listening(tmp_path / "data", max_connections=8, max_connections_per_address=5) as running:
        idle = [Wire(running.port, source=f"127.0.1.{k}") for k in range(1, 41)]

        assert serves(running)

        for wire in idle:
            wire.socket.close()


def test_associations_keep_their_places_and_one_too_many_is_refused(tmp_path: Path) -> None:
    with listening(tmp_path / "data", max_connections=3, max_connections_per_address=3) as running:
        inside = [Wire.associated(running.port) for _ in range(3)]

        with Wire(running.port) as late:
            assert late.is_over()
        assert [wire.echo() for wire in inside] == [0, 0, 0]

        inside.pop().release()
        wait_for(lambda: _can_connect(running), "a free place")
        for wire in inside:
            wire.socket.close()


def test_a_place_is_kept_from_the_moment_an_association_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = threading.Event()

    def accept_and_dawdle(acse: ACSE) -> None:
        send_accept(acse)
        refused.wait(30)

    send_accept = ACSE.send_accept
    monkeypatch.setattr(ACSE, "send_accept", accept_and_dawdle)
    with listening(tmp_path / "data", max_connections=1) as running, Wire.associated(running.port) as inside:
        with Wire(running.port) as late:
            assert late.is_over()
        refused.set()

        assert inside.echo() == 0


def _can_connect(running: Listening) -> bool:
    with Wire(running.port) as wire:
        wire.socket.sendall(associate_rq())
        return wire.read()[0] == ASSOCIATE_AC
