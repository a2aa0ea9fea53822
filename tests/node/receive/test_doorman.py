"""Who finds no room is told so by the protocol, whatever else goes on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from casgan_dicom.node.receive.doorman import MOST_AT_ONCE, Doorman
from tests.node.listening import Listening, listening, open_files, wait_for
from tests.node.wire import ASSOCIATE_RJ, Wire, associate_rq

BUSY = bytes([0, 2, 3, 2])
"""Transient, presentation related, local limit exceeded."""


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Listening]:
    """A listener with two associations, which are all that it takes from one address."""
    with listening(tmp_path / "data", max_connections_per_address=2) as running, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(Wire.associated(running.port))
        yield running


def test_one_too_many_is_rejected_for_now(full: Listening) -> None:
    for _ in range(3):
        with Wire(full.port) as wire:
            wire.send(associate_rq())

            assert wire.read() == (ASSOCIATE_RJ, BUSY)
            assert wire.is_over()


def test_request_that_comes_in_pieces_is_rejected_when_it_is_whole(full: Listening) -> None:
    request = associate_rq()
    with Wire(full.port) as wire:
        for at in range(0, len(request), 50):
            wire.send(request[at : at + 50])

        assert wire.read() == (ASSOCIATE_RJ, BUSY)


def test_many_at_once_are_told_and_those_who_are_there_go_on(full: Listening) -> None:
    answers = list[tuple[int, bytes]]()

    def ask() -> None:
        with Wire(full.port) as wire:
            wire.send(associate_rq())
            answers.append(wire.read())

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [(ASSOCIATE_RJ, BUSY)] * 20


def test_there_is_room_again_when_one_leaves(tmp_path: Path) -> None:
    with listening(tmp_path / "data", max_connections_per_address=1) as running:
        with Wire.associated(running.port), Wire(running.port) as wire:
            wire.send(associate_rq())
            assert wire.read() == (ASSOCIATE_RJ, BUSY)

        def again() -> bool:
            with Wire(running.port) as wire:
                wire.send(associate_rq())
                return wire.read()[0] != ASSOCIATE_RJ

        wait_for(again, "an association")


def test_who_says_nothing_or_something_else_is_let_go(full: Listening) -> None:
    before = open_files()
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(full.port)) for _ in range(5)]
        wires[1].send(b"GET / HTTP/1.1\r\n\r\n")
        wires[2].send(associate_rq()[:40])
        wires[3].send(b"\1\0\xff\xff\xff\xff")
        assert all(wire.is_over() for wire in wires)
    wait_for(lambda: open_files() <= before, "files that are closed")


def test_there_is_an_end_to_how_many_are_told() -> None:
    doorman, ours = Doorman(), list[socket.socket]()
    for _ in range(MOST_AT_ONCE):
        mine, theirs = socket.socketpair()
        ours.append(mine)
        assert doorman.refuse(theirs)
    mine, theirs = socket.socketpair()

    assert not doorman.refuse(theirs)

    for line in (*ours, mine, theirs):
        line.close()

    def has_room() -> bool:
        mine, theirs = socket.socketpair()
        with mine:
            if is_taken := doorman.refuse(theirs):
                mine.shutdown(socket.SHUT_RDWR)
                wait_for(lambda: theirs.fileno() < 0, "the end of the last one")
            theirs.close()
            return is_taken

    wait_for(has_room, "room")
