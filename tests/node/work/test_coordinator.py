"""The decisions of a node, and its parent workflow with toy children, on real queues."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time

import pytest

from casgan_dicom.node.settings import (
    AuditSettings,
    CompletionSettings,
    DestinationSettings,
    NodeSettings,
    PeerSettings,
    RuleSettings,
    StateSettings,
)
from casgan_dicom.node.state import workflows
from casgan_dicom.node.state.audit_entry import entry_of
from casgan_dicom.node.state.books import open_ledger, workflow_place
from casgan_dicom.node.state.deliveries import Attempt, Deliveries, Delivery, Derived
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.orders import Orders
from casgan_dicom.node.state.overview import list_jobs
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.node.work.assignment import ON_THE_WAY
from casgan_dicom.node.work.coordinator import Coordinator
from tests.node.ledgers import received
from tests.node.nodes import wait_for
from tests.node.tables import lose_workflows
from tests.support.factories import uid, write_xa

DESTINATIONS = tuple(
    DestinationSettings(name, "127.0.0.1", 104, name.upper()) for name in ("pacs", "archive")
)


@pytest.fixture
def settings(tmp_path: Path, state_settings: StateSettings) -> NodeSettings:
    return NodeSettings(
        data=tmp_path,
        state=state_settings,
        completion=CompletionSettings(quiet_seconds=30, short_seconds=2),
        destinations=DESTINATIONS,
    )


@pytest.fixture
def ledger(settings: NodeSettings) -> Iterator[Ledger]:
    opened = open_ledger(settings)
    yield opened
    opened.close()


class Toys:
    """Children that do nothing but their part in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.deliveries = Deliveries(ledger)
        self.delivered: list[tuple[str, str, int]] = []

    def convert(self, job: str, run: int) -> str:
        """Make one object for every destination."""
        derived = Derived(uid(f"derived {job}"), uid("derived"), Path("/outbox/x"), "0" * 64, 3)
        names = [each.name for each in DESTINATIONS]
        workflows.step("put", lambda: self.deliveries.put(job, [derived], names, time()))
        return "delivering"

    def deliver(self, job: str, destination: str, run: int) -> str:
        """Deliver, unless it is the first time for the archive."""
        self.delivered.append((job, destination, run))
        attempt = Attempt("dead", "refused") if (destination, run) == ("archive", 1) else Attempt("sent", "")
        workflows.step(
            "sent", lambda: self.deliveries.attempted(Delivery(job, destination, run), attempt, time())
        )
        return attempt.state


def state_of(ledger: Ledger) -> str:
    (row,) = list_jobs(ledger)
    return row.state


def test_a_job_goes_from_its_first_instance_to_its_last_delivery_and_a_retry_delivers_only(
    settings: NodeSettings, ledger: Ledger
) -> None:
    coordinator, toys = Coordinator(settings, ledger), Toys(ledger)
    served: dict[str, workflows.Workflow] = {
        "series": coordinator.series,
        "convert": toys.convert,
        "deliver": toys.deliver,
    }
    queues = [
        workflows.Queue(name, 2) for name in ("series.auto", "convert.auto", "send.pacs", "send.archive")
    ]
    job = Receipts(ledger, "w").enter(received("a", frames=9), 100.0).job

    with workflows.serving(workflow_place(settings), Layout(settings.data).bells, "test", served, queues):
        coordinator.look(101.9)
        assert state_of(ledger) == "receiving"
        coordinator.look(102.0)
        # The loop does not look any more: the parent alone has both children enqueued.
        wait_for(lambda: state_of(ledger) == "undelivered", "the first deliveries")
        assert Deliveries(ledger).retry([], time()) == [Delivery(job, "archive", 2)]
        coordinator.look(103.0)
        wait_for(lambda: state_of(ledger) == "done", "the delivery after the retry")

    assert sorted(toys.delivered) == [(job, "archive", 1), (job, "archive", 2), (job, "pacs", 1)]


def test_a_sender_with_a_quiet_time_of_its_own_is_waited_for_that_long(
    settings: NodeSettings, ledger: Ledger
) -> None:
    slow = replace(settings, peers=(PeerSettings("CATHLAB", quiet_seconds=300),))
    Receipts(ledger, "w").enter(received("a"), 100.0)
    coordinator = Coordinator(slow, ledger)
    coordinator.close(399.9)
    assert len(JobList(ledger).receiving(1000.0)) == 1

    coordinator.close(400.0)

    assert JobList(ledger).receiving(1000.0) == []


def closed_job(settings: NodeSettings, ledger: Ledger) -> str:
    """A job of one cine whose parent is on the queue of device "auto", and never ran."""
    job = Receipts(ledger, "w").enter(received("a", frames=9), 100.0).job
    with workflows.serving(
        workflow_place(settings),
        Layout(settings.data).bells,
        "test",
        {},
        [workflows.Queue("series.other", 1)],
    ):
        Coordinator(settings, ledger).look(200.0)
    assert JobList(ledger).to_enqueue() == []
    return job


@pytest.mark.parametrize("lost", ["the device has another name", "the workflows are lost"])
def test_a_job_that_nobody_would_take_up_starts_again_with_the_node(
    settings: NodeSettings, ledger: Ledger, lost: str
) -> None:
    job = closed_job(settings, ledger)
    if lost == "the workflows are lost":
        lose_workflows(workflow_place(settings))
        renamed = settings
    else:
        renamed = replace(settings, worker=replace(settings.worker, devices=("cuda:0",)))
    coordinator, toys = Coordinator(renamed, ledger), Toys(ledger)
    (device,) = renamed.worker.devices
    served: dict[str, workflows.Workflow] = {"series": coordinator.series, "convert": toys.convert}
    queues = [
        workflows.Queue(workflows.series_queue(device), 1),
        workflows.Queue(workflows.convert_queue(device), 1),
    ]

    with workflows.serving(workflow_place(settings), Layout(settings.data).bells, "test", served, queues):
        coordinator.reconcile(300.0)
        coordinator.look(300.0)
        sending = {"send.pacs", "send.archive"}
        wait_for(
            lambda: {each.queue for each in workflows.live()} == sending, "nothing but deliveries to be left"
        )

    assert {each.job for each in Deliveries(ledger).started()} == {job}


def test_what_is_under_way_is_left_alone(settings: NodeSettings, ledger: Ledger) -> None:
    closed_job(settings, ledger)
    coordinator = Coordinator(settings, ledger)

    with workflows.serving(
        workflow_place(settings),
        Layout(settings.data).bells,
        "test",
        {},
        [workflows.Queue("series.other", 1)],
    ):
        coordinator.reconcile(300.0)

    assert JobList(ledger).to_enqueue() == []


def test_a_delivery_whose_workflow_is_lost_starts_again(settings: NodeSettings, ledger: Ledger) -> None:
    job, toys = Receipts(ledger, "w").enter(received("a"), 1.0).job, Toys(ledger)
    derived = Derived(uid("derived"), uid("series"), Path("/outbox/x"), "0" * 64, 3)
    toys.deliveries.put(job, [derived], ["pacs"], 2.0)
    toys.deliveries.enqueued(Delivery(job, "pacs", 1))
    coordinator = Coordinator(settings, ledger)

    queues = [workflows.Queue("send.pacs", 1)]
    with workflows.serving(
        workflow_place(settings), Layout(settings.data).bells, "test", {"deliver": toys.deliver}, queues
    ):
        coordinator.reconcile(3.0)
        coordinator.look(3.0)
        wait_for(lambda: state_of(ledger) == "done", "the delivery")

    assert toys.delivered == [(job, "pacs", 2)]


def test_a_retry_to_a_destination_that_is_gone_is_a_dead_letter_again(
    settings: NodeSettings, ledger: Ledger
) -> None:
    job, deliveries = Receipts(ledger, "w").enter(received("a"), 1.0).job, Deliveries(ledger)
    derived = Derived(uid("derived"), uid("series"), Path("/outbox/x"), "0" * 64, 3)
    deliveries.put(job, [derived], ["gone"], 2.0)

    Coordinator(settings, ledger).look(3.0)

    assert state_of(ledger) == "undelivered"


def test_a_clock_that_was_set_back_holds_up_no_series(settings: NodeSettings, ledger: Ledger) -> None:
    Receipts(ledger, "w").enter(received("a"), 5000.0)
    coordinator = Coordinator(settings, ledger)

    coordinator.close(1000.0)
    assert len(JobList(ledger).receiving(1000.0)) == 1
    coordinator.close(1030.0)

    assert JobList(ledger).receiving(1030.0) == []


def test_the_steps_of_what_ended_long_ago_are_deleted(settings: NodeSettings, ledger: Ledger) -> None:
    job, toys = Receipts(ledger, "w").enter(received("a"), 1.0).job, Toys(ledger)
    layout = Layout(settings.data)
    with workflows.serving(
        workflow_place(settings), layout.bells, "test", {"convert": toys.convert}, [workflows.Queue("q", 1)]
    ):
        workflows.enqueue("q", "convert", "a", job, 1)
        wait_for(lambda: workflows.live() == [], "the end of the workflow")
        yesterday, tomorrow = (datetime.now(UTC) + timedelta(days=days) for days in (-1, 1))

        assert [workflows.forget(yesterday), workflows.forget(tomorrow), workflows.forget(tomorrow)] == [
            0,
            1,
            0,
        ]


@pytest.mark.parametrize(
    ("frames", "said", "priority"),
    [(200, "", "routine"), (201, "", "batch"), (9, "batch", "batch"), (201, "urgent", "urgent")],
)
def test_a_long_series_is_batch_unless_its_sender_is_said_to_be_something_else(
    settings: NodeSettings, ledger: Ledger, frames: int, said: str, priority: str
) -> None:
    Receipts(ledger, "w").enter(received("a", frames=frames), 100.0)

    Coordinator(replace(settings, peers=(PeerSettings("CATHLAB", priority=said),)), ledger).close(200.0)

    assert [row.priority for row in list_jobs(ledger)] == [priority]


def test_few_jobs_of_each_priority_are_handed_over_and_the_urgent_behind_none(
    settings: NodeSettings, ledger: Ledger
) -> None:
    for k in range(20):
        Receipts(ledger, "w").enter(received(f"i{k}", series=f"s{k}", frames=300), 100.0 + k)
    coordinator = Coordinator(settings, ledger)
    with workflows.serving(
        workflow_place(settings),
        Layout(settings.data).bells,
        "test",
        {},
        [workflows.Queue("series.other", 1)],
    ):
        coordinator.look(200.0)
        assert len(JobList(ledger).started()) == ON_THE_WAY
        coordinator.look(201.0)
        assert len(JobList(ledger).started()) == ON_THE_WAY

        last = list_jobs(ledger, limit=1)[0].job
        Orders(ledger).prioritise([last], "urgent")
        coordinator.look(202.0)

    started = [each.job for each in JobList(ledger).started()]
    assert len(started) == ON_THE_WAY + 1
    assert started[0] == last


def test_two_senders_of_one_name_are_told_apart_by_their_addresses(
    settings: NodeSettings, ledger: Ledger
) -> None:
    rooms = (
        PeerSettings("CATHLAB", "10.1.0.0/16", priority="urgent", quiet_seconds=10),
        PeerSettings("CATHLAB", "10.2.0.1", priority="batch", quiet_seconds=300),
    )
    for name, address in (("first", "10.1.2.3"), ("second", "10.2.0.1")):
        Receipts(ledger, "w").enter(replace(received(name, series=name), address=address), 100.0)
    coordinator = Coordinator(replace(settings, peers=rooms), ledger)

    coordinator.close(110.0)
    assert [(row.priority, row.state) for row in list_jobs(ledger, states=["queued"])] == [
        ("urgent", "queued")
    ]
    coordinator.close(400.0)

    assert {row.priority for row in list_jobs(ledger)} == {"urgent", "batch"}


def test_a_rule_gives_its_priority_before_that_of_the_sender_and_by_headers_only(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    rules = (
        RuleSettings("other", header=("Modality = RF",), priority="batch"),
        RuleSettings("maybe", header=("Modality = XA",), opacified="no", priority="urgent"),
    )
    path = write_xa(tmp_path / "a.dcm")
    Receipts(ledger, "w").enter(replace(received("a", frames=4), path=path), 100.0)
    Receipts(ledger, "w").enter(received("gone", series="gone", frames=4), 100.0)  # its file is not there
    ruled = replace(settings, rules=rules, peers=(PeerSettings("CATHLAB", priority="batch"),))

    Coordinator(ruled, ledger).close(200.0)

    found = {row.series_uid: row.priority for row in list_jobs(ledger)}
    assert found == {uid("run"): "urgent", uid("gone"): "batch"}


@pytest.mark.parametrize("patients", [False, True])
def test_a_series_that_came_in_has_a_message_in_the_audit_trail(
    settings: NodeSettings, ledger: Ledger, patients: bool
) -> None:
    name = "TEST-ID-0815"
    layout = Layout(settings.data)
    instance = received("a", frames=9)
    place = layout.spool / instance.path.parent.name / instance.path.name
    place.parent.mkdir(parents=True)
    write_xa(place, PatientID=name)
    job = Receipts(ledger, "w").enter(replace(instance, study_uid=uid("study")), 100.0).job
    coordinator = Coordinator(replace(settings, audit=AuditSettings(patients=patients)), ledger)
    coordinator.close(101.0)
    assert not layout.audit.exists()

    coordinator.close(200.0)
    coordinator.close(300.0)

    (line,) = layout.audit.read_bytes().splitlines()
    entry = entry_of(line)
    assert entry is not None
    assert (entry.event, entry.outcome) == ("DICOM Instances Transferred", "")
    assert entry.who == ("CATHLAB at 127.0.0.1", "casgan-dicom node")
    assert f"Study Instance UID {uid('study')} ({job})" in entry.what
    assert f"Series: {uid('run')}" in entry.what
    assert (name.encode() in line) is patients
