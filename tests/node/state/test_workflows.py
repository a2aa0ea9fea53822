"""Durable workflows, killed in the middle: real processes on a real database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from casgan_dicom.node.state.postgres_place import Place
from tests.support import waiting

ROOT = Path(__file__).resolve().parents[3]

Process = subprocess.Popen[str]
Start = Callable[[str], Process]


@contextmanager
def process(role: str, folder: Path, database: Place) -> Iterator[Process]:
    """A process that serves the queue of a role, ready."""
    where = str(database) if isinstance(database, Path) else json.dumps(asdict(database))
    command = [sys.executable, "-m", "tests.node.workflow_process"]
    running = subprocess.Popen(
        [*command, where, role, str(folder)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        yield running
        running.kill()


@pytest.fixture
def start(tmp_path: Path, workflow_database: Place) -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda role: stack.enter_context(process(role, tmp_path, workflow_database))


def enqueue(parents: Process, name: str) -> None:
    assert parents.stdin is not None
    parents.stdin.write(f"enqueue {name}\n")
    parents.stdin.flush()


def steps(folder: Path, workflow: str) -> list[str]:
    path = folder / f"{workflow}.steps"
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(condition: Callable[[], bool]) -> None:
    """Within a deadline that is generous on a busy machine."""
    waiting.wait_for(condition, "the steps of the workflows", 60)


def test_a_child_runs_in_the_process_of_its_queue(start: Start, tmp_path: Path) -> None:
    parents, children = start("parents"), start("children")

    enqueue(parents, "a")

    wait_for(lambda: steps(tmp_path, "a") == ["first", "last"])
    assert steps(tmp_path, "a.child") == ["one", "two", "three"]
    assert f"by {children.pid}" in (tmp_path / "a.child.steps").read_text()
    assert f"by {parents.pid}" in (tmp_path / "a.steps").read_text()


def test_a_process_that_looks_once_an_hour_begins_when_it_is_rung_for(start: Start, tmp_path: Path) -> None:
    (tmp_path / "asleep").touch()
    parents, _ = start("parents"), start("children")
    for name in ("a", "b", "c"):
        enqueue(parents, name)
        wait_for(lambda name=name: steps(tmp_path, name) == ["first", "last"])  # type: ignore[misc]


def test_what_was_enqueued_while_nobody_served_begins_at_the_start(start: Start, tmp_path: Path) -> None:
    (tmp_path / "asleep").touch()
    parents = start("parents")
    enqueue(parents, "a")
    wait_for(lambda: steps(tmp_path, "a") == ["first"])

    start("children")

    wait_for(lambda: steps(tmp_path, "a") == ["first", "last"])


def test_a_workflow_goes_on_behind_its_last_finished_step(start: Start, tmp_path: Path) -> None:
    (tmp_path / "die").write_text("a.child two")
    parents, children = start("parents"), start("children")
    enqueue(parents, "a")
    children.wait(60)

    start("children")

    wait_for(lambda: steps(tmp_path, "a") == ["first", "last"])
    assert steps(tmp_path, "a.child") == ["one", "two", "two", "three"]


def test_an_exception_ends_the_process_and_not_the_workflow(start: Start, tmp_path: Path) -> None:
    (tmp_path / "fail").write_text("a.child two")
    parents, children = start("parents"), start("children")
    enqueue(parents, "a")
    assert children.wait(60) == os.EX_SOFTWARE

    start("children")

    wait_for(lambda: steps(tmp_path, "a") == ["first", "last"])


def test_a_restart_of_one_process_disturbs_no_other(start: Start, tmp_path: Path) -> None:
    """Recovery takes up what its own executor had begun, never what runs elsewhere."""
    (tmp_path / "die").write_text("a last")
    parents, _ = start("parents"), start("children")
    enqueue(parents, "a")
    parents.wait(60)

    again = start("parents")
    enqueue(again, "b")

    wait_for(
        lambda: steps(tmp_path, "a")[-2:] == ["last", "last"] and steps(tmp_path, "b") == ["first", "last"]
    )
    assert steps(tmp_path, "a.child") == ["one", "two", "three"]
    assert steps(tmp_path, "b.child") == ["one", "two", "three"]


def test_enqueueing_an_id_again_starts_nothing(start: Start, tmp_path: Path) -> None:
    parents, _ = start("parents"), start("children")
    for name in ("a", "a", "b"):
        enqueue(parents, name)

    wait_for(lambda: steps(tmp_path, "b") == ["first", "last"] and len(steps(tmp_path, "a")) >= 2)
    enqueue(parents, "a")
    enqueue(parents, "c")
    wait_for(lambda: steps(tmp_path, "c") == ["first", "last"])

    assert steps(tmp_path, "a") == ["first", "last"]


def test_commits_of_the_engine_are_flushed_to_the_disk(tmp_path: Path) -> None:
    from casgan_dicom.node.state.workflow_engine import engine_of  # noqa: PLC0415

    with engine_of(tmp_path / "dbos.sqlite").connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
