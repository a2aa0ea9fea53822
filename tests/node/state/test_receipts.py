"""Instances and the jobs that they belong to."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.ledger import Ledger, LedgerError
from casgan_dicom.node.state.ledger_tables import SCHEMA
from casgan_dicom.node.state.postgres_place import Place
from casgan_dicom.node.state.receipts import Receipts, Refused, job_id
from tests.node.ledgers import received
from tests.support.factories import uid

RECIPE = "weights"


def close_all(ledger: Ledger) -> None:
    jobs = JobList(ledger)
    for job in jobs.receiving(1000.0):
        assert jobs.close(job.job, job.series, 50.0)


def test_instances_of_a_series_join_one_job_until_it_is_closed(ledger: Ledger) -> None:
    receipts = Receipts(ledger, RECIPE)

    first = receipts.enter(received("a"), 1.0)
    second = receipts.enter(received("b"), 2.0)
    other = receipts.enter(received("c", series="another"), 3.0)

    assert first.job == second.job == job_id(uid("run"), 1, RECIPE)
    assert other.job != first.job
    series = [job.series for job in JobList(ledger).receiving(1000.0)]
    assert [(one.instances, one.first_at, one.last_at) for one in series] == [(2, 1.0, 2.0), (1, 3.0, 3.0)]


def test_an_instance_after_the_end_opens_the_next_revision(ledger: Ledger) -> None:
    receipts = Receipts(ledger, RECIPE)
    first = receipts.enter(received("a"), 1.0)
    close_all(ledger)

    late = receipts.enter(received("b"), 60.0)

    assert (first.revision, late.revision) == (1, 2)
    assert late.job == job_id(uid("run"), 2, RECIPE) != first.job


def test_the_same_instance_again_changes_nothing_but_its_count(ledger: Ledger) -> None:
    receipts = Receipts(ledger, RECIPE)
    first = receipts.enter(received("a"), 1.0)
    close_all(ledger)

    again = receipts.again(uid("a"), received("a").sha256)

    assert again == replace(first, fresh=False)
    assert receipts.enter(received("a"), 60.0) == replace(first, fresh=False, mended=True)
    assert JobList(ledger).receiving(1000.0) == []
    with ledger.reading() as db:
        assert [tuple(row) for row in db.execute("SELECT copies FROM instances")] == [(3,)]


def test_an_unknown_instance_is_not_known_again(ledger: Ledger) -> None:
    assert Receipts(ledger, RECIPE).again(uid("a"), "0" * 64) is None


def test_other_content_under_a_known_uid_is_kept_as_another_revision(ledger: Ledger) -> None:
    receipts = Receipts(ledger, RECIPE)
    receipts.enter(received("a", content="misspelt name"), 1.0)
    close_all(ledger)

    corrected = receipts.enter(received("a", content="corrected name"), 60.0)

    assert (corrected.revision, corrected.fresh) == (2, True)
    assert len(receipts.paths()) == 2


def test_the_job_of_a_series_depends_on_the_recipe() -> None:
    assert job_id("1.2", 1, "weights A") != job_id("1.2", 1, "weights B")
    assert job_id("1.2", 1, "weights A") == job_id("1.2", 1, "weights A")


def test_a_job_is_not_closed_if_an_instance_came_in_since_it_was_looked_at(ledger: Ledger) -> None:
    receipts, jobs = Receipts(ledger, RECIPE), JobList(ledger)
    receipts.enter(received("a"), 1.0)
    (seen,) = jobs.receiving(1000.0)
    receipts.enter(received("b"), 2.0)

    assert not jobs.close(seen.job, seen.series, 3.0)
    assert [job.series.instances for job in jobs.receiving(1000.0)] == [2]


def test_threads_and_connections_write_without_losing_anything(place: Place) -> None:
    def write(number: int) -> None:
        mine = Ledger(place)
        for k in range(20):
            Receipts(mine, RECIPE).enter(received(f"{number}-{k}"), float(k))
        mine.close()

    threads = [threading.Thread(target=write, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    ledger = Ledger(place)
    (job,) = JobList(ledger).receiving(1000.0)
    assert job.series.instances == 80
    ledger.close()


def test_what_was_put_aside_is_written_down(ledger: Ledger) -> None:
    Receipts(ledger, RECIPE).quarantine(
        Refused(Path("/q/1"), uid("a"), "no data set", "CATHLAB", "127.0.0.1"), 1.0
    )

    with ledger.reading() as db:
        assert [tuple(row)[:3] for row in db.execute("SELECT * FROM quarantine")] == [
            ("/q/1", uid("a"), "no data set")
        ]


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    def write_one_row_twice() -> None:
        with ledger.transaction() as db:
            for pid in (1, 2):
                db.execute("INSERT INTO processes VALUES ('listener', ?, 1.0)", [pid])

    with pytest.raises(LedgerError) as caught:
        write_one_row_twice()
    assert type(caught.value.__cause__).__name__ in ("IntegrityError", "UniqueViolation")

    with ledger.reading() as db:
        assert db.execute("SELECT count(*) FROM processes").fetchone()[0] == 0


def test_commits_are_flushed_to_the_disk(ledger: Ledger) -> None:
    with ledger.transaction() as db:
        if not isinstance(ledger.place, Path):
            assert db.execute("SHOW synchronous_commit").fetchone()[0] == "on"
            assert db.execute("SHOW fsync").fetchone()[0] == "on"
            return
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_ledger_of_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite"
    Ledger(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    db.close()

    with pytest.raises(ConfigError, match=f"version {SCHEMA + 1}, this program knows {SCHEMA}"):
        Ledger(path)


def test_a_file_that_is_no_ledger_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite"
    path.write_bytes(b"something else " * 100)

    with pytest.raises(ConfigError, match=r"node\.sqlite: cannot be used as the ledger"):
        Ledger(path)


def test_what_an_instance_costs_does_not_grow_with_its_series(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "node.sqlite")
    receipts, steps = Receipts(ledger, "w"), [0]

    def count() -> int:
        steps[0] += 1
        return 0

    def cost(name: str) -> int:
        """Instructions of SQLite to enter one."""
        with ledger.transaction() as db:
            assert isinstance(db, sqlite3.Connection)
            db.set_progress_handler(count, 1)
        steps[0] = 0
        receipts.enter(received(name), 1.0)
        return steps[0]

    early = [cost(f"early {k}") for k in range(10)]
    for k in range(500):
        receipts.enter(received(f"between {k}"), 1.0)
    late = [cost(f"late {k}") for k in range(10)]

    assert max(late) < 2 * min(early)
    ledger.close()
