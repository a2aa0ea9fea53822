"""The hosts of a ledger: which live, and what becomes of the work of those that do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.state.deliveries import Deliveries, Delivery, Derived
from casgan_dicom.node.state.hosts import Host, Hosts, Lost, others_with
from casgan_dicom.node.state.jobs import JobList, Place
from casgan_dicom.node.state.leases import Leases, lease_of_host
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import list_jobs
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.node.state.removals import Removals
from tests.node.ledgers import received
from tests.support.factories import uid

A = Host("a", "https://a:1", ("worker", "sender"), ("cpu",), "0.1.0", 4, "node-3")
B = replace(A, name="b", address="")


def joined(ledger: Ledger, *hosts: Host, seconds: float = 60.0) -> Hosts:
    """The hosts of a ledger, all of them alive."""
    for host in hosts:
        assert Leases(ledger).take(lease_of_host(host.name), host.name, seconds) is not None
        Hosts(ledger).enter(host, f"{host.name} {host.name}")
    return Hosts(ledger)


def gone(ledger: Ledger, host: str) -> None:
    """Let the lease of a host end."""
    Leases(ledger).let_go(Leases(ledger).find(lease_of_host(host)))


def handed(ledger: Ledger, name: str, host: str, *, on: str = "a") -> str:
    """A job whose instance came in on one host and that another has to convert."""
    job = Receipts(ledger, "r", on).enter(received(name, series=name), 1.0).job
    jobs = JobList(ledger)
    assert jobs.enter(job, "queued", 2.0)
    (waiting,) = [each for each in jobs.to_enqueue() if each.job == job]
    jobs.enqueued(waiting, Place(host, "cpu"))
    return job


def state_of(ledger: Ledger, job: str) -> str:
    return next(row.state for row in list_jobs(ledger) if row.job == job)


def test_a_host_lives_while_its_lease_does(ledger: Ledger) -> None:
    hosts = joined(ledger, A, B)
    gone(ledger, "a")

    assert [(each.host, each.is_live) for each in hosts.all()] == [(A, False), (B, True)]


def test_what_a_lost_host_had_to_convert_is_queued_again_and_nothing_else(ledger: Ledger) -> None:
    hosts = joined(ledger, A, B)
    of_a, of_b = handed(ledger, "one", "a"), handed(ledger, "two", "b")
    assert JobList(ledger).begin(of_a, 1, "r", 3.0)
    gone(ledger, "a")

    assert hosts.lose() == Lost(("a",), ((of_a, 1),))
    assert hosts.lose() == Lost((), ())

    assert [(each.job, each.run) for each in JobList(ledger).to_enqueue()] == [(of_a, 2)]
    assert [each.job for each in JobList(ledger).started()] == [of_b]


def test_a_run_of_a_lost_host_changes_nothing_any_more(ledger: Ledger) -> None:
    """Should it only have been held up: its job was begun anew elsewhere."""
    hosts, jobs = joined(ledger, A), JobList(ledger)
    job = handed(ledger, "one", "a")
    gone(ledger, "a")
    hosts.lose()
    made = Derived(uid("late"), uid("series"), received("x").path, "0" * 64, 3, host="a")

    assert not jobs.begin(job, 1, "r", 4.0)
    assert not jobs.enter(job, "failed", 4.0, ["late"], run=1)
    assert not Deliveries(ledger).put(job, [made], ["pacs"], 4.0, run=1)
    jobs.again(job, 1, 4.0)

    assert (state_of(ledger, job), [each.run for each in jobs.to_enqueue()]) == ("queued", [2])


def test_what_a_lost_host_has_in_its_outbox_waits_for_it(ledger: Ledger) -> None:
    hosts, deliveries = joined(ledger, A, B), Deliveries(ledger)
    job = handed(ledger, "one", "a")
    made = Derived(uid("made"), uid("series"), received("x").path, "0" * 64, 3, host="a")
    assert deliveries.put(job, [made], ["pacs"], 3.0, run=1)
    deliveries.enqueued(Delivery(job, "pacs", 1), "a")
    gone(ledger, "a")

    hosts.lose()

    assert deliveries.started() == [Delivery(job, "pacs", 1)]
    assert deliveries.makers([job]) == {job: "a"}


def test_a_host_that_is_forgotten_has_its_undelivered_objects_made_again_elsewhere(ledger: Ledger) -> None:
    hosts, deliveries = joined(ledger, A, B), Deliveries(ledger)
    job = handed(ledger, "one", "a", on="b")
    made = Derived(uid("made"), uid("series"), received("x").path, "0" * 64, 3, host="a")
    assert deliveries.put(job, [made], ["pacs"], 3.0, run=1)
    deliveries.enqueued(Delivery(job, "pacs", 1), "a")
    gone(ledger, "a")

    assert hosts.forget("a") == 1

    assert [each.host.name for each in hosts.all()] == ["b"]
    assert deliveries.to_enqueue() == []  # there is nothing to send
    (again,) = JobList(ledger).to_enqueue()
    assert (again.job, again.run) == (job, 2)
    assert deliveries.put(job, [replace(made, host="b")], ["pacs"], 5.0, run=2)
    assert deliveries.to_enqueue() == [Delivery(job, "pacs", 2)]
    assert deliveries.makers([job]) == {job: "b"}


@pytest.mark.parametrize(("name", "said"), [("a", "lives"), ("c", "is not known")])
def test_only_a_host_that_is_known_and_gone_can_be_forgotten(ledger: Ledger, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        joined(ledger, A).forget(name)


def test_a_node_that_gets_a_name_keeps_what_it_has(ledger: Ledger) -> None:
    Leases(ledger).take(lease_of_host(""), " a", 60.0)
    Receipts(ledger, "r").enter(received("a"), 1.0)

    joined(ledger, A)

    assert Receipts(ledger, "r", "a").paths() == {received("a").path}
    assert Receipts(ledger, "r").paths() == set()


@pytest.mark.parametrize(("seconds", "said"), [(60.0, "cannot come in beside it"), (0.0, "has left files")])
def test_what_a_node_without_a_name_has_is_entered_under_no_other_name(
    ledger: Ledger, seconds: float, said: str
) -> None:
    """A listener deletes files that no row of its host speaks of."""
    Leases(ledger).take(lease_of_host(""), " a", seconds)
    Receipts(ledger, "r").enter(received("a"), 1.0)

    with pytest.raises(ConfigError, match=said):
        joined(ledger, B)

    assert Receipts(ledger, "r").paths() == {received("a").path}


@pytest.mark.parametrize(
    ("other", "refused"),
    [
        (replace(B, program="0.0.9"), False),
        (replace(B, ledger=3), True),
        (replace(B, workflows="node-1"), True),
    ],
)
def test_another_program_may_run_beside_and_another_ledger_or_workflows_may_not(
    ledger: Ledger, other: Host, *, refused: bool
) -> None:
    seen = joined(ledger, A, other).all()

    assert [each.host.name for each in others_with(seen, "a", 4, "node-3")] == (["b"] if refused else [])
    gone(ledger, "b")
    assert others_with(Hosts(ledger).all(), "a", 4, "node-3") == []


def test_each_host_removes_its_own_files_and_the_last_ends_it(ledger: Ledger) -> None:
    job = handed(ledger, "one", "b", on="a")
    made = Derived(uid("made"), uid("series"), received("x").path, "0" * 64, 3, host="b")
    assert Deliveries(ledger).put(job, [made], [], 3.0, run=1)
    a, b = Removals(ledger, "a"), Removals(ledger, "b")
    assert [held.job for held in a.holdings()] == [held.job for held in b.holdings()] == [job]

    assert a.begin(job, 10.0)

    assert (a.content(job).instances, a.content(job).derived) == (1, 0)
    assert (b.content(job).instances, b.content(job).derived) == (0, 1)
    a.end(job, 11.0)
    assert (a.begun(), b.begun()) == ([], [job])
    assert list_jobs(ledger)[0].removed_at is None
    b.end(job, 12.0)
    assert (b.begun(), list_jobs(ledger)[0].removed_at) == ([], 12.0)
