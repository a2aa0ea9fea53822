"""R8 and R9: senders that misbehave, and archives that do.

Without TLS and with it. R9 with TLS: those faults that TLS changes, all with --soak.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from casgan_dicom.node.client.peer_tls import PeerTls
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.deliveries import Deliveries
from tests.faults.conftest import ToArchive
from tests.faults.modality import cine, send, send_until_stored, stills
from tests.model.bundles import write_bundle
from tests.node.nodes import Node, destination, node_settings, running_node, wait_for
from tests.support.factories import uid
from tests.support.fake_pacs import (
    NORMAL,
    Behaviour,
    FakePacs,
    abort,
    answer,
    hang,
    ignore,
    mute,
    reject,
    reset,
)


@pytest.fixture(autouse=True)
def fast_bundle(tmp_path: Path) -> None:
    """The bundle that the nodes use, for frames of 64 px: what is drawn does not matter to a peer."""
    write_bundle(tmp_path / "bundle", ["data.frame_size=64"], attention_bias=-3)


@pytest.fixture
def archive() -> Iterator[FakePacs]:
    with FakePacs() as running:
        yield running


Faults = Mapping[str, Behaviour | None]
"""By what they are called; None for a port that is closed."""
FAULTS: Faults = {
    "refuses connections": None,
    "does not answer the association": ignore(),
    "rejects the called AE title": reject(1, 1, 7),
    "is busy": reject(2, 3, 2),
    "is out of resources": answer(0xA700),
    "hangs": hang(),
    "aborts": abort(),
    "resets in mid-request": reset("request"),
    "resets in mid-response": reset("response"),
}
FAULTS_TLS: Faults = {**FAULTS, "does not answer the handshake": mute()}
SHORT_TLS = (
    "does not answer the handshake",
    "rejects the called AE title",
    "hangs",
    "resets in mid-request",
)


def test_every_fault_of_an_archive_ends_with_everything_delivered_and_blocks_no_other(
    to_archive: ToArchive, archive: FakePacs, tmp_path: Path, soak: bool
) -> None:
    faults = FAULTS
    if to_archive.is_secure:
        faults = FAULTS_TLS if soak else {name: FAULTS_TLS[name] for name in SHORT_TLS}
    with to_archive.pacs() as pacs:
        broken = replace(
            to_archive.destination("pacs", pacs), connect_seconds=1, response_seconds=1
        )  # waits for it are long
        _break_and_repair(
            node_settings(tmp_path, broken, destination("archive", archive)), pacs, archive, faults
        )

    assert pacs.stored == archive.stored
    assert len(pacs.stored) == len(faults)


def _break_and_repair(settings: NodeSettings, pacs: FakePacs, archive: FakePacs, faults: Faults) -> None:
    """Let the first archive have one fault after the other, while series come for both."""
    with running_node(settings) as node:
        for k, (name, fault) in enumerate(faults.items(), 1):
            _break(pacs, fault)
            send(node.port, [cine(settings.data.parent / "sent", name, frames=12)])

            wait_for(lambda k=k: len(archive.stored) == k, f"delivery to the other archive: {name}")  # type: ignore[misc]
            wait_for(lambda: _tries(node) >= 2, f"a second attempt: {name}")
            _repair(pacs, fault)
            rows = node.wait_until_settled(k)
            assert [row.state for row in rows] == ["done"] * k, name


def _break(pacs: FakePacs, fault: Behaviour | None) -> None:
    if fault is None:
        pacs.close_port()
    else:
        pacs.behaviour = fault


def _repair(pacs: FakePacs, fault: Behaviour | None) -> None:
    if fault is None:
        pacs.open_port()
    else:
        pacs.behaviour = NORMAL


def _tries(node: Node) -> int:
    """Attempts of the latest job at the archive that is broken."""
    return next(each.attempts for each in node.jobs()[-1].deliveries if each.destination == "pacs")


def test_a_warning_counts_as_stored(pacs: FakePacs, tmp_path: Path) -> None:
    pacs.behaviour = answer(0xB000)

    with running_node(node_settings(tmp_path, destination("pacs", pacs))) as node:
        send(node.port, [cine(tmp_path / "sent", "a")])
        (row,) = node.wait_until_settled(1)

    assert row.state == "done"
    assert list(pacs.requests.values()) == [1]


def test_what_is_refused_for_good_is_a_dead_letter_until_it_is_tried_again(
    pacs: FakePacs, tmp_path: Path
) -> None:
    pacs.behaviour = answer(0xC000)

    with running_node(node_settings(tmp_path, destination("pacs", pacs))) as node:
        send(node.port, [cine(tmp_path / "sent", "a")])
        (row,) = node.wait_until_settled(1)
        assert (row.state, row.deliveries[0].state) == ("undelivered", "dead")
        assert "0xC000" in row.deliveries[0].reason
        assert pacs.stored == {}
        pacs.behaviour = NORMAL
        Deliveries(node.ledger).retry([row.job], 0.0)
        wait_for(lambda: node.jobs()[0].state == "done", "the delivery after the retry")

    assert list(pacs.requests.values()) == [2]
    assert len(pacs.stored) == 1


def test_an_archive_that_stays_away_too_long_makes_a_dead_letter(pacs: FakePacs, tmp_path: Path) -> None:
    settings = node_settings(tmp_path, destination("pacs", pacs))
    impatient = replace(settings, retry=replace(settings.retry, give_up_seconds=1.5))
    pacs.close_port()

    with running_node(impatient) as node:
        send(node.port, [cine(tmp_path / "sent", "a")])
        (row,) = node.wait_until_settled(1)

    assert (row.state, row.deliveries[0].state) == ("undelivered", "dead")
    assert row.deliveries[0].attempts >= 2


def test_waiting_deliveries_survive_a_restart_of_the_node(pacs: FakePacs, tmp_path: Path) -> None:
    settings = node_settings(tmp_path, destination("pacs", pacs))
    pacs.close_port()
    with running_node(settings) as node:
        send(node.port, [cine(tmp_path / "sent", "a")])
        node.wait_for_attempts(1)

    pacs.open_port()
    with running_node(settings) as node:
        (row,) = node.wait_until_settled(1)

    assert row.state == "done"
    assert list(pacs.requests.values()) == [1]


def test_duplicates_disorder_and_four_senders_at_once_give_one_conversion_for_each_series(
    pacs: FakePacs, tmp_path: Path, keys: dict[str, Any], sender_tls: PeerTls | None
) -> None:
    names = ["a", "b", "c", "d"]
    runs = {name: stills(tmp_path / "sent" / name, name, 6) for name in names}
    settings = node_settings(tmp_path, destination("pacs", pacs))
    settings = replace(settings, listener=replace(settings.listener, **keys))

    with running_node(_patient(settings)) as node:
        senders = [
            threading.Thread(target=_send_one_by_one, args=[node.port, name, runs, sender_tls])
            for name in names
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        rows = node.wait_until_settled(len(names))

    assert sorted((row.series_uid, row.instances, row.state) for row in rows) == sorted(
        (uid(f"series {name}"), 6, "done") for name in names
    )
    assert list(pacs.requests.values()) == [1] * len(names)


def _patient(settings: NodeSettings) -> NodeSettings:
    """Quiet long enough for senders that make one association for each instance, on a busy machine."""
    return replace(settings, completion=replace(settings.completion, quiet_seconds=6.0, short_seconds=6.0))


def _send_one_by_one(port: int, first: str, runs: dict[str, list[Path]], tls: PeerTls | None) -> None:
    """Send the instances of all series backwards, this sender's own first, each in its own association."""
    order = sorted(runs, key=lambda name: name != first)
    for k in reversed(range(6)):
        for name in order:
            send_until_stored(port, [runs[name][k]], ae_title=f"LAB{first.upper()}", tls=tls)


def test_a_late_instance_makes_a_second_revision_that_names_the_first(pacs: FakePacs, tmp_path: Path) -> None:
    run = stills(tmp_path / "sent", "a", 6)

    with running_node(node_settings(tmp_path, destination("pacs", pacs))) as node:
        send(node.port, run[:5])
        node.wait_until_settled(1)
        send(node.port, run[5:] + run[:2])
        rows = node.wait_until_settled(2)

    assert [(row.revision, row.instances, row.state) for row in rows] == [(1, 5, "done"), (2, 1, "done")]
    first, second = (Path(row.derived[0]) for row in rows)
    assert f"supersedes series {first.parent.name}".encode() in second.read_bytes()
    assert first.parent.name != second.parent.name
    assert len(pacs.stored) == 2


def test_what_an_archive_does_not_take_now_holds_up_nothing_else_that_goes_there(
    pacs: FakePacs, tmp_path: Path
) -> None:
    settings = node_settings(tmp_path, destination("pacs", pacs))
    patient = replace(settings, retry=replace(settings.retry, first_seconds=3000, longest_seconds=3000))
    pacs.behaviour = answer(0xA700, times=1)

    with running_node(replace(patient, retry=replace(patient.retry, give_up_seconds=9000))) as node:
        send(node.port, [cine(tmp_path / "sent", "a")])
        node.wait_for_attempts(1)
        send(node.port, [cine(tmp_path / "sent", "b")])
        node.wait_until_settled(1)
        states = [row.state for row in node.jobs()]

    assert states == ["delivering", "done"]
