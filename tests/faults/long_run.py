"""A whole node that works for a long time: many small series in, out to an archive, and removed.

python -m tests.faults.long_run [--series 10000] [--minutes 60] [--folder FOLDER]

Prints what each process and the disk hold, now and then, and how much that was apart after the first part of
the run. It ends with the last series, or when the time is over and what is on its way has arrived.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from casgan_dicom.node.state.figures import Figures, figures
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import status
from casgan_dicom.node.state.storage import bytes_in
from tests.faults.modality import cine, send_until_stored
from tests.node.nodes import bundle_in, program, wait_for
from tests.support.fake_pacs import FakePacs

FRAMES = 2
ON_THE_WAY = 40
"""Series that may be on their way at a time, of a run of many: of a short one a fifth of all."""
WARM_SHARE = 0.2
"""Part of a run after which nothing has to grow any more: caches fill, and what is loaded late is loaded."""


@dataclass(frozen=True)
class Look:
    """What there is at one moment."""

    series: int
    """Delivered so far."""
    minutes: float
    """Since the start."""
    memory: dict[str, int]
    """Resident bytes of each process, by role."""
    handles: dict[str, int]
    """Open files and threads of each process, by role."""
    files: int
    """Bytes in spool and outbox."""
    databases: int
    """Bytes of ledger and workflows."""

    def __str__(self) -> str:
        memory = ", ".join(f"{role} {count / 2**20:.0f}" for role, count in sorted(self.memory.items()))
        return (
            f"{self.series} series in {self.minutes:.1f} min: MiB {memory};"
            f" spool and outbox {self.files / 2**20:.2f} MiB, databases {self.databases / 2**20:.1f} MiB"
        )


@dataclass(frozen=True)
class LongRun:
    """What a run has shown."""

    looks: tuple[Look, ...]
    """From the start to the end."""
    sent: int
    """Series sent."""
    stored: int
    """Objects in the archive."""
    requests: int
    """C-STORE requests that the archive got."""
    figures: Figures
    """The ledger at the end."""

    @property
    def warm(self) -> tuple[Look, ...]:
        """Looks behind the first part of the run."""
        return tuple(each for each in self.looks if each.series >= WARM_SHARE * self.sent)

    def growth(self) -> dict[str, int]:
        """By how many bytes the memory of each process was ever more than at the first warm look."""
        first, *later = self.warm
        return {
            role: max((each.memory[role] - first.memory[role] for each in later), default=0)
            for role in first.memory
        }

    def most_files(self) -> int:
        """Bytes in spool and outbox at most, behind the first part of the run."""
        return max(each.files for each in self.warm)


def long_run(folder: Path, series: int, minutes: float = float("inf"), every: int = 10) -> LongRun:
    """Run a node over so many series, or so long, and look at it each time `every` more are delivered."""
    looks: list[Look] = []
    on_the_way = min(ON_THE_WAY, series // 5)
    together = max(1, on_the_way // 4)
    with FakePacs() as pacs, program(_config(folder, pacs)) as (port, _):
        node, began, sent = _Watched(folder / "node"), monotonic(), 0
        while sent < series and monotonic() - began < 60 * minutes:
            send_until_stored(port, [_source(folder, sent + k) for k in range(together)])
            sent += together
            now = node.wait_for(sent - on_the_way)
            if now >= (looks[-1].series if looks else 0) + every:
                looks.append(node.look(now, (monotonic() - began) / 60))
                sys.stdout.write(f"{looks[-1]}\n")
                sys.stdout.flush()
        node.wait_for(sent)
        wait_for(lambda: bytes_in(node.layout.outbox) == 0, "all to be removed", 600)
        looks.append(node.look(sent, (monotonic() - began) / 60))
        found = LongRun(tuple(looks), sent, len(pacs.stored), pacs.requests.total(), figures(node.ledger))
        node.ledger.close()
    return found


class _Watched:
    """A node that runs, as its disk and /proc tell."""

    def __init__(self, data: Path) -> None:
        self.layout = Layout(data)
        self.ledger = Ledger(self.layout.ledger)
        self._pids = status(self.layout, self.ledger).processes | {
            "supervisor": int(self.layout.lock.read_text())
        }

    def delivered(self) -> int:
        """Series that the archive has."""
        with self.ledger.reading() as db:
            return int(db.execute("SELECT count(*) FROM jobs WHERE state = 'done'").fetchone()[0])

    def wait_for(self, series: int) -> int:
        """Wait until so many series are delivered; how many are."""
        wait_for(lambda: self.delivered() >= series, f"{series} series in the archive", 600)
        return self.delivered()

    def look(self, series: int, minutes: float) -> Look:
        layout = self.layout
        return Look(
            series,
            minutes,
            {role: _resident(pid) for role, pid in self._pids.items()},
            {role: _handles(pid) for role, pid in self._pids.items()},
            bytes_in(layout.spool) + bytes_in(layout.outbox),
            sum(each.stat().st_size for each in layout.data.glob("*.sqlite*")),
        )


def _resident(pid: int) -> int:
    """Resident memory of a process (proc(5): statm counts pages); it has to be there."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _handles(pid: int) -> int:
    folder = Path(f"/proc/{pid}")
    return sum(1 for name in ("fd", "task") for _ in (folder / name).iterdir())


def _source(folder: Path, number: int) -> Path:
    """A series that takes the place of an earlier one: the node has a copy."""
    path = cine(folder / "made", f"run {number}", frames=FRAMES)
    return path.replace(folder / "made" / f"{number % (2 * ON_THE_WAY)}.dcm")


def _config(folder: Path, pacs: FakePacs) -> Path:
    path = folder / "node.toml"
    path.write_text(
        f'data = "{folder}/node"\n[listener]\nport = 0\n[completion]\nshort_seconds = 0.1\n'
        f'[worker]\nbundle = "{bundle_in(folder)}"\nengine = "torch"\n[retention]\ndelivered_seconds = 2.0\n'
        f'[[destinations]]\nname = "pacs"\nhost = "127.0.0.1"\nport = {pacs.port}\n'
        f'ae_title = "{pacs.ae_title}"\n'
    )
    return path


def told(run: LongRun) -> Iterator[str]:
    """What a run has shown, in lines."""
    last = run.looks[-1]
    yield f"{run.sent} series in {last.minutes:.0f} min, {run.stored} objects by {run.requests} requests"
    for role, growth in sorted(run.growth().items()):
        at = [each.memory[role] / 2**20 for each in run.warm]
        yield f"  {role:12} {at[0]:6.1f} MiB warm, {at[-1]:6.1f} at the end, + {growth / 2**20:.1f} at most"
    yield f"  spool and outbox {run.most_files() / 2**20:.2f} MiB at most, {last.files} bytes at the end"
    first = run.warm[0]
    if last.series > first.series:
        each_series = (last.databases - first.databases) / (last.series - first.series)
        yield f"  databases {last.databases / 2**20:.1f} MiB at the end, {each_series:.0f} bytes a series"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        run = long_run(Path(folder), options.series, options.minutes, every=100)
    sys.stdout.write("\n".join(told(run)) + "\n")


if __name__ == "__main__":
    main()
