"""On what a benchmark ran, and beside how much else: a line for the end of what it prints."""

from __future__ import annotations

import os
from pathlib import Path


def load_and_processor() -> str:
    """Load average of the last minute, cores and name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    return (
        f"load average {os.getloadavg()[0]:.1f}, {cores} cores, {names[0] if names else 'unknown processor'}"
    )
