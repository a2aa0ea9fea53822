"""Orders of a person in the ledger: what they change, and what they leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.node.settings import Priority
from casgan_dicom.node.state.deliveries import Attempt, Deliveries, Delivery, Derived
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.orders import Orders, Repeat
from casgan_dicom.node.state.overview import list_jobs
from casgan_dicom.node.state.receipts import Receipts
from tests.node.ledgers import received
from tests.support.factories import uid

HOW = Repeat("other", "weights of the other", "batch")


def closed(ledger: Ledger, name: str, *, series: str = "run", priority: Priority = "routine") -> str:
    """A job of one single frame that takes no more."""
    job = Receipts(ledger, "w").enter(received(name, series=series), 1.0).job
    for opened in JobList(ledger).receiving(1000.0):
        assert JobList(ledger).close(opened.job, opened.series, 2.0, priority)
    return job


def converted(ledger: Ledger, job: str, name: str) -> None:
    """Let a job have made one object, in a series called `name`."""
    derived = Derived(
        uid(f"derived {name}"), uid(name), Path(f"/outbox/{name}"), "0" * 64, 3, "", (uid("a"),)
    )
    assert Deliveries(ledger).put(job, [derived], ["pacs"], 3.0)


def state_of(ledger: Ledger, job: str) -> str:
    return next(row.state for row in list_jobs(ledger) if row.job == job)


def test_the_most_urgent_is_first_and_revisions_of_a_series_go_one_by_one(ledger: Ledger) -> None:
    first = closed(ledger, "a", priority="batch")
    other = closed(ledger, "x", series="other")
    second = closed(ledger, "b", priority="urgent")

    jobs = JobList(ledger)
    assert [(each.job, each.priority) for each in jobs.to_enqueue()] == [
        (first, "urgent"),  # the second waits for it
        (other, "routine"),
    ]
    jobs.enter(first, "skipped", 3.0)
    assert [each.job for each in jobs.to_enqueue()] == [second, other]


def test_the_word_of_a_person_outlasts_the_end_of_the_series(ledger: Ledger) -> None:
    job = Receipts(ledger, "w").enter(received("a"), 1.0).job
    Orders(ledger).prioritise([job], "urgent")

    assert closed(ledger, "b", priority="batch") == job

    assert list_jobs(ledger)[0].priority == "urgent"


@pytest.mark.parametrize("state", ["receiving", "queued", "converting", "lacking", "failed", "quarantined"])
def test_what_is_not_done_can_be_cancelled_and_no_process_goes_on_with_it(ledger: Ledger, state: str) -> None:
    jobs = JobList(ledger)
    job = Receipts(ledger, "w").enter(received("a"), 1.0).job
    with ledger.transaction() as db:
        db.execute("UPDATE jobs SET state = ?", [state])

    assert Orders(ledger).cancel([job, job], 5.0) == [job]

    assert (jobs.receiving(9.0), jobs.to_enqueue(), jobs.started()) == ([], [], [])
    assert not jobs.wanted(job, 1)
    assert not jobs.begin(job, 1, "r", 6.0)
    assert not Deliveries(ledger).put(job, [], ["pacs"], 6.0, 1)
    jobs.enter(job, "skipped", 7.0)
    assert state_of(ledger, job) == "cancelled"
    assert Receipts(ledger, "w").needed() == set()
    assert Orders(ledger).cancel([job], 8.0) == []
    assert jobs.retry([], 9.0) == []
    assert jobs.retry([job], 9.0) == [job]


def test_an_older_run_of_a_job_ends_nothing_of_a_newer(ledger: Ledger) -> None:
    jobs, job = JobList(ledger), closed(ledger, "a")
    Orders(ledger).cancel([job], 5.0)
    jobs.retry([job], 6.0)

    assert not jobs.wanted(job, 1)
    assert not jobs.begin(job, 1, "r", 7.0)
    assert not Deliveries(ledger).put(job, [], [], 7.0, 1)
    assert jobs.begin(job, 2, "r", 8.0)


def test_what_was_sent_stays_sent_and_only_the_rest_is_cancelled(ledger: Ledger) -> None:
    deliveries, job = Deliveries(ledger), closed(ledger, "a")
    derived = Derived(uid("derived"), uid("to"), Path("/outbox/x"), "0" * 64, 3)
    deliveries.put(job, [derived], ["pacs", "archive", "third"], 3.0)
    deliveries.attempted(Delivery(job, "archive", 1), Attempt("sent", ""), 4.0)

    Orders(ledger).cancel([job], 5.0)
    deliveries.attempted(Delivery(job, "pacs", 1), Attempt("waiting", "refused", 1.0), 6.0)
    deliveries.attempted(Delivery(job, "third", 1), Attempt("sent", ""), 6.0)  # it was under way

    (row,) = list_jobs(ledger)
    states = {each.destination: each.state for each in row.deliveries}
    assert states == {"archive": "sent", "pacs": "cancelled", "third": "sent"}
    assert row.state == "cancelled"
    assert deliveries.is_over(Delivery(job, "pacs", 1))
    assert deliveries.retry([], 7.0) == []
    assert deliveries.retry([job], 7.0) == [Delivery(job, "pacs", 2)]
    assert JobList(ledger).retry([job], 7.0) == []  # what is converted is not converted again


def test_a_job_once_more_wants_the_same_files_and_supersedes_nothing(ledger: Ledger) -> None:
    first = closed(ledger, "a")
    converted(ledger, first, "first")
    late = closed(ledger, "b")
    converted(ledger, late, "late")
    jobs, receipts = JobList(ledger), Receipts(ledger, "w")
    assert receipts.needed() == set()

    again = Orders(ledger).repeat(late, HOW, 5.0)

    inputs = jobs.inputs(again)
    assert inputs.paths == jobs.inputs(late).paths
    assert receipts.needed() == set(inputs.paths)
    assert (inputs.revision, inputs.supersedes, inputs.superseded) == (2, "", ())
    assert (inputs.bundle, inputs.recipe, inputs.repeats) == ("other", HOW.recipe, late)
    assert [each.priority for each in jobs.to_enqueue()] == ["batch"]
    assert Orders(ledger).made_with(first, HOW.recipe) is None
    assert Orders(ledger).made_with(late, HOW.recipe) == again
    converted(ledger, again, "again")
    newest = jobs.inputs(closed(ledger, "c"))
    assert newest.supersedes == uid("late")  # what the node made by itself
    assert Orders(ledger).repeat(again, HOW, 6.0) != again
    assert {row.repeats for row in list_jobs(ledger)} == {"", late}


def test_a_repetition_that_lacks_files_goes_on_when_they_come_again(ledger: Ledger) -> None:
    job = closed(ledger, "a")
    converted(ledger, job, "first")
    again = Orders(ledger).repeat(job, HOW, 5.0)
    JobList(ledger).enter(again, "lacking", 6.0, ["gone"])

    Receipts(ledger, "w").enter(received("a"), 7.0)

    assert state_of(ledger, again) == "queued"  # it takes no instances of its own
    assert Receipts(ledger, "w").enter(received("b"), 8.0).job not in (job, again)
