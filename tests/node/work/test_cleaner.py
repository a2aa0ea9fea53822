"""What goes from the disk, in which order, and what is never touched."""

from __future__ import annotations

import base64
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from casgan_dicom.node.settings import AuditSettings, NodeSettings, RetentionSettings
from casgan_dicom.node.state.deliveries import Attempt, Deliveries, Delivery, Derived
from casgan_dicom.node.state.job_inputs import Inputs
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.orders import Orders, Repeat
from casgan_dicom.node.state.overview import list_jobs, list_quarantine
from casgan_dicom.node.state.receipts import Receipts, Received, Refused
from casgan_dicom.node.state.removal_lock import removals_to_myself
from casgan_dicom.node.state.removals import Removals
from casgan_dicom.node.work.cleaner import AT_ONCE, TAKEN_UP, Cleaner
from casgan_dicom.node.work.inputs import gone
from tests.node.ledgers import received
from tests.support.factories import uid, write_xa

NOW = 1000.0
EVERYTHING = RetentionSettings(
    delivered_seconds=100.0, outbox_seconds=100.0, ended_seconds=100.0, quarantine_seconds=100.0
)


@dataclass(frozen=True)
class Place:
    """A node's data folder, with files in it."""

    settings: NodeSettings
    ledger: Ledger

    @property
    def layout(self) -> Layout:
        return Layout(self.settings.data)

    @property
    def cleaner(self) -> Cleaner:
        return Cleaner(self.settings, self.ledger)

    def receive(self, name: str, at: float, *, series: str = "", frames: int = 1) -> str:
        """Let an instance come in, with a file of 1000 bytes; its job."""
        came = self.instance(name, series=series, frames=frames)
        came.path.parent.mkdir(parents=True, exist_ok=True)
        came.path.write_bytes(name.encode().ljust(1000))
        return Receipts(self.ledger, "w").enter(came, at).job

    def instance(self, name: str, *, series: str = "", frames: int = 1) -> Received:
        came = received(name, series=series or name, frames=frames)
        place = self.layout.spool / came.series_uid / came.path.name
        return replace(came, path=place, study_uid=uid(f"study {series or name}"))

    def file(self, name: str, series: str = "") -> Path:
        """The file of an instance."""
        return self.instance(name, series=series).path

    def made(self, job: str, at: float, *destinations: str) -> Path:
        """Let a job have made an object; its file."""
        path = self.layout.outbox / job / uid(f"to {job}") / "a.dcm"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"derived".ljust(500))
        (self.layout.outbox / job / "report.json").write_bytes(b"{}")
        derived = Derived(uid(f"derived {job}"), uid(f"to {job}"), path, "0" * 64, 3)
        JobList(self.ledger).enter(job, "delivering", at)
        assert Deliveries(self.ledger).put(job, [derived], destinations, at)
        return path

    def delivered(self, name: str, at: float, **more: str | int) -> str:
        """A job that a destination has."""
        job = self.receive(name, at, **more)  # type: ignore[arg-type]
        self.made(job, at, "pacs")
        Deliveries(self.ledger).attempted(Delivery(job, "pacs", 1), Attempt("sent", ""), at)
        return job

    def state(self, job: str, state: str, at: float) -> None:
        JobList(self.ledger).enter(job, state, at)  # type: ignore[arg-type]

    def audited(self) -> list[str]:
        """The jobs and files that the trail says were deleted."""
        if not self.layout.audit.exists():
            return []
        return re.findall(
            r"<ParticipantObjectName>(?!withheld)([^<]+)<", self.layout.audit.read_bytes().decode()
        )


def place_in(folder: Path, rules: RetentionSettings) -> Place:
    settings = NodeSettings(data=folder, retention=rules)
    layout = Layout(folder)
    for each in (layout.spool, layout.outbox, layout.quarantine):
        each.mkdir(parents=True)
    return Place(settings, Ledger(layout.ledger))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = place_in(tmp_path / "node", EVERYTHING)
    yield made
    made.ledger.close()


def test_what_was_delivered_goes_from_spool_and_outbox_with_its_folders(place: Place) -> None:
    job = place.delivered("a", 10.0)
    young = place.delivered("b", NOW - 1)

    removed = place.cleaner.clean(NOW)

    assert [(each.name, each.kind, each.bytes) for each in removed] == [(job, "delivered", 1502)]
    assert [path.name for path in place.layout.spool.iterdir()] == [uid("b")]
    assert [path.name for path in place.layout.outbox.iterdir()] == [young]
    assert place.audited() == [job]
    rows = {row.job: row for row in list_jobs(place.ledger)}
    assert (rows[job].state, rows[job].derived, rows[job].removed_at is None) == ("done", (), False)
    assert (len(rows[young].derived), rows[young].removed_at) == (1, None)
    assert place.cleaner.clean(NOW) == []


@pytest.mark.parametrize(
    "state",
    ["receiving", "queued", "converting", "delivering", "undelivered", "lacking", "quarantined", "failed"],
)
def test_what_waits_for_anything_or_anybody_stays(place: Place, state: str) -> None:
    job = place.receive("a", 10.0)
    kept = place.made(job, 10.0, "pacs")
    place.state(job, state, 10.0)

    assert place.cleaner.clean(1e9) == []
    assert kept.exists()
    assert place.file("a").exists()


@pytest.mark.parametrize("second", ["waiting", "dead", "sent"])
def test_a_job_goes_when_its_last_destination_has_it(place: Place, second: str) -> None:
    job = place.receive("a", 10.0)
    place.made(job, 10.0, "one", "two")
    for name, state in (("one", "sent"), ("two", second)):
        Deliveries(place.ledger).attempted(Delivery(job, name, 1), Attempt(state, ""), 20.0)  # type: ignore[arg-type]

    assert [each.name for each in place.cleaner.clean(NOW)] == ([job] if second == "sent" else [])
    assert place.file("a").exists() == (second != "sent")


def test_skipped_kept_and_cancelled_jobs_and_those_that_went_nowhere_have_their_own_time(
    tmp_path: Path,
) -> None:
    place = place_in(tmp_path / "node", RetentionSettings(ended_seconds=100.0))
    skipped, cancelled = place.receive("a", 10.0), place.receive("b", 10.0)
    place.state(skipped, "skipped", 10.0)
    Orders(place.ledger).cancel([cancelled], 10.0)
    kept = place.made(place.receive("c", 10.0), 10.0)
    place.delivered("d", 10.0)

    assert sorted(each.name for each in place.cleaner.clean(NOW)) == sorted([skipped, cancelled])
    assert kept.exists()
    assert place.file("c").exists()
    place.ledger.close()


def test_a_file_in_quarantine_goes_with_a_line_in_the_trail(place: Place) -> None:
    old, new = place.layout.quarantine / "old.dcm", place.layout.quarantine / "new.dcm"
    for path, at in ((old, 10.0), (new, NOW - 1)):
        path.write_bytes(b"?")
        os.utime(path, (at, at))
        Receipts(place.ledger, "w").quarantine(Refused(path, "", "cut short", "X", "127.0.0.1"), at)

    place.cleaner.clean(NOW)

    assert list(place.layout.quarantine.iterdir()) == [new]
    assert [row.path for row in list_quarantine(place.ledger)] == [new]
    assert place.audited() == ["old.dcm"]


def test_bytes_that_come_into_quarantine_once_more_stay(place: Place) -> None:
    path = place.layout.quarantine / "q.dcm"
    Receipts(place.ledger, "w").quarantine(Refused(path, "", "cut short", "X", "127.0.0.1"), 10.0)
    path.write_bytes(b"?")  # renamed into its place; its row is not renewed yet
    os.utime(path, (NOW - 1, NOW - 1))

    assert place.cleaner.clean(NOW) == []
    assert path.exists()


def test_without_rules_nothing_goes_and_no_folder_is_looked_at(tmp_path: Path) -> None:
    place = place_in(tmp_path / "node", RetentionSettings())
    place.delivered("a", 10.0)

    assert place.cleaner.is_idle
    assert place.cleaner.clean(1e9) == []
    assert not place.cleaner.round(1e9)
    assert place.file("a").exists()
    place.ledger.close()


def test_room_is_made_by_what_lies_on_the_disk(tmp_path: Path) -> None:
    place = place_in(tmp_path / "node", RetentionSettings(high_bytes=5000, low_bytes=4000))
    jobs = [place.delivered(name, float(k)) for k, name in enumerate("abcd")]  # 1502 bytes each
    skipped = place.receive("e", 0.0)
    place.state(skipped, "skipped", 0.0)

    removed = place.cleaner.clean(NOW)

    assert [each.name for each in removed] == jobs[:3]
    assert place.file("e").exists()
    assert place.cleaner.plan(NOW).excess_bytes == 0
    place.ledger.close()


def test_the_coordinator_removes_a_few_at_a_time(place: Place) -> None:
    for k in range(AT_ONCE + 3):
        place.delivered(f"n{k}", float(k))

    assert place.cleaner.round(NOW)
    assert len(list(place.layout.outbox.iterdir())) == 3
    assert not place.cleaner.round(NOW)
    assert list(place.layout.outbox.iterdir()) == []


def test_only_one_cleans_up_at_a_time(place: Place) -> None:
    place.delivered("a", 10.0)
    inside, go = threading.Event(), threading.Event()

    def hold() -> None:
        with removals_to_myself(place.layout, wait=True):
            inside.set()
            go.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(60)

    assert not place.cleaner.round(NOW)
    assert place.file("a").exists()

    go.set()
    holder.join()
    assert len(place.cleaner.clean(NOW)) == 1


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("step", ["while_given_up", "end"])
@pytest.mark.parametrize("done", [False, True])
def test_what_was_begun_is_taken_up_even_if_no_rule_would_begin_it(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: str, done: bool
) -> None:
    job = place.delivered("a", 10.0)
    real: Callable[..., None] = getattr(Removals, step)

    def killed(self: Removals, *arguments: object) -> None:
        if done:
            real(self, *arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Removals, step, killed)
        with pytest.raises(Killed):
            place.cleaner.clean(NOW)
    assert place.file("a").exists() == (step == "while_given_up" and not done)

    after = Place(replace(place.settings, retention=RetentionSettings()), place.ledger)
    after.cleaner.round(NOW + 1)

    assert not place.file("a").exists()
    assert not (place.layout.outbox / job).exists()
    assert list_jobs(place.ledger)[0].removed_at is not None
    assert set(place.audited()) == {job}
    assert Removals(place.ledger).begun() == []


def test_a_file_that_cannot_be_removed_is_tried_again_and_holds_up_no_other(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = place.delivered("a", 10.0), place.delivered("b", 20.0)
    rmtree = shutil.rmtree

    def refused(path: Path) -> None:
        if path.name == first:
            raise PermissionError(13, "Permission denied")
        rmtree(path)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", refused)
        assert [each.name for each in place.cleaner.clean(NOW)] == [second]
        assert Removals(place.ledger).begun() == [first]

    place.cleaner.clean(NOW)

    assert Removals(place.ledger).begun() == []
    assert list(place.layout.outbox.iterdir()) == []
    assert TAKEN_UP in _reasons(place)


def _reasons(place: Place) -> list[str]:
    coded = re.findall(r'type="Reason" value="([^"]+)"', place.layout.audit.read_bytes().decode())
    return [base64.b64decode(each).decode() for each in coded]


# What comes after a removal.


def test_a_duplicate_of_what_was_removed_is_counted_and_not_stored(place: Place) -> None:
    job = place.delivered("a", 10.0)
    place.cleaner.clean(NOW)
    came = place.instance("a")

    again = Receipts(place.ledger, "w").let_go(came.sop_uid, came.sha256)

    assert again is not None
    assert (again.job, again.fresh, again.removed) == (job, False, True)
    assert [row.state for row in list_jobs(place.ledger)] == ["done"]


def test_what_is_lost_otherwise_is_stored_again(place: Place) -> None:
    place.delivered("a", NOW)
    place.file("a").unlink()
    came = place.instance("a")

    assert Receipts(place.ledger, "w").let_go(came.sop_uid, came.sha256) is None


def inputs_of(place: Place, job: str) -> Inputs:
    return JobList(place.ledger).inputs(job)


def test_a_late_frame_lacks_what_was_removed_and_goes_on_when_all_is_sent_again(place: Place) -> None:
    first = place.delivered("a", 10.0, series="run")
    for opened in JobList(place.ledger).receiving(NOW):
        JobList(place.ledger).close(opened.job, opened.series, NOW)
    place.cleaner.clean(NOW)
    late = place.receive("b", NOW, series="run")
    assert late != first

    lacking = gone(inputs_of(place, late))

    assert lacking is not None
    assert lacking["state"] == "lacking"
    assert lacking["reasons"] == [
        "1 of 2 files are gone from the spool, 1 of them by retention: send the series again"
    ]
    place.state(late, "lacking", NOW)
    came = place.instance("a", series="run")
    receipts = Receipts(place.ledger, "w")
    assert receipts.let_go(came.sop_uid, came.sha256) is None  # wanted: to be stored again
    came.path.parent.mkdir(exist_ok=True)
    came.path.write_bytes(b"again".ljust(1000))
    assert receipts.enter(came, NOW + 1).mended

    assert {row.job: row.state for row in list_jobs(place.ledger)} == {first: "done", late: "receiving"}
    assert gone(inputs_of(place, late)) is None
    assert place.cleaner.clean(1e6) == []  # the late revision is at work
    place.state(late, "skipped", NOW + 2)
    assert sorted(each.name for each in place.cleaner.clean(1e6)) == sorted([first, late])


def test_what_is_wanted_while_it_is_being_removed_is_not_deleted_any_more(place: Place) -> None:
    job = place.delivered("a", 10.0, series="run")
    for opened in JobList(place.ledger).receiving(NOW):
        JobList(place.ledger).close(opened.job, opened.series, NOW)
    removals = Removals(place.ledger)
    assert removals.begin(job, NOW)
    place.receive("b", NOW, series="run")
    came = place.instance("a", series="run")

    assert Receipts(place.ledger, "w").let_go(came.sop_uid, came.sha256) is None  # a listener stores it now
    place.cleaner.round(NOW)

    assert place.file("a", "run").exists()
    assert removals.begun() == []
    assert {row.job: row.removed_at for row in list_jobs(place.ledger)}[job] is None  # it holds a file


def test_whatever_a_person_asks_for_again_is_stored_when_it_is_sent(place: Place) -> None:
    place.delivered("a", 10.0, series="run")
    second = place.delivered("b", 20.0, series="run")  # a run of both frames
    place.cleaner.clean(NOW)
    receipts, names = Receipts(place.ledger, "w"), ("a", "b")
    came = [place.instance(name, series="run") for name in names]
    assert all(receipts.let_go(each.sop_uid, each.sha256) for each in came)

    assert Removals(place.ledger).ask_for(inputs_of(place, second).paths, NOW) == 2

    assert place.cleaner.clean(NOW + 99) == []  # its time has begun anew
    assert not any(receipts.let_go(each.sop_uid, each.sha256) for each in came)
    assert len(place.cleaner.clean(NOW + 100)) == 2  # nobody has sent it


def test_a_job_that_is_being_removed_is_neither_tried_again_nor_sent(place: Place) -> None:
    job = place.receive("a", 10.0)
    place.state(job, "skipped", 10.0)
    sent = place.receive("b", 10.0)
    place.made(sent, 10.0, "pacs")
    Orders(place.ledger).cancel([sent], 10.0)
    for each in (job, sent):
        assert Removals(place.ledger).begin(each, NOW)

    assert JobList(place.ledger).retry([job], NOW) == []
    assert Deliveries(place.ledger).retry([sent], NOW) == []
    place.cleaner.round(NOW)

    assert Deliveries(place.ledger).retry([sent], NOW) == []  # its objects are gone
    assert JobList(place.ledger).retry([job], NOW) == [job]
    assert gone(inputs_of(place, job)) is not None


def test_another_conversion_of_the_same_instances_keeps_them(place: Place) -> None:
    job = place.delivered("a", 10.0)
    again = Orders(place.ledger).repeat(job, Repeat("other", "r", "batch"), 20.0)

    assert place.cleaner.clean(1e6) == []
    place.state(again, "skipped", 30.0)

    assert sorted(each.name for each in place.cleaner.clean(1e6)) == sorted([job, again])
    assert not place.file("a").exists()


def test_what_was_removed_is_neither_missing_nor_known_at_the_next_start(place: Place) -> None:
    first = place.delivered("a", 10.0, series="run")
    for opened in JobList(place.ledger).receiving(NOW):
        JobList(place.ledger).close(opened.job, opened.series, NOW)
    place.cleaner.clean(NOW)
    place.receive("b", NOW, series="run")
    receipts = Receipts(place.ledger, "w")

    assert receipts.needed() == receipts.paths() == {place.file("b", "run")}
    assert first in {row.job for row in list_jobs(place.ledger)}


def test_a_delivery_that_awaits_something_keeps_files_of_a_job_that_is_called_done(place: Place) -> None:
    """As where a destination has everything, and has yet to say that it keeps it."""
    job = place.receive("a", 10.0)
    place.made(job, 10.0, "pacs")
    with place.ledger.transaction() as db:
        db.execute("UPDATE jobs SET state = 'done'")

    assert place.cleaner.clean(1e6) == []
    assert not Removals(place.ledger).begin(job, 1e6)
    assert place.file("a").exists()


@pytest.mark.parametrize("patients", [False, True])
def test_the_audit_trail_says_whose_files_went_if_that_is_asked_for(place: Place, patients: bool) -> None:
    name = "TEST-ID-0815"
    place.delivered("a", 10.0)
    write_xa(place.file("a"), PatientID=name)
    settings = replace(place.settings, audit=AuditSettings(patients=patients))

    assert len(Cleaner(settings, place.ledger).clean(NOW)) == 1

    assert (name in place.layout.audit.read_bytes().decode()) is patients
