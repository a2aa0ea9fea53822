"""What a node takes that has nothing to do: processor time and wakings of each of its processes.

python -m tests.bench.bench_idle [--seconds 60]

The node is the program itself, with a destination that is never called. Of its threads those are named that
take the most.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep

from casgan_dicom.node.settings import StateSettings
from tests.bench.machine import machine
from tests.node.nodes import PROGRAM, config, program
from tests.support.fake_pacs import FakePacs

AIM_PERCENT = 2.0
"""Of a core, all processes together."""
SETTLE_SECONDS = 5.0
"""What a node does at its start is not counted."""


@dataclass(frozen=True)
class Spent:
    """What one process has taken so far."""

    name: str
    """Its role; the supervisor has none."""
    seconds: float
    """Processor time."""
    wakings: int
    """How often a thread of it slept."""


def processes(pid: int) -> Iterator[int]:
    """A process, and all that descend from it."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from processes(int(child))


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def spent(pid: int) -> Spent:
    """What a process has taken, by its threads (proc(5): schedstat counts nanoseconds)."""
    seconds, wakings = 0.0, 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        seconds += int((thread / "schedstat").read_text().split()[0]) / 1e9
        lines = (thread / "status").read_text().splitlines()
        wakings += sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
    words = _command(pid).decode().split("\0")
    return Spent(words[-2] if "casgan_dicom.node" in words else "supervisor", seconds, wakings)


def measure(seconds: float, state: StateSettings | None = None) -> dict[str, tuple[float, float]]:
    """Percent of a core and wakings a second of each process of an idle node, with its books in `state`."""
    with (
        tempfile.TemporaryDirectory() as folder,
        FakePacs() as pacs,
        program(with_state(config(Path(folder), pacs), state or StateSettings())),
    ):
        node = next(pid for pid in processes(os.getpid()) if str(PROGRAM).encode() in _command(pid))
        sleep(SETTLE_SECONDS)
        before, start = {pid: spent(pid) for pid in processes(node)}, monotonic()
        sleep(seconds)
        after, took = {pid: spent(pid) for pid in processes(node)}, monotonic() - start
    return {
        each.name: (
            100 * (each.seconds - before[pid].seconds) / took,
            (each.wakings - before[pid].wakings) / took,
        )
        for pid, each in after.items()
    }


def with_state(path: Path, state: StateSettings) -> Path:
    """A configuration, with these settings of the databases besides."""
    lines = [f'{key} = "{value}"\n' for key, value in asdict(state).items()]
    path.write_text("".join([path.read_text(), "[state]\n", *lines]))
    return path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    found = measure(parser.parse_args().seconds)
    for name, (percent, wakings) in found.items():
        sys.stdout.write(f"  {name:14} {percent:6.2f} % of a core {wakings:6.1f} wakings/s\n")
    total = sum(percent for percent, _ in found.values())
    sys.stdout.write(f"  {'together':14} {total:6.2f} % of a core; aim: {AIM_PERCENT:g} % at most\n")
    sys.stdout.write(machine() + "\n")


if __name__ == "__main__":
    main()
