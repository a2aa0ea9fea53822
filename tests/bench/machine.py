"""What every bench says of the machine that it ran on, and when it had better not compare."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path

BUSY = 0.25
"""Load of the last minute per core from which a ratio says as much about others as about what is measured."""
PATIENCE_S = 300.0
"""How long the load of what ran before is waited for, seconds."""


def machine() -> str:
    """Processor, cores and load, one line."""
    cpu = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in cpu.read_text().splitlines() if "model name" in line]
    flags = cpu.read_text()
    kinds = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    load = f"load {os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "load unknown"
    named = f"{names[0] if names else platform.processor()} ({', '.join(kinds)})"
    return f"{named}, {cores()} cores, {load}"


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def begin(*, even_if_busy: bool) -> None:
    """Say what the machine is; end the process where it stays too busy to compare."""
    patience = time.monotonic() + PATIENCE_S
    while not even_if_busy and os.getloadavg()[0] > BUSY * cores():
        if time.monotonic() > patience:
            sys.stdout.write(f"{machine()}: busy, nothing is compared (--even-if-busy does)\n")
            sys.exit(3)
        time.sleep(5)
    sys.stdout.write(machine() + "\n")


def row(name: str, found: float, unit: str, aim: str) -> None:
    """One figure, with its aim beside it."""
    sys.stdout.write(f"  {name:<58} {found:9.3g} {unit:<8} {aim}\n")
    sys.stdout.flush()
