"""R17: two hosts on one PostgreSQL, kill -9 of processes and of whole hosts, and crashes of the database.

Each host is a network namespace of its own with a whole node in it: it shares no file with the other, which
takes its files over HTTP. Short: 12 series, 4 kills, 1 crash of the database; long (--soak): 200, 50 and 5.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import pytest

from casgan_dicom.node.settings import DestinationSettings, PeerSettings, StateSettings
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.ledger import Ledger, LedgerError
from casgan_dicom.node.state.overview import JobRow, list_jobs
from casgan_dicom.node.state.processes import role_at
from tests.faults.modality import cine, send_until_stored
from tests.faults.test_kills import expected_objects
from tests.node.nodes import wait_for
from tests.node.several import HostProcess, host_settings
from tests.support.orthanc import Orthanc, free_ports
from tests.support.postgres import Postgres, running_postgres
from tests.support.two_networks import NETWORK, Network, two_networks

pytestmark = pytest.mark.orthanc


@dataclass(frozen=True)
class Extent:
    """How much a test does."""

    series: int
    kills: int
    crashes: int
    """Of the database."""
    seconds: float
    """How long the rest may take."""


SHORT, LONG = Extent(12, 4, 1, 300), Extent(200, 50, 5, 3600)
FRAMES = 4
AT_ONCE = 8
"""Series that are under way together."""
ROLES = ("worker.cpu", "sender", "coordinator", "keeper", "listener", "host")
"""What is killed; the last is all of them together."""
CHANCES = (0.35, 0.15, 0.15, 0.05, 0.1, 0.2)


def test_after_kills_over_two_hosts_and_crashes_of_the_database_the_archive_holds_what_was_expected(
    tmp_path: Path, soak: bool, orthanc: Orthanc
) -> None:
    extent, chance = LONG if soak else SHORT, random.Random(21)
    sources = [cine(tmp_path / "sent", f"run {k}", frames=FRAMES) for k in range(extent.series)]
    expected, _ = expected_objects(tmp_path, sources)
    started = monotonic()

    with (
        two_networks() as networks,
        open_postgres() as server,
        two_hosts(tmp_path, networks, orthanc, server.settings()) as hosts,
        book(hosts) as ledger,
    ):
        with sending(hosts, sources, ledger):
            killed, crashes = harm(hosts, server, Scene(ledger, extent, chance))
        rows = settled(ledger, extent)
        requests = requests_of(ledger)

    assert Counter(row.state for row in rows) == {"done": extent.series}
    assert stored_in(orthanc) == set(expected)
    assert requests.keys() == set(expected)
    repeated = sum(requests.values()) - len(requests)
    assert max(requests.values()) <= 1 + killed.total() + crashes
    each = ", ".join(f"{count} {name}" for name, count in sorted(killed.items()))
    sys.stdout.write(
        f"\nR17: {extent.series} series of {FRAMES} frames over two hosts, {killed.total()} kills ({each})"
        f" and {crashes} crashes of PostgreSQL in {monotonic() - started:.0f} s: {len(expected)} objects in"
        f" Orthanc, exactly those expected, {repeated} C-STORE requests repeated\n"
    )


@dataclass(frozen=True)
class Scene:
    """Where harm is done, and how much."""

    ledger: Ledger
    extent: Extent
    chance: random.Random


@contextmanager
def open_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that both hosts can reach."""
    with running_postgres() as server:
        server.stop()
        data = server.folder / "data"
        with (data / "postgresql.conf").open("a") as conf:
            conf.write("listen_addresses = '*'\n")
        with (data / "pg_hba.conf").open("a") as hba:
            hba.write(f"host all all {NETWORK} scram-sha-256\n")
        server.start()
        yield server


@contextmanager
def two_hosts(
    folder: Path, networks: Sequence[Network], orthanc: Orthanc, state: StateSettings
) -> Iterator[list[HostProcess]]:
    """Both hosts, which do everything that a node does."""
    hosts = [
        _host(folder, name, network, orthanc, state) for name, network in zip("ab", networks, strict=True)
    ]
    try:
        for host in hosts:
            host.start()
        for host in hosts:
            host.wait_until_ready()
        yield hosts
    finally:
        for host in hosts:
            host.stop()


def _host(folder: Path, name: str, network: Network, orthanc: Orthanc, state: StateSettings) -> HostProcess:
    there = DestinationSettings("orthanc", network.hub, orthanc.dicom_port, orthanc.aet, response_seconds=10)
    reached = replace(state, database=state.database.replace("127.0.0.1", network.hub))
    settings = host_settings(folder, name, reached, there, share_host=network.address, unencrypted=True)
    return HostProcess(
        replace(
            settings,
            listener=replace(settings.listener, host=network.address, port=free_ports(1)[0]),
            peers=(PeerSettings("CATHLAB", NETWORK),),
            # Whether a series is to be blamed for deaths is not asked here: it dies on two hosts.
            worker=replace(settings.worker, deaths=50),
        ),
        network.before,
    )


@contextmanager
def book(hosts: Sequence[HostProcess]) -> Iterator[Ledger]:
    """The ledger of both."""
    state = hosts[0].settings.state
    ledger = open_ledger(replace(hosts[0].settings, state=state))
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def sending(hosts: Sequence[HostProcess], sources: Sequence[Path], ledger: Ledger) -> Iterator[None]:
    """Send the series one by one, so that some are always under way; each sixth of them to both hosts."""
    failed: list[BaseException] = []

    def send() -> None:
        try:
            for number, path in enumerate(sources):
                wait_for(lambda: len(unfinished(ledger)) < AT_ONCE, "some series to end", 600)
                for host in hosts if number % 6 == 0 else [hosts[number % 2]]:
                    listener = host.settings.listener
                    send_until_stored(listener.port, [path], host=listener.host)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failed:
        raise failed[0]


def harm(hosts: Sequence[HostProcess], server: Postgres, scene: Scene) -> tuple[Counter[str], int]:
    """Kill what is at work, spread over the series; what was killed, and how often the database crashed."""
    extent, chance = scene.extent, scene.chance
    killed, crashes = Counter[str](), 0
    while killed.total() < extent.kills:
        due = killed.total() * extent.series // (extent.kills + 1)
        with suppress(AssertionError):  # nothing ends for a while: then it is killed all the same
            wait_for(partial(has_ended, scene.ledger, due), "series to end", 30)
        assert ended(scene.ledger) < extent.series, f"{killed}: nothing is at work any more"
        sleep(chance.uniform(0, 2))
        host, what = chance.choice(hosts), chance.choices(ROLES, CHANCES)[0]
        killed[f"{what} of {host.name}"] += kill(host, what, scene.ledger)
        if killed.total() >= (crashes + 1) * extent.kills / (extent.crashes + 1) and crashes < extent.crashes:
            server.stop("immediate")
            sleep(chance.uniform(0, 2))
            server.start()
            crashes += 1
    return killed, crashes


def kill(host: HostProcess, what: str, ledger: Ledger) -> int:
    """Kill a process of a host, or all of them; 0 if there is none."""
    if what == "host":
        host.kill()
        host.start()
        return 1
    with suppress(ProcessLookupError, KeyError, LedgerError):
        os.kill(pids(ledger, host.name)[what], signal.SIGKILL)
        return 1
    return 0


def pids(ledger: Ledger, host: str) -> dict[str, int]:
    """The processes of a host, by role: all machines of this test have one list of processes."""
    with ledger.reading() as db:
        rows = [(role_at(row["role"]), row["pid"]) for row in db.execute("SELECT role, pid FROM processes")]
    return {role: pid for (at, role), pid in rows if at == host}


def rows_of(ledger: Ledger) -> list[JobRow]:
    """All jobs; none while the database is away."""
    with suppress(LedgerError):
        return list_jobs(ledger, limit=10_000)
    return []


def unfinished(ledger: Ledger) -> list[JobRow]:
    """Jobs that are under way."""
    return [row for row in rows_of(ledger) if row.state != "done"]


def ended(ledger: Ledger) -> int:
    """How many jobs are at their end."""
    return sum(row.state == "done" for row in rows_of(ledger))


def has_ended(ledger: Ledger, count: int) -> bool:
    """Whether so many are."""
    return ended(ledger) >= count


def settled(ledger: Ledger, extent: Extent) -> list[JobRow]:
    """All jobs, when all are done."""
    wait_for(
        lambda: ended(ledger) >= extent.series,
        lambda: f"all series to be done; there are {[(row.job, row.state) for row in unfinished(ledger)]}",
        extent.seconds,
    )
    return rows_of(ledger)


def requests_of(ledger: Ledger) -> dict[str, int]:
    """How often each object was sent, as far as it was written down."""
    with ledger.reading() as db:
        return {row["sop_uid"]: row["requests"] for row in db.execute("SELECT sop_uid, requests FROM stores")}


def stored_in(orthanc: Orthanc) -> set[str]:
    """SOP Instance UIDs of everything that an archive has."""
    found = json.loads(orthanc.request("GET", "/instances?expand"))
    return {each["MainDicomTags"]["SOPInstanceUID"] for each in found}
