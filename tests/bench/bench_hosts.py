"""What a second host brings: the same series through one host and through two, on one PostgreSQL, in one run.

python -m tests.bench.bench_hosts [--series 24] [--frames 96] [--size 256] [--even-if-busy]

Each host has one worker of one thread; so two of them want two cores. All series wait in the queue, paused,
until every worker is ready; measured is from there to the last delivery. What the second host converts came
in at the first: it fetches it over HTTP.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from time import monotonic, time

from casgan_dicom.node.settings import NodeSettings, StateSettings
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import list_jobs
from casgan_dicom.node.state.pauses import Pause, Pauses
from casgan_dicom.node.state.receipts import Receipts
from tests.bench.machine import begin
from tests.faults.modality import send_until_stored
from tests.node.ledgers import received
from tests.node.nodes import destination, wait_for
from tests.node.several import HostProcess, host_settings
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.fake_pacs import FakePacs
from tests.support.orthanc import free_ports
from tests.support.postgres import Postgres, running_postgres

WAIT_SECONDS = 7200.0
RATE_SECONDS = 10.0
HELD = Pause("convert", "cpu")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=24)
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--even-if-busy", action="store_true")
    asked = parser.parse_args()
    begin(even_if_busy=asked.even_if_busy)
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    with tempfile.TemporaryDirectory() as name, running_postgres() as server, FakePacs() as pacs:
        folder = Path(name)
        sources = [_source(folder, k, asked.frames, asked.size) for k in range(asked.series)]
        times = []
        for count in (1, 2):
            (folder / str(count)).mkdir()
            hosts = _hosts(folder / str(count), count, server, pacs)
            seconds, done = measured(hosts, sources)
            times.append(seconds)
            shares = ", ".join(f"{host}: {jobs}" for host, jobs in sorted(done.items()))
            sys.stdout.write(
                f"{count} host(s)  {seconds:8.1f} s for {asked.series} series of {asked.frames} frames of"
                f" {asked.size} x {asked.size} ({shares}), load average {os.getloadavg()[0]:.1f}\n"
            )
            sys.stdout.flush()
        sys.stdout.write(f"the second host brings {times[0] / times[1]:.2f} x\n")
        for count in (1, 4):
            rate = transactions(server.settings(), count)
            sys.stdout.write(f"ledger       {rate:8.0f} instances entered a second by {count} process(es)\n")


def transactions(state: StateSettings, processes: int) -> float:
    """How many instances some processes enter into one ledger, a transaction each, in a second."""
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        counts = list(pool.map(_enter, [state] * processes, range(processes)))
    return sum(counts) / RATE_SECONDS


def _enter(state: StateSettings, number: int) -> int:
    """Enter instances of many series for a while; how many."""
    ledger, entered = open_ledger(NodeSettings(state=state)), 0
    until = monotonic() + RATE_SECONDS
    while monotonic() < until:
        name = f"{number} {entered}"
        Receipts(ledger, "r").enter(received(name, series=name), time())
        entered += 1
    ledger.close()
    return entered


def measured(hosts: Sequence[HostProcess], sources: Sequence[Path]) -> tuple[float, Counter[str]]:
    """Seconds from the first conversion to the last delivery; how many series each host converted."""
    with ExitStack() as stack:
        ledger = open_ledger(hosts[0].settings)
        stack.callback(ledger.close)
        Pauses(ledger).begin([HELD], time())
        for host in hosts:
            host.start()
            stack.callback(host.stop)
        for host in hosts:
            host.wait_until_ready()
        send_until_stored(hosts[0].settings.listener.port, sources)
        wait_for(lambda: _count(ledger, "receiving") == 0, "all series to be complete", WAIT_SECONDS)
        started = monotonic()
        Pauses(ledger).end([HELD])
        wait_for(lambda: _count(ledger, "done") == len(sources), "all series to be delivered", WAIT_SECONDS)
        seconds = monotonic() - started
        with ledger.reading() as db:
            rows = db.execute("SELECT host, count(*) AS jobs FROM outbox GROUP BY host").fetchall()
        return seconds, Counter({row["host"]: row["jobs"] for row in rows})


def _hosts(folder: Path, count: int, server: Postgres, pacs: FakePacs) -> list[HostProcess]:
    """Hosts with one worker each; the first receives, decides and sends."""
    state, there = server.settings(), destination("pacs", pacs)
    settings: list[NodeSettings] = [host_settings(folder, "a", state, there)]
    settings += [host_settings(folder, "b", state, there, roles=("worker", "sender"))][: count - 1]
    return [
        HostProcess(replace(each, listener=replace(each.listener, port=free_ports(1)[0])))
        for each in settings
    ]


def _count(ledger: Ledger, state: str) -> int:
    return len(list_jobs(ledger, states=[state], limit=100_000))


def _source(folder: Path, number: int, frames: int, size: int) -> Path:
    named = {name: uid(f"{name} {number}") for name in ("StudyInstanceUID", "SeriesInstanceUID")}
    pixels = moving_frames(frames, rows=size, columns=size)
    return write_xa(folder / f"{number}.dcm", pixels, SOPInstanceUID=uid(f"cine {number}"), **named)


if __name__ == "__main__":
    main()
