"""What a node adds to the conversion of a series, from the last response to its sender to the archive.

bash tests/support/in_namespace.sh python -m tests.bench.bench_series [--series 20] [--frames 8]

Series come one by one, each when the one before it is delivered: the time of each is that from the last
C-STORE response to the object in a stock Orthanc, less the time of quiet that the node has to wait. Its
conversion is the step of that name, from DBOS's own book, in the same run. Then the same number of series
come at once, and take less than each for itself if the processes work beside each other. Outside a network
namespace our own archive stands for Orthanc.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from time import time

from casgan_dicom.node.settings import DestinationSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.overview import JobRow
from tests.bench.machine import machine, without_log
from tests.faults.modality import cine, send
from tests.node.nodes import Node, destination, node_settings, running_node, wait_for
from tests.support.fake_pacs import FakePacs
from tests.support.namespace import in_own_namespace
from tests.support.orthanc import Orthanc

AIM_MS = 150.0
"""Beyond the conversion, a series."""
ORTHANC_AIM_MS = 500.0
"""From the last response to the object in Orthanc, less quiet and conversion."""


@dataclass(frozen=True)
class Way:
    """Where the time of one series went, in milliseconds, one part behind the other."""

    to_worker: float
    """Last response to the start of the conversion, less the time of quiet."""
    conversion: float
    """The step of the worker."""
    to_sender: float
    """From there to the attempt to deliver."""
    delivery: float
    """Until the archive has answered and that is written down."""

    @property
    def beyond(self) -> float:
        """All but the conversion."""
        return self.to_worker + self.to_sender + self.delivery


@contextmanager
def archive(folder: Path) -> Iterator[tuple[str, DestinationSettings]]:
    """Orthanc where that may be, else our own archive; its name first."""
    if in_own_namespace():
        with Orthanc.stock(folder) as pacs:
            yield "a stock Orthanc", destination("pacs", pacs)
    else:
        with FakePacs() as own:
            yield "our own archive", destination("pacs", own)


def steps(node: Node, job: str) -> dict[str, tuple[float, float]]:
    """Start and end of the conversion of a job and of its delivery, if they are written down yet."""
    book = sqlite3.connect(f"file:{Layout(node.settings.data).dbos}?mode=ro", uri=True)
    try:
        rows = book.execute(
            "SELECT function_name, started_at_epoch_ms, completed_at_epoch_ms FROM operation_outputs"
            " WHERE workflow_uuid IN (?, ?) AND function_name IN ('convert', 'send')",
            [f"{job}.1.convert", f"{job}.send.pacs.1.1"],
        )
        return {name: (start / 1e3, end / 1e3) for name, start, end in rows}
    finally:
        book.close()


def way(node: Node, row: JobRow, responded: float) -> Way:
    """Where the time of a series went whose last response came at `responded`."""
    wait_for(lambda: len(steps(node, row.job)) == 2, "the end of both steps")
    (began, ended), (sent, answered) = (steps(node, row.job)[name] for name in ("convert", "send"))
    quiet = node.settings.completion.short_seconds
    times = began - responded - quiet, ended - began, sent - ended, answered - sent
    return Way(*(1000 * each for each in times))


def one_by_one(node: Node, sources: Sequence[Path]) -> list[Way]:
    """The ways of series that come when the one before is delivered; the first only warms up."""
    found = []
    for k, source in enumerate(sources):
        send(node.port, [source])
        responded = time()
        row = node.wait_until_settled(k + 1)[-1]
        assert row.state == "done"
        found.append(way(node, row, responded))
    return found[1:]


def at_once(node: Node, sources: Sequence[Path], before: int) -> float:
    """Milliseconds for each of several series, from the first instance to the last delivery."""
    for source in sources:
        send(node.port, [source])
    rows = node.wait_until_settled(before + len(sources), seconds=600)[before:]
    assert {row.state for row in rows} == {"done"}
    took = max(row.changed_at for row in rows) - min(row.first_at for row in rows)
    return 1000 * (took - node.settings.completion.short_seconds) / len(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=20)
    parser.add_argument("--frames", type=int, default=8)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, archive(Path(name) / "archive") as (kind, where):
        folder = Path(name)
        sources = [cine(folder / "sent", f"run {k}", frames=args.frames) for k in range(2 * args.series + 1)]
        with without_log(), running_node(node_settings(folder, where)) as node:
            ways = one_by_one(node, sources[: args.series + 1])
            each = at_once(node, sources[args.series + 1 :], args.series + 1)
    sys.stdout.write(f"{args.series} series of {args.frames} frames of 64 x 80 to {kind}, medians\n")
    for field in fields(Way):
        median = statistics.median(getattr(way, field.name) for way in ways)
        sys.stdout.write(f"  {field.name.replace('_', ' '):24} {median:8.1f} ms\n")
    beyond = statistics.median(way.beyond for way in ways)
    conversion = statistics.median(way.conversion for way in ways)
    sys.stdout.write(
        f"  beyond the conversion    {beyond:8.1f} ms; aim: {AIM_MS:g} ms, to Orthanc {ORTHANC_AIM_MS:g} ms\n"
        f"  several at once          {each:8.1f} ms each, {each - conversion:+.1f} beside a conversion\n"
    )
    sys.stdout.write(machine() + "\n")


if __name__ == "__main__":
    main()
