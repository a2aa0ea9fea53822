"""What the durable queues cost: the same series through a node and through the pipeline alone, in one run.

python -m tests.bench.bench_queue [--series 40]

Both use the same bundle and engine on the same small cines, so the difference is receiving, deciding, queues,
ledger and delivery. Also: processor time of a node that has nothing to do.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, sleep

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.model.generator import Generator
from tests.bench.machine import without_log
from tests.faults.modality import cine, send
from tests.node.nodes import Node, bundle_in, destination, node_settings, running_node
from tests.support.fake_pacs import FakePacs

IDLE_SECONDS = 20.0


def pipeline_seconds(folder: Path, sources: Sequence[Path]) -> float:
    """Seconds for each series, converted one after the other without a node."""
    generator = Generator.load(bundle_in(folder), device="cpu", engine="torch")
    convert_series(sources[:1], lambda: generator, ConvertOptions(), folder / "warm-up")
    started = perf_counter()
    for k, source in enumerate(sources):
        convert_series([source], lambda: generator, ConvertOptions(), folder / f"direct-{k}")
    return (perf_counter() - started) / len(sources)


def node_seconds(node: Node, sources: Sequence[Path]) -> float:
    """Seconds for each series, from the first instance to the last delivery."""
    for source in sources:
        send(node.port, [source])
    rows = node.wait_until_settled(len(sources), seconds=600)
    assert {row.state for row in rows} == {"done"}
    wait = node.settings.completion.short_seconds
    return (max(row.changed_at for row in rows) - min(row.first_at for row in rows) - wait) / len(rows)


def processor_seconds(node: Node) -> float:
    """Processor time that the processes of a node have taken so far."""
    ticks = 0
    for pid in node.ready.pids.values():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
    return ticks / 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=40)
    count = parser.parse_args().series
    with tempfile.TemporaryDirectory() as name, FakePacs() as pacs:
        folder = Path(name)
        sources = [cine(folder / "sent", f"run {k}", frames=8) for k in range(count)]
        direct = pipeline_seconds(folder, sources)
        with without_log(), running_node(node_settings(folder, destination("pacs", pacs))) as node:
            before = processor_seconds(node)
            sleep(IDLE_SECONDS)
            idle = (processor_seconds(node) - before) / IDLE_SECONDS
            through = node_seconds(node, sources)
    sys.stdout.write(
        f"{count} series of 8 frames of 64 x 80\n"
        f"pipeline alone   {1000 * direct:8.1f} ms per series\n"
        f"through a node   {1000 * through:8.1f} ms per series, received, decided, queued and delivered\n"
        f"difference       {1000 * (through - direct):8.1f} ms per series\n"
        f"idle node        {100 * idle:8.1f} % of one processor, four processes\n"
    )


if __name__ == "__main__":
    main()
