"""What a job converts, and how it ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from casgan_dicom.node.commitment import Reference, Request
from casgan_dicom.node.state.deliveries import Deliveries, Derived
from casgan_dicom.node.state.jobs import Enqueuing, JobList, JobState, Place
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.promises import Promise, Promises
from casgan_dicom.node.state.receipts import Receipts, Received
from tests.node.ledgers import received
from tests.support.factories import uid


def closed_job(ledger: Ledger, *instances: Received) -> str:
    """A job of these instances that takes no more."""
    jobs = JobList(ledger)
    (job,) = {Receipts(ledger, "w").enter(each, 1.0).job for each in instances}
    (opened,) = jobs.receiving(1000.0)
    assert jobs.close(job, opened.series, 2.0)
    return job


def converted(ledger: Ledger, job: str, name: str) -> None:
    """Let a job have made one derived object in a series called `name`."""
    derived = Derived(uid(f"derived {name}"), uid(name), Path(f"/outbox/{name}"), "0" * 64, 3)
    Deliveries(ledger).put(job, [derived], [], 3.0)


def test_a_run_of_single_frames_is_the_first_revision_of_its_series(ledger: Ledger) -> None:
    job = closed_job(ledger, received("b"), received("a"))

    inputs = JobList(ledger).inputs(job)

    assert set(inputs.paths) == {received("a").path, received("b").path}
    assert (inputs.series_uid, inputs.revision, inputs.supersedes) == (uid("run"), 1, "")


def test_a_late_frame_makes_a_revision_of_the_whole_run_that_names_the_one_before(ledger: Ledger) -> None:
    first = closed_job(ledger, received("a"), received("b"))
    converted(ledger, first, "derived series 1")

    late = JobList(ledger).inputs(closed_job(ledger, received("c")))

    assert set(late.paths) == {received(name).path for name in "abc"}
    assert (late.revision, late.supersedes) == (2, uid("derived series 1"))


def test_what_a_job_converts_does_not_change_when_more_comes_in(ledger: Ledger) -> None:
    job = closed_job(ledger, received("a"), received("b"))
    before = JobList(ledger).inputs(job)

    closed_job(ledger, received("a", content="corrected"), received("c"))

    assert JobList(ledger).inputs(job) == before


def test_a_second_whole_cine_of_a_series_is_converted_alone(ledger: Ledger) -> None:
    first = closed_job(ledger, received("a", frames=60))
    converted(ledger, first, "derived series 1")

    second = JobList(ledger).inputs(closed_job(ledger, received("b", frames=60)))

    assert second.paths == (received("b", frames=60).path,)
    assert (second.revision, second.supersedes) == (1, "")


def test_a_corrected_cine_supersedes_what_was_made_of_the_first(ledger: Ledger) -> None:
    first = closed_job(ledger, received("a", frames=60))
    converted(ledger, first, "derived series 1")

    corrected = received("a", content="corrected", frames=60)
    second = JobList(ledger).inputs(closed_job(ledger, corrected))

    assert second.paths == (corrected.path,)
    assert (second.revision, second.supersedes) == (2, uid("derived series 1"))


def test_of_two_data_sets_under_one_uid_the_later_counts(ledger: Ledger) -> None:
    closed_job(ledger, received("a"), received("b"))

    inputs = JobList(ledger).inputs(closed_job(ledger, received("b", content="corrected")))

    assert set(inputs.paths) == {received("a").path, received("b", content="corrected").path}


def test_a_late_still_converts_no_cine_of_its_series_again(ledger: Ledger) -> None:
    first = closed_job(ledger, received("cine", frames=60))
    converted(ledger, first, "derived cine")

    second = JobList(ledger).inputs(closed_job(ledger, received("a"), received("b")))

    assert set(second.paths) == {received("a").path, received("b").path}
    assert (second.revision, second.supersedes) == (1, "")


def test_a_run_supersedes_the_run_before_and_not_the_cine_between(ledger: Ledger) -> None:
    for name, instance in {"run 1": received("a"), "cine": received("cine", frames=60)}.items():
        converted(ledger, closed_job(ledger, instance), name)

    late = JobList(ledger).inputs(closed_job(ledger, received("b")))

    assert set(late.paths) == {received("a").path, received("b").path}
    assert (late.revision, late.supersedes) == (3, uid("run 1"))


def test_what_was_skipped_is_tried_again_only_by_name(ledger: Ledger) -> None:
    jobs = JobList(ledger)
    job = closed_job(ledger, received("a"))
    jobs.enter(job, "skipped", 5.0, ["a reason"])

    assert jobs.retry([], 6.0) == []
    assert jobs.retry([job], 6.0) == [job]


def test_a_closed_job_is_enqueued_once_for_each_run(ledger: Ledger) -> None:
    jobs = JobList(ledger)
    job = closed_job(ledger, received("a"))

    assert jobs.to_enqueue() == [Enqueuing(job, uid("run"), 1)]
    jobs.enqueued(Enqueuing(job, uid("run"), 1), Place("", "cpu"))
    assert jobs.to_enqueue() == []
    jobs.enter(job, "failed", 5.0, ["a reason"])
    assert jobs.retry([], 6.0) == [job]
    assert jobs.to_enqueue() == [Enqueuing(job, uid("run"), 2)]


def test_only_jobs_that_ended_badly_are_tried_again_and_only_those_named(ledger: Ledger) -> None:
    jobs = JobList(ledger)
    ends: tuple[JobState, ...] = ("quarantined", "failed", "skipped", "done")
    ids = {}
    for end in ends:
        ids[end] = closed_job(ledger, received(end, series=f"series {end}"))
        jobs.enter(ids[end], end, 5.0)

    assert jobs.retry([ids["failed"], ids["done"]], 6.0) == [ids["failed"]]
    assert jobs.retry([], 6.0) == [ids["quarantined"]]


def test_deaths_count_only_in_a_row_at_one_place(ledger: Ledger) -> None:
    jobs = JobList(ledger)
    job = closed_job(ledger, received("a"))

    places = ["frame 3", "frame 3", "frame 7", "frame 3", "frame 3", "frame 3"]

    assert [jobs.died_at(job, place) for place in places] == [1, 2, 1, 1, 2, 3]


def _made_of(ledger: Ledger, job: str, name: str, *sources: str) -> None:
    derived = Derived(
        uid(f"derived {name}"), uid(name), Path(f"/outbox/{name}"), "0" * 64, 3, "1.2.3",
        tuple(uid(source) for source in sources),
    )  # fmt: skip
    Deliveries(ledger).put(job, [derived], [], 3.0)


def test_a_correction_supersedes_the_object_of_its_own_cine(ledger: Ledger) -> None:
    """Not that of the cine that came in between."""
    for name in "ab":
        _made_of(ledger, closed_job(ledger, received(name, frames=60)), f"of {name}", name)

    corrected = JobList(ledger).inputs(closed_job(ledger, received("a", content="corrected", frames=60)))

    assert [(made.sop_uid, made.series_uid) for made in corrected.superseded] == [
        (uid("derived of a"), uid("of a"))
    ]
    (one,) = corrected.corrected
    assert (one.sop_uid, one.before, one.now) == (
        uid("a"),
        received("a", frames=60).path,
        received("a", content="corrected", frames=60).path,
    )
    assert corrected.own == corrected.paths == (one.now,)
    assert corrected.stills == frozenset()


def test_a_run_supersedes_only_what_was_made_last(ledger: Ledger) -> None:
    _made_of(ledger, closed_job(ledger, received("a")), "run 1", "a")
    _made_of(ledger, closed_job(ledger, received("b")), "run 2", "a", "b")

    third = JobList(ledger).inputs(closed_job(ledger, received("c")))

    assert [made.sop_uid for made in third.superseded] == [uid("derived run 2")]
    assert third.own == (received("c").path,)
    assert third.stills == set(third.paths)
    assert third.corrected == ()


def test_what_came_in_is_counted_over_all_revisions(ledger: Ledger) -> None:
    first = closed_job(ledger, replace(received("a"), expected=3), received("b"))
    second = closed_job(ledger, replace(received("c"), expected=3), received("a", content="corrected"))

    jobs = JobList(ledger)

    assert (jobs.inputs(first).there, jobs.inputs(first).promised) == (2, 3)
    assert (jobs.inputs(second).there, jobs.inputs(second).promised) == (3, 3)


def test_a_series_is_asked_for_when_its_sender_has_asked_to_commit_every_instance(ledger: Ledger) -> None:
    receipts, promises, jobs = Receipts(ledger, "w"), Promises(ledger), JobList(ledger)
    for name in "ab":
        receipts.enter(received(name), 1.0)

    def ask(peer: str, transaction: str, *names: str) -> bool:
        references = tuple(Reference("1.2", uid(name)) for name in names)
        promises.enter(Promise(peer, "127.0.0.1", transaction), Request(transaction, references), 9.0)
        (opened,) = jobs.receiving(1000.0)
        return opened.series.asked_for

    assert not ask("CATHLAB", "1.2.3", "a")
    assert not ask("ANOTHER", "1.2.4", "a", "b")
    assert ask("CATHLAB", "1.2.5", "b")
    receipts.enter(received("c"), 2.0)
    assert not ask("CATHLAB", "1.2.6", "a")
