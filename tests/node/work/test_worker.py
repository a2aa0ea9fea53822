"""One conversion at a time, without the queues: what the worker leaves after success and after death."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from time import time
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

from casgan_dicom.model.data.normalisation import Levels
from casgan_dicom.model.generator import Synthesis
from casgan_dicom.node.settings import DestinationSettings, NodeSettings, StateSettings
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.deliveries import Deliveries
from casgan_dicom.node.state.figures import figures
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger, LedgerError
from casgan_dicom.node.state.orders import Orders, Repeat
from casgan_dicom.node.state.overview import list_jobs
from casgan_dicom.node.state.receipts import Receipts, Received
from casgan_dicom.node.work.recipe import recipe_of
from casgan_dicom.node.work.worker import Worker
from casgan_dicom.verification.verify import verify_file
from tests.model.bundles import write_bundle
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.painter import DiscPainter, Frames
from tests.support.roadmap import DarkIsVessel, write_reference, write_target

ROOT = Path(__file__).resolve().parents[3]
PACS = DestinationSettings(name="pacs", host="127.0.0.1", port=104, ae_title="PACS")


@pytest.fixture
def settings(tmp_path: Path, state_settings: StateSettings) -> NodeSettings:
    return NodeSettings(data=tmp_path / "node", state=state_settings, destinations=(PACS,))


@pytest.fixture
def ledger(settings: NodeSettings) -> Iterator[Ledger]:
    settings.data.mkdir()
    opened = open_ledger(settings)
    yield opened
    opened.close()


def worker_of(settings: NodeSettings, ledger: Ledger, painter: DiscPainter | None = None) -> Worker:
    painter = painter or DiscPainter()
    return Worker(
        settings, ledger, lambda _bundle: painter.as_generator(), Layout(settings.data).work / "cpu"
    )


def queued(ledger: Ledger, path: Path, **header: object) -> str:
    """A job of one cine that is complete."""
    write_xa(path, moving_frames(6), **header)
    row = Received(uid(path.name), "0" * 64, uid("series"), path, 1, 6, None, "CATHLAB", "127.0.0.1")
    job = Receipts(ledger, "w").enter(row, 1.0).job
    (opened,) = JobList(ledger).receiving(1000.0)
    assert JobList(ledger).close(job, opened.series, 2.0)
    return job


def derived_of(ledger: Ledger) -> list[Path]:
    """Files that the only job has made."""
    (row,) = list_jobs(ledger)
    return [Path(path) for path in row.derived]


def test_what_was_converted_is_in_the_outbox_and_waits_for_its_destinations(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    worker, job = worker_of(settings, ledger), queued(ledger, tmp_path / "a.dcm")

    state = worker.record(job, 1, worker.attempt(job, 1))

    (derived,) = derived_of(ledger)
    assert state == "delivering"
    assert derived.is_relative_to(Layout(settings.data).outbox / job)
    assert verify_file(derived) == []
    assert [each.destination for each in Deliveries(ledger).to_enqueue()] == ["pacs"]


def test_every_output_of_a_node_has_the_banner(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    worker, job = worker_of(settings, ledger), queued(ledger, tmp_path / "a.dcm")

    worker.record(job, 1, worker.attempt(job, 1))

    (derived,) = derived_of(ledger)
    assert b"banner burned into every frame" in derived.read_bytes()


def test_what_a_conversion_took_is_written_down_once_for_each_run_of_a_job(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    worker, job = worker_of(settings, ledger), queued(ledger, tmp_path / "a.dcm")
    outcome = worker.attempt(job, 1)

    worker.record(job, 1, outcome)
    worker.record(job, 1, outcome)  # again, after a crash

    found = figures(ledger)
    assert (found.frames, found.frame_seconds.count) == (6, 1)
    assert found.seconds > 0
    assert found.frame_seconds.sum == pytest.approx(found.seconds / 6)


def test_a_series_that_is_not_converted_took_nothing(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    worker, job = worker_of(settings, ledger), queued(ledger, tmp_path / "a.dcm", Modality="CT")

    worker.record(job, 1, worker.attempt(job, 1))

    found = figures(ledger)
    assert (found.frames, found.frame_seconds.count, found.scores.count) == (0, 0, 0)


def test_an_ineligible_series_is_skipped_with_every_reason(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    job = queued(ledger, tmp_path / "a.dcm", Modality="CT", ContrastBolusAgent="Iohexol")
    worker = worker_of(settings, ledger)

    assert worker.record(job, 1, worker.attempt(job, 1)) == "skipped"

    (row,) = list_jobs(ledger)
    assert row.state == "skipped"
    assert "Modality (0008,0060)" in " ".join(row.reasons)
    assert "ContrastBolusAgent (0018,0010)" in " ".join(row.reasons)
    assert Deliveries(ledger).to_enqueue() == []


def taken(ledger: Ledger, path: Path, series: str, at: float) -> str:
    """A job of a run that is written already, and came in at that time."""
    row = Received(uid(series), "0" * 64, series, path, 1, 6, None, "CATHLAB", "127.0.0.1")
    job = Receipts(ledger, "w").enter(row, at).job
    for opened in JobList(ledger).receiving(at + 1):
        assert JobList(ledger).close(opened.job, opened.series, at + 1)
    return job


@pytest.fixture
def guided(settings: NodeSettings) -> NodeSettings:
    """A node that invents nothing."""
    return replace(settings, worker=replace(settings.worker, mode="reference"))


def test_a_node_that_is_told_to_takes_the_vessels_of_an_earlier_run(
    guided: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    now = time()
    taken(ledger, write_reference(tmp_path / "r.dcm"), uid("reference series"), now - 60)
    job = taken(ledger, write_target(tmp_path / "t.dcm"), uid("series"), now)
    worker = worker_of(guided, ledger, DarkIsVessel())

    assert worker.record(job, 1, worker.attempt(job, 1)) == "delivering"

    row = next(row for row in list_jobs(ledger) if row.job == job)
    assert row.reasons == (f"vessels of series {uid('reference series')}, 10:42",)
    assert b"own vessels of 10:42" in Path(row.derived[0]).read_bytes()


def test_a_run_whose_file_is_gone_lends_nothing(guided: NodeSettings, ledger: Ledger, tmp_path: Path) -> None:
    now = time()
    reference = write_reference(tmp_path / "r.dcm")
    taken(ledger, reference, uid("reference series"), now - 60)
    reference.unlink()
    job = taken(ledger, write_target(tmp_path / "t.dcm"), uid("series"), now)

    outcome = worker_of(guided, ledger, DarkIsVessel()).attempt(job, 1)

    assert outcome["state"] == "skipped"
    assert "there is no other run to take vessels from" in outcome["reasons"][0]


@pytest.mark.parametrize("age", [60, 7300])
def test_where_no_run_fits_or_it_is_too_old_the_reason_is_said(
    guided: NodeSettings, ledger: Ledger, tmp_path: Path, age: float
) -> None:
    now = time()
    other: dict[str, Any] = {"PositionerPrimaryAngle": 0} if age == 60 else {}
    taken(ledger, write_reference(tmp_path / "r.dcm", **other), uid("reference series"), now - age)
    job = taken(ledger, write_target(tmp_path / "t.dcm"), uid("series"), now)
    worker = worker_of(guided, ledger, DarkIsVessel())

    assert worker.record(job, 1, worker.attempt(job, 1)) == "skipped"

    reasons = " ".join(next(row for row in list_jobs(ledger) if row.job == job).reasons)
    wanted = "angles: 30 and 0 degrees apart" if age == 60 else "there is no other run to take vessels from"
    assert wanted in reasons


def test_the_fallback_invents_vessels_and_the_job_says_so(
    guided: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    lenient = replace(guided, worker=replace(guided.worker, without_reference="invent"))
    job = queued(ledger, tmp_path / "a.dcm")
    worker = worker_of(lenient, ledger)

    assert worker.record(job, 1, worker.attempt(job, 1)) == "delivering"

    (row,) = list_jobs(ledger)
    assert "vessels invented instead: no reference" in row.reasons[0]
    assert b"vessels are invented" in Path(row.derived[0]).read_bytes()


def test_a_bug_fails_its_series_without_a_word_of_the_header(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Broken(DiscPainter):
        def __call__(self, frames: Frames, levels: Levels | None = None) -> Synthesis:
            raise RuntimeError("cannot draw Secret^Patient")

    job = queued(ledger, tmp_path / "a.dcm", PatientName="Secret^Patient")
    worker = worker_of(settings, ledger, Broken())

    assert worker.record(job, 1, worker.attempt(job, 1)) == "failed"

    (row,) = list_jobs(ledger)
    assert row.reasons == ("unexpected RuntimeError, see the log",)
    assert "Secret" not in "".join(capfd.readouterr())


def test_an_output_that_cannot_be_written_is_tried_again_later(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    worker, job = worker_of(settings, ledger), queued(ledger, tmp_path / "a.dcm")
    Layout(settings.data).outbox.write_text("a file where the folder should be")

    assert worker.attempt(job, 1)["state"] == "later"

    Layout(settings.data).outbox.unlink()
    assert worker.attempt(job, 1)["state"] == "delivering"


def test_what_an_attempt_left_half_done_is_gone_after_the_next(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    worker, job = worker_of(settings, ledger), queued(ledger, tmp_path / "a.dcm")
    rest = Layout(settings.data).outbox / job / "1.2.3" / ".half.dcm.77.part"
    rest.parent.mkdir(parents=True)
    rest.write_bytes(b"half")

    outcome = worker.attempt(job, 1)

    assert not rest.exists()
    assert {path.suffix for path in (Layout(settings.data).outbox / job).rglob("*") if path.is_file()} == {
        ".dcm",
        ".json",
    }
    assert len(outcome["derived"]) == 1


_DYING = """
import json, os, sys
from pathlib import Path
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.settings import NodeSettings, StateSettings
from tests.node.work.test_worker import worker_of
from tests.support.painter import DiscPainter, Frames

class Deadly(DiscPainter):
    def __init__(self, at_batch):
        super().__init__(batch=1)
        self.at_batch = at_batch

    def __call__(self, frames, levels=None):
        if len(self.calls) == self.at_batch:
            os.kill(os.getpid(), 9)
        return super().__call__(frames, levels)

def attempt(at_batch):
    state = StateSettings(**json.loads(sys.argv[2]))
    settings = NodeSettings(data=Path(sys.argv[1]), state=state)
    worker = worker_of(settings, open_ledger(settings), Deadly(at_batch))
    return worker.attempt(sys.argv[3], 1)["state"]

for at_batch in map(int, sys.argv[4:]):
    if (child := os.fork()) == 0:
        print(attempt(at_batch), flush=True)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == -9:
        print("", flush=True)
    elif code != 0:
        sys.exit(f"an attempt ended with {code}")
"""


def die_in(settings: NodeSettings, job: str, *, at_batches: Sequence[int]) -> list[str]:
    """Convert in processes of which each dies at a batch; what each printed, nothing where it died.

    One program forks them: it loads what they need once.
    """
    state = json.dumps(asdict(settings.state))
    command = [sys.executable, "-c", _DYING, str(settings.data), state, job, *map(str, at_batches)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_series_that_kills_the_worker_three_times_at_one_frame_is_quarantined(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    job = queued(ledger, tmp_path / "a.dcm")

    said = die_in(settings, job, at_batches=[2] * 4)

    assert said == ["", "", "", "quarantined"]
    worker = worker_of(settings, ledger)
    with ledger.reading() as db:
        place, deaths = db.execute("SELECT place, deaths FROM jobs").fetchone()
    assert deaths == 3
    assert place.startswith("generate 2/6")
    assert not (Layout(settings.data).outbox / job).exists()
    assert worker.attempt(job, 1)["state"] == "delivering"  # the next start of it is a new one


def test_deaths_at_other_places_quarantine_nothing(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    job = queued(ledger, tmp_path / "a.dcm")

    said = die_in(settings, job, at_batches=(2, 2, 4, 2, 3))

    assert said == [""] * 5
    assert worker_of(settings, ledger).attempt(job, 1)["state"] == "delivering"


def test_the_limit_of_deaths_is_a_setting(settings: NodeSettings, ledger: Ledger, tmp_path: Path) -> None:
    job = queued(ledger, tmp_path / "a.dcm")
    strict = replace(settings, worker=replace(settings.worker, deaths=1))

    assert die_in(settings, job, at_batches=[0]) == [""]

    assert worker_of(strict, ledger).attempt(job, 1)["state"] == "quarantined"


def resent(ledger: Ledger, path: Path, **header: object) -> str:
    """Another data set of the instance of `queued`, as a job that is complete."""
    write_xa(path, moving_frames(6), **header)
    row = Received(uid("a.dcm"), "1" * 64, uid("series"), path, 1, 6, None, "CATHLAB", "127.0.0.1")
    job = Receipts(ledger, "w").enter(row, 3.0).job
    (opened,) = JobList(ledger).receiving(1000.0)
    assert JobList(ledger).close(job, opened.series, 4.0)
    return job


def test_a_job_whose_files_are_gone_waits_for_them(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    worker, job = worker_of(settings, ledger), queued(ledger, tmp_path / "a.dcm")
    (tmp_path / "a.dcm").unlink()

    assert worker.record(job, 1, worker.attempt(job, 1)) == "lacking"

    (row,) = list_jobs(ledger)
    assert row.reasons == ("1 of 1 files are gone from the spool: send the series again",)
    assert JobList(ledger).retry([], 9.0) == [job]


def test_the_same_content_in_another_syntax_is_not_converted_again(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    painter = DiscPainter()
    worker, job = (
        worker_of(settings, ledger, painter),
        queued(ledger, tmp_path / "a.dcm", SOPInstanceUID=uid("a.dcm")),
    )
    worker.record(job, 1, worker.attempt(job, 1))
    before = len(painter.calls)

    again = resent(ledger, tmp_path / "b.dcm", SOPInstanceUID=uid("a.dcm"), syntax=RLELossless)
    state = worker.record(again, 1, worker.attempt(again, 1))

    assert (state, len(painter.calls)) == ("done", before)
    rows = {row.job: row for row in list_jobs(ledger)}
    assert (rows[again].state, rows[again].derived) == ("done", ())
    assert "the same content" in rows[again].reasons[0]


def test_a_correction_refers_to_what_it_supersedes(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    worker, job = worker_of(settings, ledger), queued(ledger, tmp_path / "a.dcm", SOPInstanceUID=uid("a.dcm"))
    worker.record(job, 1, worker.attempt(job, 1))
    (first,) = derived_of(ledger)

    again = resent(ledger, tmp_path / "b.dcm", SOPInstanceUID=uid("a.dcm"), PatientName="Corrected^Name")
    worker.record(again, 1, worker.attempt(again, 1))

    rows = {row.job: row for row in list_jobs(ledger)}
    (second,) = (dcmread(path) for path in rows[again].derived)
    (item,) = second.ReferencedImageSequence
    assert item.ReferencedSOPInstanceUID == dcmread(first).SOPInstanceUID
    assert second.SeriesInstanceUID != dcmread(first).SeriesInstanceUID


def test_a_job_that_is_cancelled_under_way_leaves_nothing(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    job = queued(ledger, tmp_path / "a.dcm")

    class Cancelling(DiscPainter):
        def __call__(self, frames: Frames, levels: Levels | None = None) -> Synthesis:
            Orders(ledger).cancel([job], time())
            return super().__call__(frames, levels)

    worker = worker_of(settings, ledger, Cancelling())

    assert worker.record(job, 1, worker.attempt(job, 1)) == "cancelled"

    assert not (Layout(settings.data).outbox / job).exists()
    assert list((Layout(settings.data).work / "cpu").iterdir()) == []
    assert (list_jobs(ledger)[0].state, derived_of(ledger)) == ("cancelled", [])


def test_a_ledger_that_cannot_be_read_under_way_fails_no_series(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    """The process ends with it, starts again, and converts the series anew."""
    worker, job = worker_of(settings, ledger), queued(ledger, tmp_path / "a.dcm")
    wanted, asked = worker._jobs.wanted, list[str]()

    def locked(job: str, run: int) -> bool:
        asked.append(job)
        if len(asked) == 4:
            raise LedgerError("database is locked")
        return wanted(job, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker._jobs, "wanted", locked)
        with pytest.raises(LedgerError):
            worker.attempt(job, 1)

    assert list_jobs(ledger)[0].state == "converting"
    assert worker.attempt(job, 1)["state"] == "delivering"


def test_a_job_that_is_cancelled_between_its_end_and_its_record_leaves_nothing(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    worker, job = worker_of(settings, ledger), queued(ledger, tmp_path / "a.dcm")
    outcome = worker.attempt(job, 1)
    Orders(ledger).cancel([job], time())

    assert worker.record(job, 1, outcome) == "cancelled"

    assert not (Layout(settings.data).outbox / job).exists()
    assert Deliveries(ledger).to_enqueue() == []


def test_a_record_that_is_made_again_after_a_crash_is_the_same(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    worker, job = worker_of(settings, ledger), queued(ledger, tmp_path / "a.dcm")
    outcome = worker.attempt(job, 1)
    worker.record(job, 1, outcome)
    Orders(ledger).cancel([job], time())  # on its way to the destinations by now

    assert worker.record(job, 1, outcome) == "cancelled"

    (derived,) = derived_of(ledger)
    assert derived.is_file()


def test_a_bundle_that_changed_since_it_was_named_is_not_used(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    bundle = write_bundle(tmp_path / "other")
    first = queued(ledger, tmp_path / "a.dcm")
    how = Repeat(str(bundle), recipe_of(settings.worker, str(bundle)), "batch")
    job = Orders(ledger).repeat(first, how, 3.0)
    write_bundle(bundle, attention_bias=-2)
    worker = worker_of(settings, ledger)

    assert worker.record(job, 1, worker.attempt(job, 1)) == "skipped"

    row = next(row for row in list_jobs(ledger) if row.job == job)
    assert row.reasons == ("the bundle holds other weights than when this was asked for: ask again",)


def test_the_death_of_the_worker_is_not_that_of_a_series_that_had_given_way(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    strict = replace(settings, worker=replace(settings.worker, deaths=1))
    worker, job = worker_of(strict, ledger), queued(ledger, tmp_path / "a.dcm")
    note = Layout(settings.data).work / "cpu" / job
    note.parent.mkdir(parents=True)
    note.write_text("paused generate 2/6 of 1.2.3".ljust(128))

    assert worker.attempt(job, 1)["state"] == "delivering"
