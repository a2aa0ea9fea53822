"""Attempts of deliveries: where they go, when, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from casgan_dicom.node.settings import (
    AuditSettings,
    DestinationSettings,
    ListenerSettings,
    NodeSettings,
    RetrySettings,
    StateSettings,
)
from casgan_dicom.node.state.audit_entry import entry_of
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.deliveries import Deliveries, Derived
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import DeliveryRow, list_jobs
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.node.work import sender
from casgan_dicom.node.work.sender import LOOK_AGAIN_SECONDS, Sender
from tests.node.ledgers import received
from tests.support.factories import uid, write_xa
from tests.support.fake_pacs import FakePacs
from tests.support.orthanc import free_ports
from tests.support.web_server import Reply, WebServer

NAMES = ("a", "b")


@pytest.fixture
def ledger(tmp_path: Path, state_settings: StateSettings) -> Iterator[Ledger]:
    opened = open_ledger(NodeSettings(data=tmp_path, state=state_settings))
    yield opened
    opened.close()


@pytest.fixture
def job(ledger: Ledger, tmp_path: Path) -> str:
    """A job with two objects for a destination called out."""
    (tmp_path / "outbox").mkdir(exist_ok=True)
    made = [
        Derived(uid(n), uid("series"), write_xa(tmp_path / "outbox" / n, SOPInstanceUID=uid(n)), "ab", 4)
        for n in NAMES
    ]
    job = Receipts(ledger, "r").enter(received("a"), 1.0).job
    Deliveries(ledger).put(job, made, ["out"], 1.0)
    return job


def sends_to(ledger: Ledger, destination: DestinationSettings) -> Sender:
    retry = RetrySettings(first_seconds=4.0, longest_seconds=8.0, give_up_seconds=3600.0)
    data = Path(list_jobs(ledger)[0].derived[0]).parents[1]  # where the objects of the job lie in its outbox
    return Sender(
        NodeSettings(data=data, listener=ListenerSettings(), retry=retry, destinations=(destination,)), ledger
    )


def row(ledger: Ledger) -> DeliveryRow:
    (job,) = list_jobs(ledger)
    (delivery,) = job.deliveries
    return delivery


def requests(ledger: Ledger) -> dict[str, int]:
    """How often each object was asked to be stored."""
    with ledger.reading() as db:
        return dict(db.execute("SELECT sop_uid, requests FROM stores").fetchall())


def test_every_kind_of_destination_gets_every_object_once(
    ledger: Ledger, job: str, pacs: FakePacs, tmp_path: Path
) -> None:
    share = tmp_path / "share"
    share.mkdir()
    with WebServer() as server:
        kinds = [
            DestinationSettings("out", "127.0.0.1", pacs.port, pacs.ae_title),
            DestinationSettings("web", kind="stow", url=server.url),
            DestinationSettings("share", kind="folder", folder=share),
        ]
        Deliveries(ledger).put(job, [], ["web", "share"], 1.0)
        sending = Sender(NodeSettings(data=tmp_path, destinations=tuple(kinds)), ledger)

        states = [sending.attempt(job, each.name, 1)["state"] for _ in range(2) for each in kinds]

        assert states == ["sent"] * 6
        assert sorted(server.stored()) == sorted(map(uid, NAMES))
    assert sorted(pacs.stored) == sorted(map(uid, NAMES))
    assert {path.stem for path in share.rglob("*.dcm")} == set(map(uid, NAMES))
    assert set(requests(ledger).values()) == {1}


def test_what_a_server_stored_before_it_broke_is_not_sent_again(ledger: Ledger, job: str) -> None:
    with WebServer() as server:
        server.replies = [Reply(), Reply(does="close")]
        web = DestinationSettings("out", kind="stow", url=server.url, request_instances=1)
        sending = sends_to(ledger, web)

        first, second = (sending.attempt(job, "out", 1) for _ in range(2))

        assert (first["state"], second["state"]) == ("waiting", "sent")
        assert server.stored() == [uid(n) for n in (*sorted(NAMES, key=uid), sorted(NAMES, key=uid)[1])]
    assert sorted(requests(ledger).values()) == [1, 2]


def test_a_busy_server_is_left_alone_for_as_long_as_it_says(ledger: Ledger, job: str) -> None:
    with WebServer() as server:
        server.replies = [Reply(503, {"Retry-After": "1000"}, b"")]
        attempt = sends_to(ledger, DestinationSettings("out", kind="stow", url=server.url)).attempt(
            job, "out", 1
        )

    assert attempt["state"] == "waiting"
    assert attempt["wait_seconds"] == 1000.0
    assert server.url in attempt["reason"]


def test_what_a_server_refuses_is_a_dead_letter(ledger: Ledger, job: str) -> None:
    with WebServer() as server:
        server.replies = [Reply(202, failures={uid("a"): 0xA900})]
        attempt = sends_to(ledger, DestinationSettings("out", kind="stow", url=server.url)).attempt(
            job, "out", 1
        )
    assert attempt["state"] == "dead"
    assert "0xA900" in attempt["reason"]


def test_an_error_says_what_to_do(ledger: Ledger, job: str, tmp_path: Path) -> None:
    share = DestinationSettings("out", kind="folder", folder=tmp_path / "away")

    attempt = sends_to(ledger, share).attempt(job, "out", 1)

    assert attempt["state"] == "waiting"
    assert row(
        ledger
    ).reason == f"folder {tmp_path}/away: is not there; mount the share, or make the folder: " + (
        "the node never does"
    )


def closed(port: int, **changes: object) -> DestinationSettings:
    """An archive that is not there."""
    return replace(DestinationSettings("out", "127.0.0.1", port, "PACS"), **changes)  # type: ignore[arg-type]


def test_a_destination_is_tried_again_in_its_own_way(ledger: Ledger, job: str) -> None:
    (port,) = free_ports(1)
    own = closed(port, retry_first_seconds=100.0, retry_longest_seconds=100.0)
    assert 2.0 <= sends_to(ledger, closed(port)).attempt(job, "out", 1)["wait_seconds"] <= 4.0
    assert 50.0 <= sends_to(ledger, own).attempt(job, "out", 1)["wait_seconds"] <= 100.0


# Hours.

NOON = datetime(2026, 12, 1, 12, 0).astimezone()  # local time is meant; a Tuesday


class Clock:
    """The time, for the sender."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOON
        monkeypatch.setattr(sender, "time", self.read)

    def read(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_outside_its_hours_nothing_is_tried_and_nothing_counts(
    ledger: Ledger, job: str, pacs: FakePacs, clock: Clock
) -> None:
    nights = DestinationSettings("out", "127.0.0.1", pacs.port, pacs.ae_title, hours=("12:30-13:00",))
    sending = sends_to(ledger, nights)

    attempt = sending.attempt(job, "out", 1)

    told = row(ledger)
    assert (attempt["state"], attempt["wait_seconds"]) == ("waiting", 1800.0)
    assert (told.state, told.attempts) == ("waiting", 0)
    assert told.reason == f"waits for its hours: 2026-12-01 12:30 {NOON:%z}"
    assert told.next_at == (NOON + timedelta(minutes=30)).timestamp()
    assert pacs.associations == 0
    assert Deliveries(ledger).history(job, "out") == (0, None)

    clock.now += timedelta(minutes=30)
    assert sending.attempt(job, "out", 1)["state"] == "sent"
    assert row(ledger).attempts == 1


def test_what_waits_long_looks_at_the_clock_now_and_then(ledger: Ledger, job: str, clock: Clock) -> None:
    destination = closed(1, hours=("18:00-19:00",))
    attempt = sends_to(ledger, destination).attempt(job, "out", 1)
    assert attempt["wait_seconds"] == LOOK_AGAIN_SECONDS
    assert row(ledger).next_at == (NOON + timedelta(hours=6)).timestamp()


def test_time_outside_the_hours_does_not_count_towards_giving_up(
    ledger: Ledger, job: str, clock: Clock
) -> None:
    """An hour is what the delivery has in all, and two times half an hour a day is that."""
    (port,) = free_ports(1)
    sending = sends_to(ledger, closed(port, hours=("12:00-12:30",)))
    states = []
    for minutes in (0, 29, 24 * 60, 24 * 60 + 29, 2 * 24 * 60):
        clock.now = NOON + timedelta(minutes=minutes)
        states.append(sending.attempt(job, "out", 1)["state"])

    assert states == ["waiting"] * 4 + ["dead"]


def test_a_delivery_that_was_cancelled_meanwhile_waits_no_more(
    ledger: Ledger, job: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = sends_to(ledger, closed(1, hours=("18:00-19:00",)))
    sending.attempt(job, "out", 1)
    with ledger.transaction() as db:
        db.execute("UPDATE deliveries SET state = 'cancelled'")

    assert sending.attempt(job, "out", 1)["state"] == "cancelled"
    assert row(ledger).state == "cancelled"


@pytest.mark.parametrize("patients", [False, True])
def test_each_end_of_a_delivery_has_a_message_in_the_audit_trail(
    ledger: Ledger, job: str, pacs: FakePacs, tmp_path: Path, patients: bool
) -> None:
    name = "TEST-ID-0815"
    for path in (tmp_path / "outbox").iterdir():
        write_xa(path, SOPInstanceUID=uid(path.name), PatientID=name)
    out = DestinationSettings("out", "127.0.0.1", pacs.port, pacs.ae_title)
    Deliveries(ledger).put(job, [], ["web"], 1.0)
    with WebServer() as server:
        server.replies = [Reply(409, failures={uid(each): 0xC000 for each in NAMES})]
        web = DestinationSettings("web", kind="stow", url=server.url)
        audit = AuditSettings(patients=patients)
        sending = Sender(NodeSettings(data=tmp_path, destinations=(out, web), audit=audit), ledger)
        assert [sending.attempt(job, each, 1)["state"] for each in ("out", "web")] == ["sent", "dead"]

    lines = Layout(tmp_path).audit.read_bytes().splitlines()
    sent, dead = (entry_of(line) for line in lines)
    assert sent is not None
    assert dead is not None
    assert {each.event for each in (sent, dead)} == {"DICOM Instances Transferred"}
    assert (sent.outcome, dead.outcome) == ("", "serious failure")
    assert sent.who == ("casgan-dicom node", f"{pacs.ae_title} at 127.0.0.1")
    assert dead.who == ("casgan-dicom node", "web at 127.0.0.1")
    assert f"Series: {uid('series')}" in sent.what
    assert [name.encode() in line for line in lines] == [patients] * 2
