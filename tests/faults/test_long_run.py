"""R10: a node that works for a long time. Short: 40 series. Long (--soak): 10,000."""

from __future__ import annotations

import sys
from pathlib import Path

from casgan_dicom.node.state.deliveries import FINISHED
from tests.faults.long_run import ON_THE_WAY, long_run, told

MEBIBYTE = 2**20
GROWTH = 50 * 10**6
"""Bytes that a process may grow by once it is warm."""


def test_memory_and_disk_of_a_node_that_works_on_and_on_are_flat(tmp_path: Path, soak: bool) -> None:
    series = 10_000 if soak else 40

    run = long_run(tmp_path, series, every=100 if soak else 10)

    sys.stdout.write("\nR10: " + "\n".join(told(run)) + "\n")
    assert len(run.warm) >= 3
    assert run.sent == run.stored == run.requests == series  # each once
    assert run.figures.deaths == {}
    assert run.figures.sent["pacs"].states == {FINISHED: series}
    assert run.figures.frame_seconds.count == series
    growth = run.growth()
    assert {"supervisor", "listener", "coordinator", "worker.auto", "sender"} <= set(growth)
    assert {role: count for role, count in growth.items() if count > GROWTH} == {}
    assert run.looks[-1].files == 0
    first, last = run.warm[0], run.looks[-1]
    assert all(last.handles[role] <= first.handles[role] + 20 for role in first.handles)
    assert run.most_files() < 5 * ON_THE_WAY * MEBIBYTE // 10
