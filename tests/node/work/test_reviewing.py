"""A verdict becomes an object where that is asked for, once, and is about what the job made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.uid import ComprehensiveSRStorage, KeyObjectSelectionDocumentStorage

from casgan_dicom.disk import file_sha256
from casgan_dicom.node.settings import NodeSettings, ReviewSettings, RuleSettings
from casgan_dicom.node.state.deliveries import Deliveries, Delivery, Derived
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import list_jobs
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.node.state.reviews import Review, Reviews, Verdict
from casgan_dicom.node.work import reviewing
from casgan_dicom.node.work.reviewing import AGAIN_SECONDS, Reviewing, record_for
from casgan_dicom.verification.verify import verify_file
from tests.node.ledgers import received
from tests.support.derived import cine_of, derived
from tests.support.factories import uid

GOOD = Verdict("accepted")
BAD = Verdict("rejected", "motion", "moved", "A. Reviewer")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "node")


@pytest.fixture
def ledger(layout: Layout) -> Iterator[Ledger]:
    layout.data.mkdir()
    opened = Ledger(layout.ledger)
    yield opened
    opened.close()


def made(ledger: Ledger, layout: Layout, *, rule: str = "") -> str:
    """A job that has made a synthetic cine, which went to a destination called pacs."""
    job = Receipts(ledger, "w").enter(received("a"), 1.0).job
    (opened,) = JobList(ledger).receiving(1000.0)
    assert JobList(ledger).close(job, opened.series, 2.0)
    ds = derived(cine_of(layout.data))
    path = layout.outbox / job / "cine.dcm"
    path.parent.mkdir(parents=True)
    dcmwrite(path, ds, enforce_file_format=True)
    JobList(ledger).decided(job, 1, rule, "recipe")
    one = Derived(
        ds.SOPInstanceUID, ds.SeriesInstanceUID, path, file_sha256(path), 4, ds.SOPClassUID, (uid("a"),)
    )
    assert Deliveries(ledger).put(job, [one], ["pacs"], 3.0)
    (delivery,) = Deliveries(ledger).to_enqueue()
    Deliveries(ledger).enqueued(delivery)
    return job


def settings(layout: Layout, record: str = "sr", *rules: RuleSettings) -> NodeSettings:
    return NodeSettings(data=layout.data, review=ReviewSettings(record), rules=rules)


def records(ledger: Ledger, job: str) -> list[Review]:
    return Reviews(ledger).of(job)


@pytest.mark.parametrize(
    ("of_node", "of_rule", "kind"),
    [
        ("", "", ""),
        ("sr", "", "sr"),
        ("ko", "", "ko"),
        ("", "sr", "sr"),
        ("sr", "ko", "ko"),
        ("sr", "none", ""),
        ("", "none", ""),
    ],
)
def test_the_rule_of_a_job_comes_before_the_settings_for_all(of_node: str, of_rule: str, kind: str) -> None:
    rules = (RuleSettings("other", review="ko"), RuleSettings("mine", review=of_rule))

    assert record_for(NodeSettings(review=ReviewSettings(of_node), rules=rules), "mine") == kind


@pytest.mark.parametrize("rule", ["", "gone since"])
def test_without_a_rule_the_settings_for_all_count(rule: str) -> None:
    rules = (RuleSettings("other", review="ko"),)

    assert record_for(NodeSettings(review=ReviewSettings("sr"), rules=rules), rule) == "sr"


@pytest.mark.parametrize(
    ("kind", "sop_class"), [("sr", ComprehensiveSRStorage), ("ko", KeyObjectSelectionDocumentStorage)]
)
@pytest.mark.parametrize("verdict", [GOOD, BAD])
def test_a_verdict_lies_in_the_outbox_and_waits_to_be_sent(
    ledger: Ledger, layout: Layout, kind: str, sop_class: str, verdict: Verdict
) -> None:
    job = made(ledger, layout)
    Reviews(ledger).decide(job, verdict, 5.0)

    Reviewing(settings(layout, kind), ledger).round(6.0)

    (review,) = records(ledger, job)
    (path,) = (layout.outbox / job).glob("review-*.dcm")
    assert (review.record, f"review-{review.sop_uid}.dcm") == ("made", path.name)
    ds = dcmread(path)
    assert (ds.SOPClassUID, ds.SOPInstanceUID) == (sop_class, review.sop_uid)
    assert verify_file(path) == []
    assert Deliveries(ledger).to_enqueue() == [Delivery(job, "pacs", 2)]
    (entered,) = (
        each for each in Deliveries(ledger).outstanding(job, "pacs") if each.sop_uid == review.sop_uid
    )
    assert (entered.path, entered.sha256, entered.series_uid) == (
        path,
        file_sha256(path),
        ds.SeriesInstanceUID,
    )


def test_nothing_is_made_where_nothing_asks_for_it(ledger: Ledger, layout: Layout) -> None:
    job = made(ledger, layout, rule="mine")
    Reviews(ledger).decide(job, BAD, 5.0)

    Reviewing(settings(layout, "sr", RuleSettings("mine", review="none")), ledger).round(6.0)

    assert [review.record for review in records(ledger, job)] == ["none"]
    assert list((layout.outbox / job).glob("review-*")) == []
    assert Deliveries(ledger).to_enqueue() == []


def test_each_verdict_is_an_object_and_a_report_names_that_before_it(ledger: Ledger, layout: Layout) -> None:
    job = made(ledger, layout)
    for at, verdict in enumerate((GOOD, BAD, GOOD)):
        Reviews(ledger).decide(job, verdict, float(at))

    Reviewing(settings(layout), ledger).round(6.0)

    first, second, third = (
        dcmread(layout.outbox / job / f"review-{review.sop_uid}.dcm") for review in records(ledger, job)
    )
    assert [ds.InstanceNumber for ds in (first, second, third)] == [1, 2, 3]
    assert "PredecessorDocumentsSequence" not in first
    for ds, before in ((second, first), (third, second)):
        (study,) = ds.PredecessorDocumentsSequence
        (item,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
        assert item.ReferencedSOPInstanceUID == before.SOPInstanceUID
    about = {
        each.ReferencedSOPInstanceUID
        for series in third.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for each in series.ReferencedSOPSequence
    }
    assert len(about) == 1  # the cine, and no earlier verdict


def test_a_report_after_a_selection_replaces_no_report(ledger: Ledger, layout: Layout) -> None:
    job = made(ledger, layout)
    for kind, verdict in (("ko", GOOD), ("sr", BAD)):
        Reviews(ledger).decide(job, verdict, 5.0)
        Reviewing(settings(layout, kind), ledger).round(6.0)

    last = records(ledger, job)[-1]
    assert "PredecessorDocumentsSequence" not in dcmread(layout.outbox / job / f"review-{last.sop_uid}.dcm")


def test_what_was_written_and_not_entered_is_made_again_as_the_same(
    ledger: Ledger, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill between the two."""
    job = made(ledger, layout)
    Reviews(ledger).decide(job, BAD, 5.0)
    with monkeypatch.context() as patched:
        patched.setattr(Reviews, "made", lambda *_: None)
        Reviewing(settings(layout), ledger).round(6.0)
    (path,) = (layout.outbox / job).glob("review-*.dcm")
    before = path.read_bytes()
    assert [each.job for each in Reviews(ledger).due()] == [job]

    Reviewing(settings(layout), ledger).round(7.0)

    assert path.read_bytes() == before
    assert list((layout.outbox / job).glob("review-*")) == [path]
    assert len(list_jobs(ledger)[0].derived) == 2


def test_a_round_more_makes_nothing_more(ledger: Ledger, layout: Layout) -> None:
    job = made(ledger, layout)
    Reviews(ledger).decide(job, BAD, 5.0)
    at_work = Reviewing(settings(layout), ledger)
    at_work.round(6.0)
    (delivery,) = Deliveries(ledger).to_enqueue()
    Deliveries(ledger).enqueued(delivery)

    at_work.round(7.0)

    assert Deliveries(ledger).to_enqueue() == []


def test_a_verdict_about_what_is_gone_says_so_and_holds_up_no_other(ledger: Ledger, layout: Layout) -> None:
    job = made(ledger, layout)
    Reviews(ledger).decide(job, BAD, 5.0)
    path = layout.outbox / job / "cine.dcm"
    kept = path.read_bytes()
    path.unlink()

    Reviewing(settings(layout), ledger).round(6.0)

    (review,) = records(ledger, job)
    assert review.record == "failed"
    assert "cannot be read any more" in review.why
    path.write_bytes(kept)
    assert Reviews(ledger).retry([]) == [job]
    Reviewing(settings(layout), ledger).round(7.0)
    assert records(ledger, job)[0].record == "made"


@pytest.mark.parametrize("content", [b"", b"DICM", bytes(300)])
def test_a_verdict_about_what_cannot_be_read_fails_alone(
    ledger: Ledger, layout: Layout, content: bytes
) -> None:
    job = made(ledger, layout)
    Reviews(ledger).decide(job, BAD, 5.0)
    (layout.outbox / job / "cine.dcm").write_bytes(content)

    Reviewing(settings(layout), ledger).round(6.0)

    assert [review.record for review in records(ledger, job)] == ["failed"]


@pytest.mark.parametrize("sop_class", ["", "1.2.840.10008.5.1.4.1.1.88.33"])
def test_a_verdict_needs_a_picture_of_a_known_class(ledger: Ledger, layout: Layout, sop_class: str) -> None:
    job = made(ledger, layout)
    with ledger.transaction() as db:
        db.execute("UPDATE outbox SET sop_class_uid = ?", [sop_class])
    Reviews(ledger).decide(job, BAD, 5.0)

    Reviewing(settings(layout), ledger).round(6.0)

    assert [review.record for review in records(ledger, job)] == ["failed"]


def test_what_cannot_be_written_now_is_written_later(ledger: Ledger, layout: Layout) -> None:
    job = made(ledger, layout)
    Reviews(ledger).decide(job, BAD, 5.0)
    at_work = Reviewing(settings(layout), ledger)
    folder = layout.outbox / job
    aside = folder.rename(layout.data / "aside")
    folder.write_bytes(b"in the way")
    with ledger.transaction() as db:
        db.execute("UPDATE outbox SET path = ?", [str(aside / "cine.dcm")])
    at_work.round(6.0)
    assert [review.record for review in records(ledger, job)] == ["due"]
    folder.unlink()

    at_work.round(6.0 + AGAIN_SECONDS / 2)
    assert [review.record for review in records(ledger, job)] == ["due"]
    at_work.round(6.0 + AGAIN_SECONDS)

    assert [review.record for review in records(ledger, job)] == ["made"]


def test_the_header_is_that_of_the_cine_and_not_of_a_map(ledger: Ledger, layout: Layout) -> None:
    """The series number of a verdict follows from it."""
    job = made(ledger, layout)
    (cine,) = Deliveries(ledger).outstanding(job, "pacs")
    ds = dcmread(cine.path)
    ds.SeriesNumber, ds.SeriesInstanceUID, ds.SOPInstanceUID = 19003, uid("maps"), uid("map")
    path = cine.path.with_name("a map.dcm")
    dcmwrite(path, ds, enforce_file_format=True)
    one = replace(cine, path=path, sop_uid=uid("map"), series_uid=uid("maps"))
    assert Deliveries(ledger).put(job, [one], ["pacs"], 4.0)
    Reviews(ledger).decide(job, BAD, 5.0)

    Reviewing(settings(layout), ledger).round(6.0)

    (review,) = records(ledger, job)
    record = dcmread(layout.outbox / job / f"review-{review.sop_uid}.dcm")
    assert record.SeriesNumber == 49003


def test_an_unexpected_error_is_told_without_its_text(
    ledger: Ledger, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = made(ledger, layout)
    Reviews(ledger).decide(job, BAD, 5.0)

    def broken(*_: object) -> Derived:
        raise RuntimeError("Doe^Jane")

    monkeypatch.setattr(reviewing, "write_record", broken)
    Reviewing(settings(layout), ledger).round(6.0)

    assert records(ledger, job)[0].why == "unexpected RuntimeError, see the log"
