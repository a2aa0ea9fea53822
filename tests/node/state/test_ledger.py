"""What goes wrong with the ledger leaves it as an error of its own, wherever it is met."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from casgan_dicom.log import error_facts
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.settings import DestinationSettings, NodeSettings
from casgan_dicom.node.state.commitments import Commitments
from casgan_dicom.node.state.database import Connection
from casgan_dicom.node.state.deliveries import Attempt, Deliveries, Delivery, Derived
from casgan_dicom.node.state.jobs import Enqueuing, JobList, Place
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger, LedgerError
from casgan_dicom.node.state.ledger_tables import MAKING
from casgan_dicom.node.state.orders import Orders, Repeat
from casgan_dicom.node.state.overview import list_jobs, status
from casgan_dicom.node.state.pauses import Pauses
from casgan_dicom.node.state.processes import Processes
from casgan_dicom.node.state.receipts import Receipts, Refused
from casgan_dicom.node.state.rejections import Rejections
from casgan_dicom.node.state.removals import Removals
from casgan_dicom.node.state.reviews import Review, Reviews, Verdict
from casgan_dicom.node.work import sender
from tests.node.ledgers import received
from tests.support import waiting

SENT = Delivery("j", "pacs", 1)
OLD = Path(__file__).resolve().parents[1] / "old_ledgers"
"""What made the tables of each version, as that version had it."""
STARTED = Enqueuing("j", "1.2", 1)
SAID = Review("j", 1, Verdict("accepted"), 1.0, "due", "", "")
MADE = Derived("1.3", "1.2", Path("/outbox/1"), "ab", 1)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


@pytest.fixture
def file(layout: Layout) -> Iterator[Ledger]:
    """A ledger in SQLite, for what only a file has."""
    opened = Ledger(layout.ledger)
    yield opened
    opened.close()


USES: dict[str, Callable[[Ledger], object]] = {
    "again": lambda ledger: Receipts(ledger, "r").again("1.2", "ab"),
    "enter": lambda ledger: Receipts(ledger, "r").enter(received("a"), 1.0),
    "paths": lambda ledger: Receipts(ledger, "r").paths(),
    "let go": lambda ledger: Receipts(ledger, "r").let_go("1.2", "ab"),
    "needed": lambda ledger: Receipts(ledger, "r").needed(),
    "quarantine": lambda ledger: Receipts(ledger, "r").quarantine(Refused(Path("/q"), "", "", "", ""), 1.0),
    "receiving": lambda ledger: JobList(ledger).receiving(1.0),
    "jobs to enqueue": lambda ledger: JobList(ledger).to_enqueue(),
    "jobs enqueued": lambda ledger: JobList(ledger).enqueued(STARTED, Place("", "cpu")),
    "jobs started": lambda ledger: JobList(ledger).started(),
    "job again": lambda ledger: JobList(ledger).again("j", 1, 1.0),
    "enter state": lambda ledger: JobList(ledger).enter("j", "done", 1.0),
    "inputs": lambda ledger: JobList(ledger).inputs("j"),
    "known": lambda ledger: JobList(ledger).known(["j"]),
    "died at": lambda ledger: JobList(ledger).died_at("j", "start"),
    "retry jobs": lambda ledger: JobList(ledger).retry([], 1.0),
    "job begins": lambda ledger: JobList(ledger).begin("j", 1, "r", 1.0),
    "job wanted": lambda ledger: JobList(ledger).wanted("j", 1),
    "run of a job": lambda ledger: JobList(ledger).is_run("j", 1),
    "frames of a job": lambda ledger: JobList(ledger).frames("j"),
    "ranks": lambda ledger: JobList(ledger).ranks(["j"]),
    "states": lambda ledger: Orders(ledger).states(["j"]),
    "cancel": lambda ledger: Orders(ledger).cancel(["j"], 1.0),
    "prioritise": lambda ledger: Orders(ledger).prioritise(["j"], "urgent"),
    "made with": lambda ledger: Orders(ledger).made_with("j", "r"),
    "repeat": lambda ledger: Orders(ledger).repeat("j", Repeat("atlas", "r", "batch"), 1.0),
    "made": lambda ledger: Deliveries(ledger).made("j"),
    "is over": lambda ledger: Deliveries(ledger).is_over(SENT),
    "put": lambda ledger: Deliveries(ledger).put("j", [MADE], ["pacs"], 1.0),
    "put nothing": lambda ledger: Deliveries(ledger).put("j", [], [], 1.0),
    "deliveries to enqueue": lambda ledger: Deliveries(ledger).to_enqueue(),
    "deliveries started": lambda ledger: Deliveries(ledger).started(),
    "delivery again": lambda ledger: Deliveries(ledger).again(SENT),
    "deliveries enqueued": lambda ledger: Deliveries(ledger).enqueued(SENT),
    "outstanding": lambda ledger: Deliveries(ledger).outstanding("j", "pacs"),
    "answered": lambda ledger: Deliveries(ledger).answered("1.3", "pacs", 0, stored_at=1.0),
    "attempted": lambda ledger: Deliveries(ledger).attempted(SENT, Attempt("sent", ""), 1.0),
    "strand": lambda ledger: Deliveries(ledger).strand([], 1.0),
    "history": lambda ledger: Deliveries(ledger).history("j", "pacs"),
    "retry deliveries": lambda ledger: Deliveries(ledger).retry([], 1.0),
    "holdings": lambda ledger: Removals(ledger).holdings(),
    "removal begins": lambda ledger: Removals(ledger).begin("j", 1.0),
    "removals begun": lambda ledger: Removals(ledger).begun(),
    "content of a job": lambda ledger: Removals(ledger).content("j"),
    "while given up": lambda ledger: Removals(ledger).while_given_up(Path("/spool/1"), lambda: None),
    "removal ends": lambda ledger: Removals(ledger).end("j", 1.0),
    "ask for": lambda ledger: Removals(ledger).ask_for([Path("/spool/1")], 1.0),
    "files in quarantine": lambda ledger: Removals(ledger).quarantined(),
    "quarantine ends": lambda ledger: Removals(ledger).end_quarantine(Path("/q"), 1.0),
    "decide": lambda ledger: Reviews(ledger).decide("j", Verdict("accepted"), 1.0),
    "check a job": lambda ledger: Reviews(ledger).check("j"),
    "verdicts": lambda ledger: Reviews(ledger).of("j"),
    "verdicts due": lambda ledger: Reviews(ledger).due(),
    "subject": lambda ledger: Reviews(ledger).subject(SAID),
    "waive": lambda ledger: Reviews(ledger).waive(SAID),
    "fail": lambda ledger: Reviews(ledger).fail(SAID, "why"),
    "made of a verdict": lambda ledger: Reviews(ledger).made(SAID, MADE, 1.0),
    "retry verdicts": lambda ledger: Reviews(ledger).retry([]),
    "note processes": lambda ledger: Processes(ledger).note({"listener": 1}, 1.0),
    "status": lambda ledger: status(Layout(Path("/")), ledger),
    "list jobs": lambda ledger: list_jobs(ledger, states=["done"]),
}
"""Everything that is asked of a ledger."""


@pytest.mark.parametrize("name", USES)
def test_whatever_is_asked_of_a_ledger_without_its_tables_raises_its_own_error(
    name: str, ledger: Ledger
) -> None:
    with ledger.transaction() as db:
        for table in reversed(re.findall(r"CREATE TABLE (\w+)", MAKING[0])):  # what refers goes first
            db.execute(f"DROP TABLE {table}{'' if isinstance(ledger.place, Path) else ' CASCADE'}")

    with pytest.raises(LedgerError, match=r"no such table|does not exist") as caught:
        USES[name](ledger)
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError | psycopg.errors.UndefinedTable)


@pytest.mark.parametrize("name", USES)
def test_whatever_is_asked_of_a_closed_ledger_raises_its_own_error(name: str, ledger: Ledger) -> None:
    ledger.close()

    with pytest.raises(LedgerError, match="closed database"):
        USES[name](ledger)


def test_the_log_tells_what_the_database_said_and_where(ledger: Ledger) -> None:
    with ledger.transaction() as db:
        db.execute("DROP TABLE quarantine")

    with pytest.raises(LedgerError) as caught:
        USES["quarantine"](ledger)

    facts = error_facts(caught.value)
    assert facts["error"].endswith(".LedgerError")
    assert (facts["cause"], facts["code"]) in [
        ("sqlite3.OperationalError", "SQLITE_ERROR"),
        ("psycopg.errors.UndefinedTable", "42P01"),
    ]
    assert "/receipts.py:" in facts["place"]


def test_a_full_disk_is_an_error_of_the_ledger_and_over_when_there_is_room(file: Ledger) -> None:
    receipts, entered = Receipts(file, "r"), 0

    def enter_many() -> None:
        nonlocal entered
        for entered in range(1000):
            receipts.enter(received(f"i{entered}"), 1.0)

    with file.transaction() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages + 2}")

    with pytest.raises(LedgerError, match="full") as caught:
        enter_many()
    assert error_facts(caught.value)["code"] == "SQLITE_FULL"
    assert len(receipts.paths()) == entered  # nothing of the one that failed

    with file.transaction() as db:
        db.execute("PRAGMA max_page_count = 100000")
    assert receipts.enter(received(f"i{entered}"), 1.0).fresh


def test_a_lock_that_somebody_holds_is_an_error_of_the_ledger(file: Ledger, layout: Layout) -> None:
    with file.transaction() as db:
        db.execute("PRAGMA busy_timeout = 20")
    other = sqlite3.connect(layout.ledger, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(LedgerError, match="locked"):
        USES["enter"](file)

    other.execute("ROLLBACK")
    other.close()
    USES["enter"](file)


def test_a_damaged_file_is_an_error_of_the_ledger(file: Ledger, layout: Layout) -> None:
    USES["enter"](file)
    with file.reading() as db:  # all but the pages that an opening reads
        pages = [page for (page,) in db.execute("SELECT rootpage FROM sqlite_master WHERE rootpage > 1")]
    file.close()
    content = bytearray(layout.ledger.read_bytes())
    for page in pages:
        content[(page - 1) * 4096 : page * 4096] = b"\x5a" * 4096
    layout.ledger.write_bytes(content)
    damaged = Ledger(layout.ledger)

    with pytest.raises(LedgerError, match="malformed"):
        USES["paths"](damaged)
    with pytest.raises(LedgerError, match="malformed"):
        USES["enter"](damaged)
    damaged.close()


def test_a_sender_that_cannot_write_down_an_answer_ends_no_delivery(
    ledger: Ledger, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    pacs = DestinationSettings("pacs", "127.0.0.1", 104, "PACS")
    job = Receipts(ledger, "r").enter(received("a"), 1.0).job
    Deliveries(ledger).put(job, [MADE], ["pacs"], 1.0)

    def stored_while_the_ledger_goes(files: object, on_result: Callable[[StoreResult], None]) -> None:
        with ledger.transaction() as db:
            db.execute("ALTER TABLE stores RENAME TO gone")
        on_result(StoreResult(MADE.path, "1.3", 0, "stored", ""))

    archive = SimpleNamespace(store=stored_while_the_ledger_goes)
    monkeypatch.setattr(sender, "destination_of", lambda *_: archive)
    sending = sender.Sender(NodeSettings(data=layout.data, destinations=(pacs,)), ledger)

    with pytest.raises(LedgerError):
        sending.attempt(job, "pacs", 1)
    assert [each.job for each in Deliveries(ledger).to_enqueue()] == [job]


def test_a_ledger_of_version_3_goes_on_with_what_it_holds(layout: Layout) -> None:
    with sqlite3.connect(layout.ledger) as db:
        db.executescript((OLD / "v3.sql").read_text())
        db.execute(
            "INSERT INTO jobs (job, series_uid, revision, lineage, state, peer, first_at, last_at,"
            " changed_at) VALUES ('j', '1.2', 1, 'j', 'done', 'X', 1, 1, 2)"
        )
        db.execute(
            "INSERT INTO outbox (sop_uid, job, series_uid, path, sha256, frames)"
            " VALUES ('1.2.3', 'j', '1.2.4', '/a', 'f', 1)"
        )
        db.execute(
            "INSERT INTO deliveries (job, destination, state, changed_at) VALUES ('j', 'pacs', 'sent', 2)"
        )
        db.execute(
            "INSERT INTO stores (sop_uid, destination, status, stored_at) VALUES ('1.2.3', 'pacs', 0, 2)"
        )
    db.close()

    ledger = Ledger(layout.ledger)

    assert Deliveries(ledger).outstanding("j", "pacs") == []
    assert Commitments(ledger).lacks("j", "pacs")  # nobody has said so far that it is kept
    (row,) = list_jobs(ledger)
    assert (row.job, row.rule) == ("j", "")
    inputs = JobList(ledger).inputs("j")
    assert (inputs.calling, inputs.called, inputs.by_hand) == ("X", "", False)
    assert Pauses(ledger).all() == []
    assert Reviews(ledger).of("j") == []
    assert Reviews(ledger).decide("j", Verdict("accepted"), 3.0)
    ledger.close()


def test_a_ledger_of_version_2_goes_on_with_what_it_holds(layout: Layout) -> None:
    with sqlite3.connect(layout.ledger) as db:
        db.executescript((OLD / "v2.sql").read_text())
        db.execute(
            "INSERT INTO jobs (job, series_uid, revision, lineage, state, peer, first_at, last_at,"
            " changed_at) VALUES ('j', '1.2', 1, 'j', 'queued', 'X', 1, 1, 2)"
        )
    db.close()

    ledger = Ledger(layout.ledger)

    (row,) = list_jobs(ledger)
    assert (row.job, row.state, row.priority) == ("j", "queued", "routine")
    assert [each.job for each in JobList(ledger).to_enqueue()] == ["j"]
    ledger.close()


def test_a_ledger_of_version_3_goes_on_and_counts_who_is_not_let_in(layout: Layout) -> None:
    with sqlite3.connect(layout.ledger) as db:
        db.executescript((OLD / "v3.sql").read_text())
        db.execute(
            "INSERT INTO jobs (job, series_uid, revision, lineage, state, peer, first_at, last_at,"
            " changed_at) VALUES ('j', '1.2', 1, 'j', 'queued', 'X', 1, 1, 2)"
        )
    db.close()

    ledger = Ledger(layout.ledger)
    Rejections(ledger).add({"certificate": 2, "TLS": 1}, 5.0)
    Rejections(ledger).add({"certificate": 1}, 6.0)

    assert [row.job for row in list_jobs(ledger)] == ["j"]
    assert status(layout, ledger).rejected == {"TLS": 1, "certificate": 3}
    ledger.close()


def test_a_ledger_of_version_1_goes_on_with_what_it_holds(layout: Layout) -> None:
    with sqlite3.connect(layout.ledger) as db:
        db.executescript((OLD / "v1.sql").read_text())
        a = received("a")
        db.execute(
            "INSERT INTO jobs (job, series_uid, revision, state, peer, first_at, last_at, changed_at, stills)"
            " VALUES ('j', ?, 1, 'done', 'X', 1, 1, 1, 1)",
            [a.series_uid],
        )
        db.execute(
            "INSERT INTO instances VALUES (?, ?, 'j', ?, ?, 1, 1, 'X', '', 1, 1)",
            [a.sop_uid, a.sha256, a.series_uid, str(a.path)],
        )
    db.close()

    ledger = Ledger(layout.ledger)
    late = Receipts(ledger, "r").enter(received("b"), 2.0)

    assert len(JobList(ledger).inputs(late.job).paths) == 2  # one run, as before
    ledger.close()


def gathered(ledger: Ledger, names: Sequence[str], failing: str = "") -> dict[str, str]:
    """What each of some threads got for a change that waits for the ledger while somebody else has it."""
    said, came = dict[str, str](), threading.Barrier(len(names) + 1)

    def enter(name: str) -> None:
        def change(db: Connection) -> str:
            db.execute("INSERT INTO processes VALUES (?, 1, 1)", [name])
            if name == failing:
                raise LookupError(name)
            return name

        came.wait()
        try:
            said[name] = ledger.together(change)
        except LookupError:
            said[name] = "undone"
        except LedgerError:
            said[name] = "failed"

    threads = [threading.Thread(target=enter, args=[name]) for name in names]
    with ledger.transaction():
        for thread in threads:
            thread.start()
        came.wait()
        waiting.wait_for(lambda: len(ledger._wanted) == len(names), "all changes", 60)
    for thread in threads:
        thread.join()
    return said


def roles(ledger: Ledger) -> set[str]:
    with ledger.reading() as db:
        return {row["role"] for row in db.execute("SELECT role FROM processes")}


def test_changes_that_wait_are_made_in_one_transaction(file: Ledger, layout: Layout) -> None:
    names, commits = [f"r{k}" for k in range(6)], list[str]()
    with file.transaction() as db:
        assert isinstance(db, sqlite3.Connection)
        db.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)

    assert gathered(file, names) == {name: name for name in names}

    assert roles(file) == set(names)
    assert len(commits) == 3  # of the two blocks here, and one for all changes


def test_a_change_that_raises_is_undone_alone(ledger: Ledger) -> None:
    names = ["a", "b", "c", "d"]

    said = gathered(ledger, names, failing="c")

    assert said == {"a": "a", "b": "b", "c": "undone", "d": "d"}
    assert roles(ledger) == {"a", "b", "d"}


def test_when_the_transaction_fails_every_change_has_failed(file: Ledger) -> None:
    with file.transaction() as db:
        db.execute(
            "CREATE TRIGGER broken AFTER INSERT ON processes WHEN new.role = 'b'"
            " BEGIN SELECT raise(ROLLBACK, 'disk is full'); END"
        )

    said = gathered(file, ["a", "b", "c"])

    assert said == {"a": "failed", "b": "failed", "c": "failed"}
    assert roles(file) == set()


def test_what_is_read_does_not_wait_for_what_is_written(ledger: Ledger) -> None:
    read: list[set[str]] = []
    with ledger.transaction() as db:
        db.execute("INSERT INTO processes VALUES ('a', 1, 1)")
        reader = threading.Thread(target=lambda: read.append(roles(ledger)))
        reader.start()
        reader.join(60)

    assert read == [set()]
    assert roles(ledger) == {"a"}
