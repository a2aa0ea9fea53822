"""What became of derived objects at each destination."""

from __future__ import annotations

from pathlib import Path

from casgan_dicom.node.state.deliveries import Attempt, Deliveries, Delivery, Derived
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import list_jobs
from casgan_dicom.node.state.receipts import Receipts
from tests.node.ledgers import received
from tests.support.factories import uid

OBJECTS = [Derived(uid(name), uid("derived"), Path(f"/outbox/{name}"), "0" * 64, 3) for name in ("x", "y")]


def job_for(ledger: Ledger, *destinations: str) -> str:
    """A job with two derived objects for these destinations."""
    job = Receipts(ledger, "w").enter(received("a"), 1.0).job
    Deliveries(ledger).put(job, OBJECTS, destinations, 2.0)
    return job


def state_of(ledger: Ledger) -> str:
    (row,) = list_jobs(ledger)
    return row.state


def test_without_destinations_a_job_is_done_when_it_is_in_the_outbox(ledger: Ledger) -> None:
    job_for(ledger)

    (row,) = list_jobs(ledger)
    assert row.state == "done"
    assert row.derived == ("/outbox/x", "/outbox/y")


def test_a_job_is_done_when_every_destination_has_it(ledger: Ledger) -> None:
    job, deliveries = job_for(ledger, "pacs", "archive"), Deliveries(ledger)

    deliveries.attempted(Delivery(job, "pacs", 1), Attempt("sent", ""), 3.0)
    assert state_of(ledger) == "delivering"
    deliveries.attempted(Delivery(job, "archive", 1), Attempt("sent", ""), 3.0)
    assert state_of(ledger) == "done"


def test_a_dead_letter_is_seen_when_nothing_waits_any_more(ledger: Ledger) -> None:
    job, deliveries = job_for(ledger, "pacs", "archive"), Deliveries(ledger)

    deliveries.attempted(Delivery(job, "pacs", 1), Attempt("dead", "refused"), 3.0)
    assert state_of(ledger) == "delivering"
    deliveries.attempted(Delivery(job, "archive", 1), Attempt("sent", ""), 3.0)
    assert state_of(ledger) == "undelivered"


def test_a_retry_makes_dead_letters_wait_and_sends_only_what_is_not_there(ledger: Ledger) -> None:
    job, deliveries = job_for(ledger, "pacs", "archive"), Deliveries(ledger)
    deliveries.answered(uid("x"), "pacs", 0x0000, stored_at=3.0)
    deliveries.answered(uid("y"), "pacs", 0xC000, stored_at=None)
    deliveries.attempted(Delivery(job, "pacs", 1), Attempt("dead", "refused"), 3.0)
    deliveries.attempted(Delivery(job, "archive", 1), Attempt("sent", ""), 3.0)

    assert deliveries.retry([], 4.0) == [Delivery(job, "pacs", 2)]
    assert deliveries.to_enqueue() == [Delivery(job, "pacs", 2)]
    assert [item.sop_uid for item in deliveries.outstanding(job, "pacs")] == [uid("y")]
    assert state_of(ledger) == "delivering"
    assert deliveries.history(job, "pacs") == (0, None)


def test_a_retry_of_other_jobs_leaves_a_dead_letter_alone(ledger: Ledger) -> None:
    job, deliveries = job_for(ledger, "pacs"), Deliveries(ledger)
    deliveries.attempted(Delivery(job, "pacs", 1), Attempt("dead", "refused"), 3.0)

    assert deliveries.retry(["another"], 4.0) == []


def test_what_waits_for_a_destination_that_is_gone_is_a_dead_letter(ledger: Ledger) -> None:
    job, deliveries = job_for(ledger, "pacs", "archive"), Deliveries(ledger)

    deliveries.strand(["archive"], 3.0)

    (row,) = list_jobs(ledger)
    assert [(each.destination, each.state) for each in row.deliveries] == [
        ("archive", "waiting"),
        ("pacs", "dead"),
    ]
    assert "'pacs' is not configured any more" in row.deliveries[1].reason
    assert deliveries.retry([], 4.0) == [Delivery(job, "pacs", 2)]


def test_requests_are_counted_for_each_object_and_destination(ledger: Ledger) -> None:
    job, deliveries = job_for(ledger, "pacs", "archive"), Deliveries(ledger)

    deliveries.answered(uid("x"), "pacs", 0xA700, stored_at=None)
    deliveries.answered(uid("x"), "pacs", 0x0000, stored_at=5.0)
    deliveries.answered(uid("x"), "archive", 0x0000, stored_at=5.0)

    with ledger.reading() as db:
        rows = db.execute("SELECT destination, requests, status FROM stores ORDER BY destination").fetchall()
    assert [tuple(row) for row in rows] == [("archive", 1, 0), ("pacs", 2, 0)]
    assert [item.sop_uid for item in deliveries.outstanding(job, "pacs")] == [uid("y")]


def test_entering_the_same_outcome_twice_sends_nothing_twice(ledger: Ledger) -> None:
    job, deliveries = job_for(ledger, "pacs"), Deliveries(ledger)
    deliveries.attempted(Delivery(job, "pacs", 1), Attempt("sent", ""), 3.0)

    deliveries.put(job, OBJECTS, ["pacs"], 4.0)

    assert deliveries.to_enqueue() == []
    assert state_of(ledger) == "done"
    assert JobList(ledger).to_enqueue() == []
