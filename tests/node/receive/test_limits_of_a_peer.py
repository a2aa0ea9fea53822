"""What one peer may take of the listener: associations, bytes a second, length of an instance; our titles."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from casgan_dicom.node.settings import PeerSettings
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import status
from tests.node.listening import Listening, data_set, events, listening, log_lines, wait_for
from tests.node.wire import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    XA,
    XA_CONTEXT,
    Wire,
    associate_rq,
    p_data,
    store_command,
)
from tests.support.factories import uid

HERE = "127.0.0.0/8"
KIBIBYTE = 1024


def asked(port: int, **titles: str) -> tuple[Wire, int, bytes]:
    """A connection that has asked for an association, and the answer."""
    wire = Wire(port)
    wire.send(associate_rq(**titles))  # type: ignore[arg-type]
    return wire, *wire.read()


def test_associations_of_a_peer_are_counted_and_one_too_many_is_rejected_for_now(tmp_path: Path) -> None:
    peers = (PeerSettings("MODALITY", HERE, max_associations=2), PeerSettings("OTHER", HERE))
    with listening(tmp_path / "data", peers=peers) as running:
        inside = [Wire.associated(running.port) for _ in range(2)]

        wire, kind, body = asked(running.port)
        assert (kind, body) == (ASSOCIATE_RJ, bytes([0, 2, 3, 2]))
        wire.socket.close()
        with Wire.associated(running.port, calling="OTHER") as other:
            assert other.echo() == 0
        assert [each.echo() for each in inside] == [0, 0]

        inside.pop().release()

        def again() -> bool:
            wire, kind, _ = asked(running.port)
            wire.socket.close()
            return kind == ASSOCIATE_AC

        wait_for(again, "a place of this peer")
        inside.pop().reset()


def test_peer_that_sends_too_fast_is_slowed_down_and_nobody_else(tmp_path: Path, folder: Path) -> None:
    peers = (PeerSettings("SLOW", HERE, max_bytes_per_second=256 * KIBIBYTE), PeerSettings("OTHER", HERE))
    content = data_set(folder, frames=np.zeros((2, 400, 800), np.uint16))  # 1.2 MiB
    with listening(tmp_path / "data", peers=peers) as running:
        start = monotonic()
        with Wire.associated(running.port, calling="SLOW") as slow:
            slow.send_data_set(store_command(XA, uid("instance")), content, piece=16_000)
            with Wire.associated(running.port, calling="OTHER") as other:
                assert other.store(XA, uid("instance"), content).status == 0
            for_others = monotonic() - start
            assert slow.reply().status == 0
            took = monotonic() - start

    bytes_in_burst = 256 * KIBIBYTE  # what is not used is made up for, a second's worth
    assert took >= 0.9 * (len(content) - bytes_in_burst) / (256 * KIBIBYTE)
    assert for_others < took


def test_listener_does_not_wait_for_a_peer_that_is_slowed_down(tmp_path: Path) -> None:
    peers = (PeerSettings("SLOW", HERE, max_bytes_per_second=64 * KIBIBYTE),)
    with listening(tmp_path / "data", peers=peers) as running:
        wire = Wire.associated(running.port, calling="SLOW")
        wire.send(p_data(XA_CONTEXT, 3, store_command(XA, uid("instance"))))
        for _ in range(8):
            wire.send(p_data(XA_CONTEXT, 0, bytes(128_000)))  # 16 seconds' worth
        wait_for(lambda: list(running.layout.incoming.iterdir()), "the beginning of an instance")
        start = monotonic()
    assert monotonic() - start < 12  # the 3 s that associations may go on, and slack
    assert not list(running.layout.incoming.iterdir())
    wire.socket.close()


def test_instance_that_is_too_long_for_its_sender_is_refused(tmp_path: Path, folder: Path) -> None:
    content = data_set(folder, frames=np.zeros((1, 100, 100), np.uint16))
    peers = (
        PeerSettings("SMALL", HERE, max_instance_bytes=10_000),
        PeerSettings("LARGE", HERE, max_instance_bytes=len(content)),
    )
    with listening(tmp_path / "data", peers=peers) as running:
        with Wire.associated(running.port, calling="SMALL") as wire:
            reply = wire.store(XA, uid("instance"), content, piece=4_000)
            assert (reply.status, reply.comment) == (0xA700, "data set is too long")
            assert wire.read()[0] == ABORT
        with Wire.associated(running.port, calling="LARGE") as wire:
            assert wire.store(XA, uid("instance"), content).status == 0
        assert len(running.files()) == 1


@pytest.mark.parametrize(
    ("calling", "called", "is_let_in"),
    [
        ("ANY", "CASGAN", True),
        ("ANY", "CASGAN_CT", True),
        ("ANY", "CASGAN_MR", False),
        ("CT", "CASGAN_CT", True),
        ("CT", "CASGAN", False),
    ],
)
def test_several_titles_on_one_port(tmp_path: Path, calling: str, called: str, is_let_in: bool) -> None:
    peers = (PeerSettings("ANY", HERE), PeerSettings("CT", HERE, called_ae_titles=("CASGAN_CT",)))
    with listening(tmp_path / "data", peers=peers, ae_titles=("CASGAN_CT",)) as running:
        wire, kind, body = asked(running.port, calling=calling, called=called)
        with wire:
            assert (kind == ASSOCIATE_AC) == is_let_in
            assert is_let_in or body == bytes([0, 1, 1, 7])


@pytest.mark.parametrize("called", ["CASGAN", "CASGAN_CT"])
def test_the_title_that_was_called_is_written_down_for_rules(
    tmp_path: Path, folder: Path, called: str
) -> None:
    with listening(tmp_path / "data", ae_titles=("CASGAN_CT",)) as running:
        wire, kind, _ = asked(running.port, called=called)
        with wire:
            assert kind == ASSOCIATE_AC
            assert wire.store(XA, uid("instance"), data_set(folder)).status == 0

    assert [(row["peer"], row["called"]) for row in running.rows()] == [("MODALITY", called)]


def test_whoever_is_not_let_in_is_counted_by_reason_and_told(tmp_path: Path) -> None:
    peers = (PeerSettings("MODALITY", HERE, max_associations=1),)
    with (
        log_lines() as stream,
        listening(tmp_path / "data", peers=peers) as running,
        Wire.associated(running.port),
    ):
        for titles in ({}, {"calling": "STRANGER"}, {"calling": "STRANGER"}, {"called": "PACS"}):
            wire, kind, _ = asked(running.port, **titles)
            wire.socket.close()
            assert kind == ASSOCIATE_RJ
        wait_for(lambda: _rejected(running) == COUNTED, "counts that are written down")

    told = [line for line in events(stream) if line["event"] == "association rejected"]
    assert [(line["ae_title"], line["called"]) for line in told] == [
        ("MODALITY", "CASGAN"),
        ("STRANGER", "CASGAN"),
        ("STRANGER", "CASGAN"),
        ("MODALITY", "PACS"),
    ]
    ledger = Ledger(running.layout.ledger)
    assert status(running.layout, ledger).rejected == COUNTED
    ledger.close()


def test_a_flood_of_rejections_is_counted_whole_and_told_a_few_times(tmp_path: Path) -> None:
    with log_lines() as stream:
        with listening(tmp_path / "data", peers=(PeerSettings("MODALITY", HERE),)) as running:
            for _ in range(30):
                wire, kind, _ = asked(running.port, calling="STRANGER")
                wire.socket.close()
                assert kind == ASSOCIATE_RJ
        told = [each for each in events(stream) if each["event"] == "association rejected"]

    assert [(row["reason"], row["count"]) for row in running.rows("rejections")] == [("sender", 30)]
    assert len(told) == 20
    assert running.layout.audit.read_text(encoding="utf-8").count('originalText="Security Alert"') == 20


COUNTED = {"called title": 1, "sender": 2, "too many associations": 1}


def _rejected(running: Listening) -> dict[str, int]:
    return {row["reason"]: row["count"] for row in running.rows("rejections")}


def test_rejections_are_counted_and_told_of_no_more_than_now_and_then(tmp_path: Path) -> None:
    peers = (PeerSettings("MODALITY", HERE),)
    with log_lines() as stream, listening(tmp_path / "data", peers=peers) as running:
        for _ in range(60):
            wire, _, _ = asked(running.port, calling="STRANGER")
            wire.socket.close()

    assert _rejected(running) == {"sender": 60}
    told = [line for line in events(stream) if line["event"] == "association rejected"]
    assert len(told) == 20
