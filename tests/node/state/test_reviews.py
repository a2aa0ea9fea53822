"""Verdicts in the ledger: which are taken, what they leave, and what their objects do to deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from casgan_dicom.derived.review_reasons import REASONS
from casgan_dicom.errors import ConfigError, SeriesError
from casgan_dicom.node.state.audit import Audit
from casgan_dicom.node.state.deliveries import Attempt, Deliveries, Delivery, Derived
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.orders import Orders
from casgan_dicom.node.state.overview import list_jobs
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.node.state.removals import Removals
from casgan_dicom.node.state.reviews import Review, Reviews, Verdict
from tests.node.ledgers import received
from tests.support.factories import uid

GOOD = Verdict("accepted")
BAD = Verdict("rejected", "motion", "moved at frame 12", "A. Reviewer")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "node.sqlite")
    yield opened
    opened.close()


def derived(name: str) -> Derived:
    return Derived(uid(name), uid("run"), Path(f"/outbox/{name}"), "0" * 64, 3, "1.2.840.1", (uid("a"),))


def made(ledger: Ledger, *destinations: str, name: str = "a") -> str:
    """A job that has made one object."""
    job = Receipts(ledger, "w").enter(received(name, series=f"series {name}"), 1.0).job
    for opened in JobList(ledger).receiving(1000.0):
        assert JobList(ledger).close(opened.job, opened.series, 2.0)
    assert Deliveries(ledger).put(job, [derived(f"made of {name}")], destinations, 3.0)
    return job


def attempted(ledger: Ledger, job: str, state: str, run: int = 1) -> None:
    """Let a delivery have come to a state."""
    Deliveries(ledger).attempted(Delivery(job, "pacs", run), Attempt(state, "why"), 4.0)  # type: ignore[arg-type]


def delivery(ledger: Ledger, job: str) -> tuple[str, str]:
    """State of a job, and of its delivery."""
    (row,) = (row for row in list_jobs(ledger) if row.job == job)
    return row.state, row.deliveries[0].state


def test_every_verdict_stays_and_the_latest_counts(ledger: Ledger) -> None:
    job = made(ledger)
    reviews = Reviews(ledger)

    assert reviews.decide(job, BAD, 5.0)
    assert reviews.decide(job, GOOD, 6.0)
    assert reviews.decide(job, BAD, 7.0)

    found = reviews.of(job)
    assert [(each.number, each.verdict, each.at) for each in found] == [
        (1, BAD, 5.0),
        (2, GOOD, 6.0),
        (3, BAD, 7.0),
    ]
    (row,) = list_jobs(ledger)
    assert row.reviews == tuple(found)
    assert reviews.of("another") == []


def test_the_same_verdict_again_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    job, layout = made(ledger), Layout(tmp_path)
    reviews = Reviews(ledger, Audit(layout))
    assert reviews.decide(job, BAD, 5.0)
    before, trail = list_jobs(ledger), layout.audit.read_bytes()

    assert not reviews.decide(job, BAD, 6.0)

    assert list_jobs(ledger) == before
    assert layout.audit.read_bytes() == trail


def test_the_same_words_of_somebody_else_are_another_verdict(ledger: Ledger) -> None:
    job = made(ledger)
    reviews = Reviews(ledger)
    reviews.decide(job, BAD, 5.0)

    assert reviews.decide(job, replace(BAD, reviewer="B. Reviewer"), 6.0)

    assert len(reviews.of(job)) == 2


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_of_the_list_is_taken(ledger: Ledger, reason: str) -> None:
    job = made(ledger)
    verdict = Verdict("rejected", reason, "as I say")

    assert Reviews(ledger).decide(job, verdict, 5.0)

    assert Reviews(ledger).of(job)[0].verdict == verdict


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict("rejected"),
        Verdict("rejected", "ugly"),
        Verdict("rejected", "Motion"),
        Verdict("rejected", "other"),
        Verdict("accepted", "motion"),
        Verdict("accepted", text="x" * 257),
        Verdict("accepted", text="one\nline more"),
        Verdict("accepted", text="one\u2028line more"),
        Verdict("accepted", text="\x1b[31mred"),
        Verdict("accepted", text="right\u202eto left"),
        Verdict("accepted", text=" in between "),
        Verdict("accepted", reviewer="x" * 65),
        Verdict("accepted", reviewer="one\rtwo"),
        Verdict("accepted", reviewer="Doe^Jane"),
        Verdict("accepted", reviewer="Doe=Jane"),
        Verdict("accepted", reviewer="Doe\\Jane"),
    ],
)
def test_a_verdict_that_cannot_be_said_is_refused_and_not_quoted(ledger: Ledger, verdict: Verdict) -> None:
    job = made(ledger)

    with pytest.raises(ConfigError) as caught:
        Reviews(ledger).decide(job, verdict, 5.0)

    assert Reviews(ledger).of(job) == []
    for words in filter(None, (verdict.text, verdict.reviewer)):
        assert words not in caught.value.message


def test_whatever_is_wrong_with_a_verdict_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Verdict("rejected", "ugly", "a\nb", "c" * 65).check()

    assert caught.value.message.count(";") == 2


@pytest.mark.parametrize("words", ["Gefäß falsch", "x" * 256, "", "a \\ b", "血管"])
def test_a_text_may_be_of_any_language(ledger: Ledger, words: str) -> None:
    job = made(ledger)

    assert Reviews(ledger).decide(job, Verdict("accepted", text=words), 5.0)

    assert Reviews(ledger).of(job)[0].verdict.text == words


@pytest.mark.parametrize("state", ["receiving", "queued", "converting"])
def test_what_is_under_way_is_neither_accepted_nor_rejected(ledger: Ledger, state: str) -> None:
    job = Receipts(ledger, "w").enter(received("a"), 1.0).job
    with ledger.transaction() as db:
        db.execute("UPDATE jobs SET state = ?", [state])

    with pytest.raises(SeriesError, match=state):
        Reviews(ledger).decide(job, GOOD, 5.0)


@pytest.mark.parametrize(
    "state", ["skipped", "kept", "lacking", "failed", "quarantined", "cancelled", "done"]
)
def test_what_has_made_nothing_is_neither_accepted_nor_rejected(ledger: Ledger, state: str) -> None:
    job = Receipts(ledger, "w").enter(received("a"), 1.0).job
    with ledger.transaction() as db:
        db.execute("UPDATE jobs SET state = ?", [state])

    with pytest.raises(SeriesError, match="made nothing"):
        Reviews(ledger).decide(job, GOOD, 5.0)


@pytest.mark.parametrize("is_over", [False, True])
def test_what_was_removed_is_neither_accepted_nor_rejected(ledger: Ledger, is_over: bool) -> None:
    job = made(ledger)
    assert Removals(ledger).begin(job, 9.0)
    if is_over:
        Removals(ledger).end(job, 10.0)

    with pytest.raises(SeriesError, match="removed"):
        Reviews(ledger).decide(job, GOOD, 11.0)


def test_there_has_to_be_such_a_job(ledger: Ledger) -> None:
    with pytest.raises(ConfigError, match="no job"):
        Reviews(ledger).decide("none\x1b", GOOD, 5.0)


def test_files_stay_until_a_verdict_has_become_what_it_is_to_become(ledger: Ledger) -> None:
    job = made(ledger)
    reviews = Reviews(ledger)
    reviews.decide(job, GOOD, 5.0)

    assert not Removals(ledger).begin(job, 6.0)
    assert Removals(ledger).holdings() == []
    reviews.waive(reviews.due()[0])

    assert Removals(ledger).begin(job, 7.0)


def taken_up(ledger: Ledger, job: str, verdict: Verdict = GOOD) -> Review:
    """A verdict whose object is made."""
    reviews = Reviews(ledger)
    assert reviews.decide(job, verdict, 5.0)
    (due,) = reviews.due()
    reviews.made(due, derived(f"review {due.number} of {job}"), 6.0)
    return due


@pytest.mark.parametrize("state", ["sent", "committing", "waiting"])
def test_the_object_of_a_verdict_goes_where_the_others_of_its_job_went(ledger: Ledger, state: str) -> None:
    job = made(ledger, "pacs")
    deliveries = Deliveries(ledger)
    (first,) = deliveries.to_enqueue()
    deliveries.enqueued(first)
    if state != "waiting":
        deliveries.answered(uid("made of a"), "pacs", 0, stored_at=4.0)
        attempted(ledger, job, state)

    taken_up(ledger, job)

    assert delivery(ledger, job) == ("delivering", "waiting")
    assert deliveries.to_enqueue() == [Delivery(job, "pacs", 2)]
    names = {each.path.name for each in deliveries.outstanding(job, "pacs")}
    assert f"review 1 of {job}" in names
    assert ("made of a" in names) == (state == "waiting")


def test_an_attempt_under_way_does_not_finish_what_came_behind_it(ledger: Ledger) -> None:
    """It may have read what is outstanding before the object was there."""
    job = made(ledger, "pacs")

    taken_up(ledger, job)
    attempted(ledger, job, "sent", run=1)

    assert delivery(ledger, job) == ("delivering", "waiting")


@pytest.mark.parametrize("state", ["dead", "cancelled"])
def test_what_waits_for_a_person_is_not_sent_for_a_verdict_but_with_it(ledger: Ledger, state: str) -> None:
    job = made(ledger, "pacs")
    if state == "cancelled":
        Orders(ledger).cancel([job], 4.0)
    else:
        attempted(ledger, job, state)
    before = delivery(ledger, job)

    taken_up(ledger, job)

    assert delivery(ledger, job) == before
    assert Deliveries(ledger).retry([job], 7.0) == [Delivery(job, "pacs", 2)]
    assert len(Deliveries(ledger).outstanding(job, "pacs")) == 2


def test_a_job_without_destinations_keeps_the_object_in_the_outbox(ledger: Ledger) -> None:
    job = made(ledger)

    taken_up(ledger, job)

    (row,) = list_jobs(ledger)
    assert (row.state, len(row.derived)) == ("done", 2)


def test_an_object_is_entered_once(ledger: Ledger) -> None:
    job = made(ledger, "pacs")
    due = taken_up(ledger, job)
    (waiting,) = Deliveries(ledger).to_enqueue()
    Deliveries(ledger).enqueued(waiting)

    Reviews(ledger).made(due, derived(f"review 1 of {job}"), 8.0)

    assert Deliveries(ledger).to_enqueue() == []
    assert len(list_jobs(ledger)[0].derived) == 2
    assert Reviews(ledger).due() == []


def test_verdicts_become_objects_in_their_order(ledger: Ledger) -> None:
    jobs = [made(ledger, name=name) for name in ("a", "b")]
    reviews = Reviews(ledger)
    reviews.decide(jobs[1], GOOD, 5.0)
    reviews.decide(jobs[0], BAD, 6.0)
    reviews.decide(jobs[1], BAD, 7.0)

    assert [(each.job, each.number) for each in reviews.due()] == [(jobs[1], 1), (jobs[0], 1), (jobs[1], 2)]


def test_what_could_not_become_an_object_can_be_tried_again(ledger: Ledger) -> None:
    jobs = [made(ledger, name=name) for name in ("a", "b")]
    reviews = Reviews(ledger)
    for job in jobs:
        reviews.decide(job, GOOD, 5.0)
    for each in reviews.due():
        reviews.fail(each, "a file is gone")
    assert reviews.due() == []
    assert reviews.of(jobs[0])[0].why == "a file is gone"

    assert reviews.retry([jobs[0]]) == [jobs[0]]
    assert [(each.job, each.why) for each in reviews.due()] == [(jobs[0], "")]
    assert reviews.retry([]) == [jobs[1]]
    assert reviews.retry([]) == []


def test_a_later_revision_supersedes_no_verdict(ledger: Ledger) -> None:
    """What is superseded is withdrawn, and named as the series before."""
    receipts = Receipts(ledger, "w")
    job = made(ledger, "pacs")
    reviews = Reviews(ledger)
    reviews.decide(job, GOOD, 5.0)
    record = replace(derived("record"), series_uid=uid("0 records"), sources=())
    reviews.made(reviews.due()[0], record, 6.0)

    later = receipts.enter(received("b", series="series a"), 7.0).job

    inputs = JobList(ledger).inputs(later)
    assert inputs.supersedes == uid("run")
    assert [each.sop_uid for each in inputs.superseded] == [uid("made of a")]
