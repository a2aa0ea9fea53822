"""Two hosts on one database: whole nodes with real processes, each with files of its own."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from casgan_dicom.node.settings import StateSettings
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from tests.faults.modality import cine, send_until_stored
from tests.faults.test_kills import expected_objects
from tests.node.nodes import PROGRAM, destination, running_node, wait_for
from tests.node.several import HostProcess, host_settings
from tests.support.fake_pacs import FakePacs
from tests.support.orthanc import free_ports
from tests.support.postgres import Postgres


@pytest.fixture
def state(postgres: Postgres) -> StateSettings:
    """Where all hosts of a test keep their books."""
    return postgres.settings()


def test_one_host_converts_what_another_received_and_a_third_sends_it(
    tmp_path: Path, state: StateSettings
) -> None:
    with FakePacs() as pacs:
        there = destination("pacs", pacs)
        receiving = host_settings(tmp_path, "a", state, there, roles=("listener", "coordinator"))
        converting = host_settings(tmp_path, "b", state, there, roles=("worker",))
        sending = host_settings(tmp_path, "c", state, there, roles=("sender",))
        with running_node(receiving) as a, running_node(converting) as b, running_node(sending):
            send_until_stored(a.port, [cine(tmp_path / "sent", "run", frames=5)])
            (row,) = a.wait_until_settled(1)
            made = list(Layout(b.settings.data).outbox.rglob("*.dcm"))
            copies = [Layout(tmp_path / host).fetched for host in ("b", "c")]
            wait_for(lambda: not any(list(each.rglob("*.dcm")) for each in copies), "the copies to go", 60)

    assert (row.state, row.reasons) == ("done", ())
    assert len(made) == 1
    assert pacs.stored.keys() == {made[0].stem}


@pytest.fixture
def hosts(tmp_path: Path, state: StateSettings) -> Iterator[Hosts]:
    """Two hosts as programs of their own: a receives, decides and sends, both convert."""
    with FakePacs() as pacs:
        there = destination("pacs", pacs)
        programs = [
            HostProcess(replace(settings, listener=replace(settings.listener, port=free_ports(1)[0])))
            for settings in (
                host_settings(tmp_path, "a", state, there),
                host_settings(tmp_path, "b", state, there),
            )
        ]
        ledger = open_ledger(programs[0].settings)
        try:
            for each in programs:
                each.start()
            for each in programs:
                each.wait_until_ready()
            yield Hosts(programs[0], programs[1], pacs, ledger)
        finally:
            for each in programs:
                each.stop()
            ledger.close()


@dataclass(frozen=True)
class Hosts:
    """Two hosts that run."""

    a: HostProcess
    b: HostProcess
    pacs: FakePacs
    ledger: Ledger

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Rows of the ledger."""
        with self.ledger.reading() as db:
            return [{key: row[key] for key in row.keys()} for row in db.execute(f"SELECT * FROM {table}")]  # noqa: SIM118

    def wait_until_done(self, jobs: int) -> None:
        """Wait until so many jobs are."""
        wait_for(
            lambda: [row["state"] for row in self.rows("jobs")] == ["done"] * jobs,
            lambda: f"{jobs} jobs to be done: {[(row['state'], row['host']) for row in self.rows('jobs')]}",
            240,
        )

    def wait_for_work(self, host: str) -> None:
        """Wait until a host converts something."""
        wait_for(
            lambda: any(row["state"] == "converting" and row["host"] == host for row in self.rows("jobs")),
            f"host {host} to convert something",
            240,
        )


def test_a_host_that_is_killed_at_work_loses_nothing_and_the_other_does_its_jobs(
    hosts: Hosts, tmp_path: Path
) -> None:
    sources = [cine(tmp_path / "sent", f"run {k}", frames=12) for k in range(6)]
    send_until_stored(hosts.a.settings.listener.port, sources)
    hosts.wait_for_work("b")

    hosts.b.kill()

    with suppress(AssertionError):
        hosts.wait_until_done(6)
    waiting = [row for row in hosts.rows("jobs") if row["state"] != "done"]
    made_there = {row["job"] for row in hosts.rows("outbox") if row["host"] == "b"}
    assert {row["job"] for row in waiting} <= made_there  # in its outbox: these wait for it
    hosts.b.start()
    hosts.wait_until_done(6)
    assert hosts.pacs.stored == expected_objects(tmp_path, sources)[0]


def test_a_host_that_was_paused_does_no_harm_when_it_wakes_up(hosts: Hosts, tmp_path: Path) -> None:
    """Its lease was taken away and its work done by the other: what it still writes is refused."""
    sources = [cine(tmp_path / "sent", f"run {k}", frames=12) for k in range(4)]
    send_until_stored(hosts.a.settings.listener.port, sources)
    hosts.wait_for_work("b")
    theirs = {row["job"] for row in hosts.rows("jobs") if row["host"] == "b" and row["state"] == "converting"}

    hosts.b.signal(signal.SIGSTOP)
    wait_for(lambda: held_by_nobody(hosts, "host b"), "the lease of b to be taken away", 240)
    wait_for(
        lambda: all(row["state"] == "done" for row in hosts.rows("jobs") if row["job"] in theirs),
        "the other host to do its jobs",
        240,
    )
    before = [row for row in hosts.rows("jobs") if row["job"] in theirs]
    hosts.b.signal(signal.SIGCONT)
    wait_for(lambda: not held_by_nobody(hosts, "host b"), "b to come back", 240)
    hosts.wait_until_done(4)

    after = [row for row in hosts.rows("jobs") if row["job"] in theirs]
    assert after == before
    assert {row["host"] for row in hosts.rows("outbox") if row["job"] in theirs} == {"a"}
    assert hosts.pacs.stored == expected_objects(tmp_path, sources)[0]
    send_until_stored(hosts.b.settings.listener.port, [cine(tmp_path / "sent", "later")])
    hosts.wait_until_done(5)


def held_by_nobody(hosts: Hosts, lease: str) -> bool:
    return [row["holder"] for row in hosts.rows("leases") if row["name"] == lease] == [""]


def test_one_instance_sent_to_two_listeners_is_one_instance_and_one_file(
    hosts: Hosts, tmp_path: Path
) -> None:
    path = cine(tmp_path / "sent", "run")
    for host in (hosts.a, hosts.b):
        send_until_stored(host.settings.listener.port, [path])
    hosts.wait_until_done(1)

    (row,) = hosts.rows("instances")
    assert (row["host"], row["copies"]) == ("a", 2)
    files = [len(list(Layout(host.settings.data).spool.rglob("*.dcm"))) for host in (hosts.a, hosts.b)]
    assert files == [1, 0]

    Path(row["path"]).unlink()
    send_until_stored(hosts.b.settings.listener.port, [path])  # b asks a, and keeps what a has lost

    (row,) = hosts.rows("instances")
    assert row["host"] == "b"
    assert Path(row["path"]).is_file()


def test_who_decides_is_taken_over_from_a_coordinator_that_is_paused(hosts: Hosts, tmp_path: Path) -> None:
    leases = {row["name"]: row["holder"].partition(" ")[0] for row in hosts.rows("leases")}
    first = hosts.a if leases["coordinator"] == "a" else hosts.b
    other = hosts.b if first is hosts.a else hosts.a
    (pid,) = [row["pid"] for row in hosts.rows("processes") if row["role"] == f"{first.name}/coordinator"]

    os.kill(pid, signal.SIGSTOP)
    wait_for(
        lambda: any(
            row["name"] == "coordinator" and row["holder"].startswith(f"{other.name} ")
            for row in hosts.rows("leases")
        ),
        "the other to take the lease",
        240,
    )
    send_until_stored(first.settings.listener.port, [cine(tmp_path / "sent", "run")])
    hosts.wait_until_done(1)
    os.kill(pid, signal.SIGCONT)

    wait_for(
        lambda: (
            [row["pid"] for row in hosts.rows("processes") if row["role"] == f"{first.name}/coordinator"]
            not in ([pid], [])
        ),
        "the late one to end, and to stand by",
        240,
    )
    send_until_stored(other.settings.listener.port, [cine(tmp_path / "sent", "another")])
    hosts.wait_until_done(2)
    assert len(hosts.pacs.stored) == 2


def test_the_status_shows_the_hosts_and_one_that_is_gone_can_be_forgotten(
    hosts: Hosts, tmp_path: Path
) -> None:
    config = hosts.a.settings.data.with_suffix(".toml")
    hosts.b.kill()
    wait_for(lambda: held_by_nobody(hosts, "host b"), "the lease of b to be taken away", 240)

    shown = casgan("node", "--config", str(config), "status").stdout
    assert "host         a: lives" in shown
    assert "host         b: gone since" in shown
    assert "lease        coordinator: a" in shown
    assert casgan("node", "--config", str(config), "forget", "b").returncode == 0

    assert "host         b" not in casgan("node", "--config", str(config), "status").stdout
    again = casgan("node", "--config", str(config), "forget", "b")
    assert (again.returncode, "is not known" in again.stderr) == (5, True)


def casgan(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True, check=False)
