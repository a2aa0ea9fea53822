"""What the page answers to load balancers: that it lives, and whether the node takes what comes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.processes import Processes
from casgan_dicom.node.state.readiness import reasons_against_ready
from tests.node.looking import looking, page_settings

ROLES = ("listener", "sender")


@contextmanager
def held(folder: Path, *running: str) -> Iterator[tuple[Layout, Ledger]]:
    """A data folder that a supervisor holds, with these processes."""
    layout = Layout(folder)
    ledger = Ledger(layout.ledger)
    Processes(ledger).note(dict.fromkeys(running, 1), 1.0)
    handle = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield layout, ledger
    finally:
        os.close(handle)
        ledger.close()


def reasons(layout: Layout, ledger: Ledger, least: int = 0) -> tuple[str, ...]:
    return reasons_against_ready(layout, ledger, ROLES, least)


def test_a_node_with_all_its_processes_and_room_is_ready(tmp_path: Path) -> None:
    with held(tmp_path, *ROLES) as found:
        assert reasons(*found) == ()


def test_a_process_that_does_not_run_is_named(tmp_path: Path) -> None:
    with held(tmp_path, "listener") as found:
        assert reasons(*found) == ("process sender does not run",)


def test_too_little_room_is_told(tmp_path: Path) -> None:
    with held(tmp_path, *ROLES) as found:
        assert reasons(*found, least=2**62) == ("too little space is free, instances are refused",)


def test_a_node_that_is_stopped_is_told_whatever_the_ledger_says(tmp_path: Path) -> None:
    with held(tmp_path, *ROLES) as (layout, ledger):
        layout.lock.unlink()
        assert reasons(layout, ledger) == ("the node is stopped",)


def test_a_ledger_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with held(tmp_path, *ROLES) as (layout, ledger):
        with ledger.transaction() as db:
            db.execute("DROP TABLE processes")
        assert reasons(layout, ledger) == ("the ledger cannot be read",)


def test_over_http_it_is_a_status_and_its_reasons(tmp_path: Path) -> None:
    settings = page_settings(tmp_path / "node")

    def ask(path: str) -> tuple[int, Any]:
        answer = page.ask("GET", path, token="")
        return answer.status_code, answer.json()

    with looking(settings, ROLES) as page:
        assert ask("/readyz") == (503, {"ready": False, "reasons": ["the node is stopped"]})
        with held(settings.data, *ROLES):
            assert ask("/readyz") == (200, {"ready": True, "reasons": []})
        with held(settings.data, "sender"):
            assert ask("/readyz") == (503, {"ready": False, "reasons": ["process listener does not run"]})
        assert ask("/healthz") == (200, {"live": True})
