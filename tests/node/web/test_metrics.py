"""What a program that watches reads, against what was done to ledger and disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from casgan_dicom.node.door.refusals import Kind
from casgan_dicom.node.service import _alone_in
from casgan_dicom.node.settings import (
    ArchiveSettings,
    DestinationSettings,
    InboxSettings,
    ListenerSettings,
    NodeSettings,
    PeerSettings,
    WebSettings,
    WorkerSettings,
)
from casgan_dicom.node.state.deliveries import Attempt, Deliveries, Delivery, Derived
from casgan_dicom.node.state.jobs import JobList, JobState
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger, LedgerError
from casgan_dicom.node.state.measurements import Measured, Measurements
from casgan_dicom.node.state.pauses import Pause, Pauses
from casgan_dicom.node.state.processes import Processes
from casgan_dicom.node.state.receipts import Receipts, Refused
from casgan_dicom.node.state.rejections import Rejections
from casgan_dicom.node.web.metric_names import METRICS
from casgan_dicom.node.web.metrics import MEASURE_SECONDS, Metrics
from tests.node.ledgers import received
from tests.node.secure import Pair
from tests.support.factories import uid

NOW = 1_000_000.0
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    """A node with one of everything that a label may name."""
    (tmp_path / "spool").mkdir()
    return NodeSettings(
        data=tmp_path,
        listener=ListenerSettings(min_free_bytes=12345),
        peers=(PeerSettings("CATHLAB1", "10.1.2.3"), PeerSettings("CATHLAB2", "10.1.2.4")),
        inboxes=(InboxSettings("/srv/xa", "FOLDER"),),
        archives=(ArchiveSettings("old", kind="dicomweb", url="https://old.example"),),
        web=WebSettings(port=8043),
        worker=WorkerSettings(devices=("cpu", "cuda:0")),
        destinations=(DestinationSettings("pacs", "h", 104, "P"), DestinationSettings("lab", "h", 104, "L")),
    )


@pytest.fixture
def ledger(settings: NodeSettings) -> Iterator[Ledger]:
    opened = Ledger(Layout(settings.data).ledger)
    yield opened
    opened.close()


def families(settings: NodeSettings, ledger: Ledger, now: float = NOW) -> dict[str, Family]:
    """What is written, by another reader than the writer."""
    text = Metrics(settings, ledger).text(now).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(settings: NodeSettings, ledger: Ledger, now: float = NOW) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families(settings, ledger, now).values()
        for sample in family.samples
    }


def of(found: Samples, name: str) -> dict[tuple[str, ...], float]:
    """Values of one metric by those of its labels, in the order of their names."""
    return {
        tuple(value for _, value in labels): value for (each, labels), value in found.items() if each == name
    }


def take(ledger: Ledger, name: str, peer: str, at: float) -> str:
    """An instance that comes in; its job."""
    return Receipts(ledger, "r").enter(replace(received(name, series=name), peer=peer), at).job


def deliver(ledger: Ledger, job: str, name: str, *attempts: Attempt, at: float = 500.0) -> None:
    """A job that goes to one destination, and what came of it there."""
    Deliveries(ledger).put(job, [Derived(uid(job), "1.2", Path("/o"), "ab", 1)], [name], at)
    for attempt in attempts:
        Deliveries(ledger).attempted(Delivery(job, name, 1), attempt, at)


def test_every_metric_that_is_written_is_described_and_has_its_labels(
    settings: NodeSettings, ledger: Ledger
) -> None:
    deliver(ledger, take(ledger, "a", "CATHLAB1", 900.0), "pacs")
    take(ledger, "b", "CATHLAB1", 900.0)
    Rejections(ledger).add({"sender": 2}, 900.0)

    written = families(settings, ledger)

    described = {each.name.removesuffix("_total"): each for each in METRICS}
    assert set(written) == set(described)
    for name, family in written.items():
        metric = described[name]
        assert (family.type, family.documentation) == (metric.kind, metric.text)
        assert {sample.name for sample in family.samples} <= set(metric.samples)
        of_buckets = {"le"} if metric.kind == "histogram" else set()
        for sample in family.samples:
            assert set(sample.labels) - of_buckets == set(metric.labels)


def test_names_follow_the_conventions_of_prometheus() -> None:
    for metric in METRICS:
        assert metric.name.startswith("casgan_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert not metric.name.endswith(("_days", "_ms", "_kib", "_mib", "_percent"))
        assert metric.text.endswith(".")


def test_what_came_in_is_counted_by_senders_of_the_configuration_and_all_others_together(
    settings: NodeSettings, ledger: Ledger
) -> None:
    take(ledger, "a", "CATHLAB1", 100.0)
    take(ledger, "b", "CATHLAB1", 900.0)
    take(ledger, "b", "CATHLAB1", 950.0)  # its file was gone: stored once more, and nothing new
    take(ledger, "c", "EVIL UID 1.2.3", 300.0)
    take(ledger, "d", "STRANGER", 200.0)

    found = samples(settings, ledger)

    nothing = {("CATHLAB2",): 0, ("FOLDER",): 0, ("old",): 0, ("WEB",): 0}
    counts = {("CATHLAB1",): 2, ("other",): 2} | nothing
    assert of(found, "casgan_instances_received_total") == counts
    assert of(found, "casgan_received_bytes_total") == {key: 1000 * n for key, n in counts.items()}
    assert of(found, "casgan_last_received_timestamp_seconds") == {("CATHLAB1",): 950.0, ("other",): 300.0}


def test_jobs_are_counted_in_every_state_and_the_age_of_those_that_wait_is_told(
    settings: NodeSettings, ledger: Ledger
) -> None:
    jobs = [take(ledger, name, "CATHLAB1", 100.0) for name in "abcd"]
    seen = JobList(ledger).receiving(NOW)
    for job in seen:
        if job.job in jobs[:2]:
            JobList(ledger).close(job.job, job.series, NOW - 50, "urgent")
    JobList(ledger).enter(jobs[2], "failed", NOW - 200)
    JobList(ledger).enter(jobs[1], "skipped", NOW - 500)

    found = samples(settings, ledger)

    counts = of(found, "casgan_jobs")  # by priority, then state
    assert {key for key, count in counts.items() if count} == {
        ("undecided", "receiving"), ("urgent", "queued"), ("undecided", "failed"), ("urgent", "skipped"),
    }  # fmt: skip
    states = {("urgent", state) for state in get_args(JobState)}
    assert states <= set(counts)
    assert counts["urgent", "queued"] == 1
    assert of(found, "casgan_oldest_job_age_seconds") == {
        ("receiving",): NOW - 100, ("queued",): 50, ("failed",): 200,
    }  # fmt: skip


def test_a_clock_that_was_set_back_makes_no_age_negative(settings: NodeSettings, ledger: Ledger) -> None:
    take(ledger, "a", "CATHLAB1", NOW + 60)

    assert of(samples(settings, ledger), "casgan_oldest_job_age_seconds") == {("receiving",): 0}


def test_deliveries_are_told_by_destination_also_where_there_is_none(
    settings: NodeSettings, ledger: Ledger
) -> None:
    sent, refused, gone = Attempt("sent", ""), Attempt("waiting", "refused", 5.0), Attempt("dead", "no")
    deliver(ledger, take(ledger, "a", "CATHLAB1", 1.0), "pacs", refused, refused, sent)
    deliver(ledger, take(ledger, "b", "CATHLAB1", 1.0), "pacs", refused, gone)
    deliver(ledger, take(ledger, "c", "CATHLAB1", 1.0), "pacs", refused, at=600.0)
    deliver(ledger, take(ledger, "d", "CATHLAB1", 1.0), "formerly", gone)

    found = samples(settings, ledger)

    assert of(found, "casgan_deliveries_sent_total") == {("pacs",): 1, ("lab",): 0, ("other",): 0}
    counts = of(found, "casgan_deliveries")
    assert {key for key, count in counts.items() if count} == {
        ("pacs", "dead"), ("pacs", "waiting"), ("other", "dead"),
    }  # fmt: skip
    assert counts["lab", "dead"] == 0
    assert of(found, "casgan_delivery_failures_total") == {("pacs",): 5, ("lab",): 0, ("other",): 1}
    assert of(found, "casgan_oldest_delivery_age_seconds") == {("pacs",): NOW - 600}


def test_a_dead_letter_that_is_tried_again_takes_no_failure_back(
    settings: NodeSettings, ledger: Ledger
) -> None:
    job = take(ledger, "a", "CATHLAB1", 1.0)
    deliver(ledger, job, "pacs", Attempt("waiting", "refused", 1.0), Attempt("dead", "refused"))

    Deliveries(ledger).retry([job], 700.0)

    assert of(samples(settings, ledger), "casgan_delivery_failures_total")["pacs",] == 2


def test_conversions_and_scores_are_counted_by_their_size(settings: NodeSettings, ledger: Ledger) -> None:
    job = take(ledger, "a", "CATHLAB1", 1.0)
    cines = [Measured(10, 0.5, 0.4), Measured(4, 40.0), Measured(score=1.7)]
    Measurements(ledger).put(job, 1, cines)
    Measurements(ledger).put(job, 1, cines)  # the step was done again after a crash
    Measurements(ledger).put(job, 2, [Measured(1, 3.0, 1.0)])  # retried by hand

    found = samples(settings, ledger)

    assert of(found, "casgan_frames_converted_total") == {(): 15}
    assert of(found, "casgan_conversion_seconds_total") == {(): 43.5}
    by_frame = of(found, "casgan_frame_seconds_bucket")
    assert (by_frame["0.025",], by_frame["0.05",], by_frame["2.5",], by_frame["5.0",]) == (0, 1, 1, 2)
    assert by_frame["+Inf",] == of(found, "casgan_frame_seconds_count")[()] == 3
    assert of(found, "casgan_frame_seconds_sum")[()] == pytest.approx(0.05 + 10 + 3)
    scores = of(found, "casgan_out_of_domain_score_bucket")
    assert (scores["0.25",], scores["0.5",], scores["1.0",], scores["+Inf",]) == (0, 1, 2, 3)
    assert of(found, "casgan_out_of_domain_score_sum")[()] == pytest.approx(3.1)


def test_who_is_not_let_in_is_counted_by_the_reasons_that_there_are(
    settings: NodeSettings, ledger: Ledger
) -> None:
    reasons: tuple[Kind, ...] = get_args(Kind)
    Rejections(ledger).add(dict.fromkeys(reasons, 3), 1.0)
    Receipts(ledger, "r").quarantine(Refused(Path("/q"), "", "why", "CATHLAB1", "10.1.2.3"), 1.0)

    found = samples(settings, ledger)

    assert of(found, "casgan_rejected_total") == {(reason,): 3 for reason in reasons}
    assert of(found, "casgan_quarantined_instances") == {(): 1}


def test_the_folders_are_measured_now_and_then(settings: NodeSettings, ledger: Ledger) -> None:
    spool = Layout(settings.data).spool
    (spool / "a").write_bytes(bytes(700))
    metrics = Metrics(settings, ledger)

    def spooled(now: float) -> float:
        text = metrics.text(now).decode()
        found = {
            (sample.name, sample.labels.get("area")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        assert found["casgan_disk_watermark_bytes", None] == 12345
        assert found["casgan_disk_free_bytes", None] == pytest.approx(
            os.statvfs(settings.data).f_bavail * os.statvfs(settings.data).f_frsize, rel=0.2
        )
        assert found["casgan_disk_used_bytes", "databases"] >= (settings.data / "node.sqlite").stat().st_size
        return found["casgan_disk_used_bytes", "spool"]

    assert spooled(NOW) == 700
    (spool / "b").write_bytes(bytes(50))
    assert spooled(NOW + MEASURE_SECONDS - 1) == 700
    assert spooled(NOW + MEASURE_SECONDS) == 750
    (spool / "b").unlink()
    assert spooled(NOW - 5000) == 700  # the clock was set back


def test_a_certificate_tells_its_whole_days_and_one_that_cannot_be_read_nothing(
    settings: NodeSettings, ledger: Ledger, node: Pair, tmp_path: Path
) -> None:
    listener = ListenerSettings(
        tls_certificate=str(node.certificate), tls_key=str(node.key), tls_authorities=str(tmp_path / "absent")
    )

    (sample,) = families(replace(settings, listener=listener), ledger, 0.0)[
        "casgan_certificate_left_seconds"
    ].samples

    assert sample.labels == {"setting": "listener.tls_certificate"}
    assert sample.value > 0
    assert sample.value % 86400 == 0


def test_pauses_are_told_of_everything_that_can_be_paused(settings: NodeSettings, ledger: Ledger) -> None:
    Pauses(ledger).begin([Pause("send", "lab"), Pause("convert", "cpu"), Pause("send", "formerly")], 1.0)

    assert of(samples(settings, ledger), "casgan_paused") == {
        ("pacs", "send"): 0, ("lab", "send"): 1, ("cpu", "convert"): 1, ("cuda:0", "convert"): 0,
    }  # fmt: skip


def test_processes_are_up_while_a_supervisor_says_so(settings: NodeSettings, ledger: Ledger) -> None:
    Processes(ledger).note({"listener": 1, "sender": 2}, 1.0)
    Processes(ledger).died(["worker.cpu"], 1.0)
    Processes(ledger).died(["worker.cpu", "sender"], 2.0)

    left_behind = of(samples(settings, ledger), "casgan_process_up")
    with _alone_in(settings):
        found = samples(settings, ledger)

    every = {"listener", "coordinator", "sender", "inbox", "web", "worker.cpu", "worker.cuda:0"}
    assert left_behind == {(role,): 0 for role in every}
    assert {role for (role,), up in of(found, "casgan_process_up").items() if up} == {"listener", "sender"}
    deaths = of(found, "casgan_process_restarts_total")
    assert deaths == {(role,): 0 for role in every} | {("worker.cpu",): 2, ("sender",): 1}


def test_a_ledger_that_cannot_be_read_is_an_error_and_no_zero(settings: NodeSettings, tmp_path: Path) -> None:
    closed = Ledger(tmp_path / "other.sqlite")
    closed.close()

    with pytest.raises(LedgerError):
        Metrics(settings, closed).text(NOW)
