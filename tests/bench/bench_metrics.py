"""What a scrape of the metrics costs on a ledger of many jobs.

python -m tests.bench.bench_metrics [--jobs 100000]

Every job has two instances, a cine that was measured, and a delivery to each of two destinations.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

from casgan_dicom.node.settings import PRIORITIES, DestinationSettings, NodeSettings, PeerSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.web.metrics import Metrics
from tests.bench.machine import machine
from tests.support.factories import uid

EVERY_SECONDS = 15.0
"""Between two scrapes, as most are set up."""
SCRAPES = 20


def filled(data: Path, jobs: int) -> Ledger:
    """A ledger with so many jobs that have come to an end."""
    ledger = Ledger(Layout(data).ledger)
    series = [uid(f"series {k}") for k in range(jobs)]
    with ledger.transaction() as db:
        db.executemany(
            "INSERT INTO jobs (job, series_uid, revision, state, peer, priority, first_at, last_at,"
            " changed_at) VALUES (?, ?, 1, 'done', ?, ?, ?, ?, ?)",
            [(f"{k:016x}", series[k], f"LAB{k % 4}", PRIORITIES[k % 3], k, k, k) for k in range(jobs)],
        )
        db.executemany(
            "INSERT INTO instances (sop_uid, sha256, job, series_uid, path, bytes, frames, peer, address,"
            " received_at) VALUES (?, ?, ?, ?, ?, 1000000, 60, ?, '10.1.2.3', ?)",
            [
                (
                    f"{series[k]}.{n}",
                    f"{k:064x}",
                    f"{k:016x}",
                    series[k],
                    f"/spool/{series[k]}/{n}",
                    f"LAB{k % 4}",
                    k,
                )
                for k in range(jobs)
                for n in range(2)
            ],
        )
        db.executemany(
            "INSERT INTO measurements (job, run, number, frames, seconds, score)"
            " VALUES (?, 1, 1, 60, ?, 0.5)",
            [(f"{k:016x}", 0.1 * (k % 100)) for k in range(jobs)],
        )
        db.executemany(
            "INSERT INTO deliveries (job, destination, state, changed_at) VALUES (?, ?, 'sent', ?)",
            [(f"{k:016x}", name, k) for k in range(jobs) for name in ("pacs", "lab")],
        )
    return ledger


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    jobs = parser.parse_args().jobs
    with tempfile.TemporaryDirectory() as folder:
        settings = NodeSettings(
            data=Path(folder),
            peers=tuple(PeerSettings(f"LAB{k}", "10.1.2.3") for k in range(4)),
            destinations=tuple(DestinationSettings(name, "h", 104, "A") for name in ("pacs", "lab")),
        )
        ledger = filled(settings.data, jobs)
        metrics, took, spent = Metrics(settings, ledger), [], []
        for number in range(SCRAPES):
            start, processor = perf_counter(), process_time()
            text = metrics.text(float(number))
            took.append(perf_counter() - start)
            spent.append(process_time() - processor)
        ledger.close()
    share = 100 * statistics.median(spent) / EVERY_SECONDS
    sys.stdout.write(
        f"  {jobs} jobs: {1000 * statistics.median(took):.0f} ms a scrape, {1000 * max(took):.0f} ms the"
        f" slowest, {len(text)} bytes; every {EVERY_SECONDS:.0f} s that is {share:.2f} % of a core\n"
    )
    sys.stdout.write(machine() + "\n")


if __name__ == "__main__":
    main()
