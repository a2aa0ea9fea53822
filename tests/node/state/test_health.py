"""Is a node well, in the words of monitoring programs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from casgan_dicom.node.certificates import Expiry
from casgan_dicom.node.settings import PeerSettings
from casgan_dicom.node.state.audit_sent import Sent
from casgan_dicom.node.state.health import Level, findings, peers_away, worst
from casgan_dicom.node.state.overview import Status

WELL = Status(
    data=Path("/data"),
    phase="running",
    processes={"listener": 1},
    jobs={"done": 7, "skipped": 2, "receiving": 1},
    deliveries={"pacs": {"sent": 7, "waiting": 1}},
    instances=12,
    quarantined_instances=0,
    free_bytes=10 * 2**30,
)
MIN_FREE = 2**30


def test_a_node_that_works_is_well() -> None:
    assert findings(WELL, MIN_FREE) == ()
    assert worst(()) is Level.OK


@pytest.mark.parametrize(
    ("status", "level", "text"),
    [
        (replace(WELL, phase="stopped"), Level.CRITICAL, "the node is stopped"),
        (replace(WELL, phase="starting"), Level.WARNING, "the node is starting"),
        (replace(WELL, free_bytes=2**29), Level.CRITICAL, "0.5 GiB free, instances are refused"),
        (replace(WELL, free_bytes=3 * 2**29), Level.WARNING, "1.5 GiB free"),
        (replace(WELL, jobs={"failed": 3}), Level.WARNING, "3 jobs failed"),
        (replace(WELL, jobs={"quarantined": 1}), Level.WARNING, "1 jobs quarantined"),
        (replace(WELL, jobs={"undelivered": 1}), Level.WARNING, "1 jobs undelivered"),
        (replace(WELL, deliveries={"pacs": {"dead": 2}}), Level.WARNING, "2 dead letters to pacs"),
        (replace(WELL, quarantined_instances=4), Level.WARNING, "4 instances in quarantine"),
        (
            replace(WELL, audit=Sent(lost=3)),
            Level.WARNING,
            "3 audit messages were dropped before they were sent",
        ),
        (
            replace(WELL, audit=Sent(failing_since=datetime(2026, 12, 1, 9, 5).timestamp(), reason="away")),
            Level.WARNING,
            "the audit trail cannot be sent since 2026-12-01 09:05: away",
        ),
        (
            replace(WELL, excess_bytes=3 * 2**29),
            Level.WARNING,
            "1.5 GiB in spool and outbox above high_bytes, and may not be removed",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_weight(status: Status, level: Level, text: str) -> None:
    (found,) = findings(status, MIN_FREE)

    assert (found.level, found.text) == (level, text)


def test_the_worst_counts() -> None:
    found = findings(replace(WELL, phase="stopped", quarantined_instances=1), MIN_FREE)

    assert len(found) == 2
    assert worst(found) is Level.CRITICAL
    assert int(Level.UNKNOWN) == 3


def test_each_kind_of_thing_can_be_told_from_the_others() -> None:
    found = replace(
        WELL,
        free_bytes=2**29,
        jobs={"failed": 1, "quarantined": 1, "undelivered": 1},
        deliveries={"pacs": {"dead": 1}, "web": {"dead": 2}},
        paused=("deliveries to pacs",),
        audit=Sent(lost=1),
    )
    certificates = [Expiry("web.tls_certificate", Path("/web.pem"), -1)]

    keys = [(each.event, each.about) for each in findings(found, MIN_FREE, certificates)]

    assert len(set(keys)) == len(keys)
    assert set(keys) == {
        ("disk", "free"), ("failed", "jobs"), ("quarantine", "jobs"), ("dead_letter", "jobs"),
        ("dead_letter", "pacs"), ("dead_letter", "web"), ("paused", "deliveries to pacs"), ("audit", "lost"),
        ("certificate", "web.tls_certificate"),
    }  # fmt: skip


def test_a_peer_is_away_after_it_has_been_silent_for_longer_than_is_expected() -> None:
    peers = (
        PeerSettings("QUIET", "10.1.2.3", expected_every_seconds=100.0),
        PeerSettings("TALKS", expected_every_seconds=100.0),
        PeerSettings("NEVER", expected_every_seconds=100.0),
        PeerSettings("ANY"),
    )
    contacts = {"QUIET": 899.0, "TALKS": 900.0, "ANY": 0.0}

    found = list(peers_away(peers, contacts, 1000.0))

    assert [(each.about, each.event, each.level) for each in found] == [("QUIET", "peer_away", Level.WARNING)]
    assert found[0].text.startswith("nothing from peer QUIET since 1970-01-01 ")
