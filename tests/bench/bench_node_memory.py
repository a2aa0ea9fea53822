"""Memory of each process of a node: before anything came, and at most, with runs received and converted.

python -m tests.bench.bench_node_memory [--size 512] [--frames 200] [--runs 4] [--engine auto]

The node is the program itself with a shipped bundle, its page and HTTP closed, and one destination; runs of
12 bits come in one behind the other.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from pydicom import dcmread

from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import list_jobs
from tests.bench.bench_idle import processes, spent
from tests.bench.bench_memory import simulated_run
from tests.bench.machine import machine, say
from tests.faults.modality import send
from tests.node.nodes import program, wait_for
from tests.support.factories import uid
from tests.support.fake_pacs import FakePacs

MOST_SECONDS = 1200.0


def memory(pid: int) -> tuple[float, float]:
    """Resident memory of a process now and at most, in MiB (proc(5): status)."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    now, most = (int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, most


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--engine", default="auto")
    args = parser.parse_args()
    say(machine())
    with tempfile.TemporaryDirectory() as name, FakePacs() as pacs:
        folder = Path(name)
        with program(_config(folder, pacs, args.engine)):
            (node,) = list(processes(os.getpid()))[1:2]
            idle = {pid: memory(pid)[0] for pid in processes(node)}
            _convert(folder, args)
            busy = {pid: memory(pid)[1] for pid in idle}
            for pid, resting in idle.items():
                say(f"  {spent(pid).name:14} {resting:6.0f} MiB idle {busy[pid]:6.0f} MiB at most")
    together = f"{sum(idle.values()):6.0f} MiB idle {sum(busy.values()):6.0f} MiB at most"
    say(f"  {'together':14} {together}; {args.runs} runs of {args.frames} frames of {args.size}², 12 bits")


def _convert(folder: Path, args: argparse.Namespace) -> None:
    """Send runs to the node, and wait until all of them are delivered."""
    source = simulated_run(folder / "run.dcm", args.frames, args.size, 12)
    port = int((folder / "output.txt").read_text().split("listens on 127.0.0.1:")[1].split()[0])
    for number in range(args.runs):
        ds = dcmread(source)
        ds.SeriesInstanceUID, ds.SOPInstanceUID = uid(f"series {number}"), uid(f"run {number}")
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        copy = folder / f"{number}.dcm"
        ds.save_as(copy)
        assert [each.status for each in send(port, [copy])] == [0]
    ledger = Ledger(Layout(folder / "node").ledger)
    try:
        wait_for(
            lambda: [row.state for row in list_jobs(ledger)] == ["done"] * args.runs,
            lambda: str([(row.state, row.reasons) for row in list_jobs(ledger)]),
            MOST_SECONDS,
        )
    finally:
        ledger.close()


def _config(folder: Path, pacs: FakePacs, engine: str) -> Path:
    path = folder / "node.toml"
    path.write_text(
        f'data = "{folder}/node"\n[listener]\nport = 0\n[completion]\nshort_seconds = 0.3\n'
        f'[worker]\nbundle = "{DEFAULT_BUNDLE}"\nengine = "{engine}"\n'
        f'[[destinations]]\nname = "pacs"\nhost = "127.0.0.1"\nport = {pacs.port}\n'
        f'ae_title = "{pacs.ae_title}"\n'
    )
    return path


if __name__ == "__main__":
    main()
