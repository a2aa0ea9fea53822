"""What PostgreSQL costs beside SQLite: rows, instances and workflows a second, and a node without work.

python -m tests.bench.bench_databases [--repeats 3] [--instances 240] [--workflows 60] [--idle 30]

Both in turn, on the same disk and with commits that are flushed. The PostgreSQL is one of its own on this
machine, with the settings that it comes with: what it would take over a network comes on top.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter

from casgan_dicom.node.settings import NodeSettings, StateSettings
from casgan_dicom.node.state import workflows
from casgan_dicom.node.state.books import open_ledger, workflow_place
from casgan_dicom.node.state.receipts import Receipts
from tests.bench.bench_idle import measure as measure_idle
from tests.bench.bench_receive import SMALL, Receiver, send, speed
from tests.bench.machine import machine, without_log
from tests.faults.listener_process import ListenerProcess
from tests.faults.senders import Template
from tests.node.ledgers import received
from tests.support.postgres import Postgres, running_postgres
from tests.support.waiting import wait_for

AT_ONCE = 8
"""Threads or associations at the same time."""
_NUMBERS = count(1)


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    instances: int
    workflows: int


def rows(folder: Path, state: StateSettings, extent: Extent, at_once: int) -> float:
    """Instances entered into the ledger a second, without their files."""
    with closing(open_ledger(NodeSettings(data=folder, state=state))) as ledger:
        receipts = Receipts(ledger, "recipe")
        names = [f"instance {next(_NUMBERS)}" for _ in range(extent.instances)]
        receipts.enter(received("first"), 1.0)
        start = perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(lambda name: receipts.enter(received(name), 1.0), names))
        return extent.instances / (perf_counter() - start)


def instances(folder: Path, state: StateSettings, extent: Extent, at_once: int) -> float:
    """Instances of 0.5 MB that a listener acknowledges a second."""
    template = Template(folder)
    with ListenerProcess(folder / "data", state=state) as listener:
        receiver = Receiver(listener.port, "CASGAN", listener.pid)
        send(receiver, template, SMALL, 2, 99)
        return speed(receiver, template, SMALL, extent.instances // at_once, at_once).per_second


def jobs(folder: Path, state: StateSettings, extent: Extent, at_once: int) -> float:
    """Workflows of three steps that go through a queue a second."""
    served: dict[str, workflows.Workflow] = {"three": _three}
    queues = [workflows.Queue("bench", extent.workflows)]  # all begin at once: nobody waits for a look
    place = workflow_place(NodeSettings(data=folder, state=state))
    with workflows.serving(place, folder / "bells", "bench", served, queues):
        start = perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            names = [f"workflow {next(_NUMBERS)}" for _ in range(extent.workflows)]
            list(pool.map(lambda name: workflows.enqueue("bench", "three", name), names))
        wait_for(lambda: workflows.live() == [], "the end of all workflows", 300)
        return extent.workflows / (perf_counter() - start)


def _three() -> int:
    return sum(workflows.step(name, lambda: 1) for name in ("one", "two", "three"))


CASES: Mapping[str, tuple[Callable[[Path, StateSettings, Extent, int], float], int]] = {
    "rows entered, one thread": (rows, 1),
    "rows entered, eight threads": (rows, AT_ONCE),
    "instances of 0.5 MB received, one association": (instances, 1),
    "instances of 0.5 MB received, eight associations": (instances, AT_ONCE),
    "workflows of three steps, enqueued by eight threads": (jobs, AT_ONCE),
}


def measure(
    server: Postgres, extent: Extent, repeats: int, only: str
) -> dict[str, list[tuple[float, float]]]:
    """Each case on SQLite and on PostgreSQL, in turn, so that a busy moment meets both."""
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(repeats):
        for name, (case, at_once) in CASES.items():
            if only in name:
                rates = []
                for state in (StateSettings(), server.settings()):
                    with tempfile.TemporaryDirectory() as folder:
                        rates.append(case(Path(folder), state, extent, at_once))
                found.setdefault(name, []).append((rates[0], rates[1]))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--instances", type=int, default=240)
    parser.add_argument("--workflows", type=int, default=60)
    parser.add_argument("--idle", type=float, default=30.0, help="seconds of a node without work; 0 for none")
    parser.add_argument("--only", default="", help="cases with this in their name")
    args = parser.parse_args()
    with running_postgres() as server, without_log():
        found = measure(server, Extent(args.instances, args.workflows), args.repeats, args.only)
        states = (StateSettings(), server.settings()) if args.idle else ()
        idle = [sum(percent for percent, _ in measure_idle(args.idle, each).values()) for each in states]
    for name, rates in found.items():
        sqlite, postgres = (statistics.median(each) for each in zip(*rates, strict=True))
        ratio = f"{postgres / sqlite:5.2f} ×"
        sys.stdout.write(f"  {name:50} SQLite {sqlite:8.1f} /s  PostgreSQL {postgres:8.1f} /s  {ratio}\n")
    if idle:
        shown = f"SQLite {idle[0]:.2f} %, PostgreSQL {idle[1]:.2f} % of a core"
        sys.stdout.write(f"  a node without work, without the server: {shown}\n")
    sys.stdout.write(machine() + "\n")


if __name__ == "__main__":
    main()
