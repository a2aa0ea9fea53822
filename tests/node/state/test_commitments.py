"""What a ledger makes of requests to commit, and of reports of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.node.commitment import Reference, Report
from casgan_dicom.node.state.commitments import Commitments
from casgan_dicom.node.state.deliveries import FINISHED, Attempt, Deliveries, Delivery, Derived
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.orders import Orders
from casgan_dicom.node.state.overview import JobRow, list_jobs, status
from casgan_dicom.node.state.receipts import Receipts
from tests.node.ledgers import received
from tests.support.factories import uid

CLASS = "1.2.840.10008.5.1.4.1.1.7.2"
OBJECTS = [Derived(uid(n), uid("derived"), Path(f"/outbox/{n}"), "0" * 64, 3, CLASS) for n in "xy"]
X, Y = (Reference(CLASS, each.sop_uid) for each in OBJECTS)
PACS = ["pacs"]


@pytest.fixture
def delivery(ledger: Ledger) -> Delivery:
    """A delivery all of whose objects are stored, and which waits."""
    job, deliveries = Receipts(ledger, "w").enter(received("a"), 1.0).job, Deliveries(ledger)
    deliveries.put(job, OBJECTS, PACS, 2.0)
    store(deliveries)
    committing = Delivery(job, "pacs", 1)
    deliveries.enqueued(committing)
    deliveries.attempted(committing, Attempt("committing", ""), 3.0)
    return committing


def store(deliveries: Deliveries) -> None:
    for each in OBJECTS:
        deliveries.answered(each.sop_uid, "pacs", 0, stored_at=2.0)


def row(ledger: Ledger) -> JobRow:
    (found,) = list_jobs(ledger)
    return found


def states(ledger: Ledger) -> tuple[str, str]:
    """State of the job and of its delivery."""
    found = row(ledger)
    assert (found.state == "done") == all(each.state == FINISHED for each in found.deliveries)
    return found.state, found.deliveries[0].state


def test_a_job_is_done_when_the_destination_has_said_that_it_keeps_everything(
    ledger: Ledger, delivery: Delivery
) -> None:
    commitments = Commitments(ledger)
    assert states(ledger) == ("delivering", "committing")

    (due,) = commitments.due("pacs", 3.0)
    request = commitments.ask(due.delivery, "1.2.3", 100.0, 4.0)

    assert request is not None
    assert (request.transaction_uid, set(request.references)) == ("1.2.3", {X, Y})
    assert commitments.due("pacs", 99.0) == []
    assert commitments.next_at("pacs") == 100.0
    assert commitments.heard(Report("1.2.3", (X, Y)), PACS, 50.0) == "kept"
    assert states(ledger) == ("done", "sent")
    assert commitments.next_at("pacs") is None
    assert not commitments.lacks(delivery.job, "pacs")


@pytest.mark.parametrize(
    ("transaction", "destinations"), [("1.2.9", PACS), ("1.2.3", ["archive"]), ("1.2.3", [])]
)
def test_a_report_of_another_transaction_or_peer_changes_nothing(
    ledger: Ledger, delivery: Delivery, transaction: str, destinations: list[str]
) -> None:
    commitments = Commitments(ledger)
    commitments.ask(delivery, "1.2.3", 100.0, 4.0)

    heard = commitments.heard(Report(transaction, (X, Y)), destinations, 50.0)

    assert heard == "unknown"
    assert states(ledger) == ("delivering", "committing")
    assert commitments.is_open("1.2.3")


def test_a_report_for_half_leaves_the_other_half_to_be_asked_for(ledger: Ledger, delivery: Delivery) -> None:
    commitments = Commitments(ledger)
    commitments.ask(delivery, "1.2.3", 100.0, 4.0)

    assert commitments.heard(Report("1.2.3", (X,)), PACS, 50.0) == "part"
    assert states(ledger) == ("delivering", "committing")
    again = commitments.ask(delivery, "1.2.4", 200.0, 100.0)

    assert again is not None
    assert again.references == (Y,)
    assert commitments.heard(Report("1.2.4", (Y,)), PACS, 150.0) == "kept"
    assert states(ledger) == ("done", "sent")


@pytest.mark.parametrize(
    "said", [Reference("1.2.840.10008.5.1.4.1.1.7", X.sop_uid), Reference(CLASS, uid("another"))]
)
def test_an_object_of_another_class_or_of_nobody_is_not_counted(
    ledger: Ledger, delivery: Delivery, said: Reference
) -> None:
    commitments = Commitments(ledger)
    commitments.ask(delivery, "1.2.3", 100.0, 4.0)

    assert commitments.heard(Report("1.2.3", (said, Y)), PACS, 50.0) == "part"


def test_what_is_not_kept_is_to_be_sent_again_and_what_is_kept_is_not(
    ledger: Ledger, delivery: Delivery
) -> None:
    commitments, deliveries = Commitments(ledger), Deliveries(ledger)
    commitments.ask(delivery, "1.2.3", 100.0, 4.0)

    assert commitments.heard(Report("1.2.3", (X,), ((Y, 0x0112),)), PACS, 50.0) == "failed"
    (due,) = commitments.due("pacs", 50.0)

    assert (due.failed, due.failed_at, due.resends) == (1, 50.0, 0)
    assert "0x0112" in due.reason
    assert states(ledger) == ("delivering", "committing")
    commitments.send_again(due.delivery, 60.0)
    assert states(ledger) == ("delivering", "waiting")
    (again,) = deliveries.to_enqueue()
    assert again.run == 2
    assert [each.sop_uid for each in deliveries.outstanding(delivery.job, "pacs")] == [Y.sop_uid]


def test_a_report_twice_is_the_same_as_once(ledger: Ledger, delivery: Delivery) -> None:
    commitments = Commitments(ledger)
    commitments.ask(delivery, "1.2.3", 100.0, 4.0)

    assert commitments.heard(Report("1.2.3", (X, Y)), PACS, 50.0) == "kept"
    assert commitments.heard(Report("1.2.3", (), ((X, 0x0112),)), PACS, 51.0) == "late"

    assert states(ledger) == ("done", "sent")


def test_of_an_overdue_request_what_is_kept_counts_and_what_failed_does_not(
    ledger: Ledger, delivery: Delivery
) -> None:
    commitments = Commitments(ledger)
    commitments.ask(delivery, "1.2.3", 100.0, 4.0)
    commitments.ask(delivery, "1.2.4", 200.0, 100.0)
    assert not commitments.is_open("1.2.3")

    assert commitments.heard(Report("1.2.3", (X,), ((Y, 0x0112),)), PACS, 110.0) == "part"
    assert commitments.due("pacs", 150.0) == []
    assert commitments.heard(Report("1.2.3", (X, Y)), PACS, 120.0) == "kept"

    assert states(ledger) == ("done", "sent")
    assert commitments.ask(delivery, "1.2.5", 300.0, 200.0) is None


def test_a_dead_letter_is_revived_by_a_report_that_comes_after_all(
    ledger: Ledger, delivery: Delivery
) -> None:
    commitments = Commitments(ledger)
    commitments.ask(delivery, "1.2.3", 100.0, 4.0)
    commitments.give_up(delivery, "no report came", 200.0)
    assert states(ledger) == ("undelivered", "dead")

    assert commitments.heard(Report("1.2.3", (X, Y)), PACS, 300.0) == "kept"
    assert states(ledger) == ("done", "sent")


def test_a_dead_letter_that_is_retried_is_asked_for_anew(ledger: Ledger, delivery: Delivery) -> None:
    commitments, deliveries = Commitments(ledger), Deliveries(ledger)
    commitments.ask(delivery, "1.2.3", 100.0, 4.0)
    commitments.give_up(delivery, "refused", 200.0, "1.2.3")

    (again,) = deliveries.retry([delivery.job], 300.0)
    deliveries.attempted(again, Attempt("committing", ""), 301.0)
    (due,) = commitments.due("pacs", 301.0)

    assert (due.delivery.run, due.asked, due.asked_at) == (2, 0, None)
    assert commitments.heard(Report("1.2.3", (X, Y)), PACS, 302.0) == "late"  # of the first run


def test_a_cancelled_delivery_is_not_asked_for(ledger: Ledger, delivery: Delivery) -> None:
    commitments = Commitments(ledger)
    Orders(ledger).cancel([delivery.job], 5.0)

    assert commitments.due("pacs", 10.0) == []
    assert commitments.ask(delivery, "1.2.3", 100.0, 10.0) is None
    assert states(ledger) == ("cancelled", "cancelled")


def test_what_nobody_asks_for_any_more_counts_as_sent_and_says_so(ledger: Ledger, delivery: Delivery) -> None:
    commitments = Commitments(ledger)

    assert commitments.waive(PACS, 5.0) == 0
    assert commitments.waive([], 5.0) == 1
    assert states(ledger) == ("done", "sent")
    assert "not asked to commit any more" in row(ledger).deliveries[0].reason


def test_a_destination_that_is_gone_strands_what_waits_for_its_report(
    ledger: Ledger, delivery: Delivery
) -> None:
    Deliveries(ledger).strand(["archive"], 5.0)

    assert states(ledger) == ("undelivered", "dead")


def test_status_counts_what_waits_for_a_report(ledger: Ledger, delivery: Delivery, tmp_path: Path) -> None:
    assert status(Layout(tmp_path), ledger).deliveries == {"pacs": {"committing": 1}}
