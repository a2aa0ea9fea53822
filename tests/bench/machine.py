"""What every bench says of the machine that it ran on, and when it had better not compare."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

BUSY = 0.25
"""Load of the last minute per core from which a ratio says as much about others as about what is measured."""


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
    """Say what the machine is; end the process where it is too busy to compare."""
    sys.stdout.write(machine() + "\n")
    if os.getloadavg()[0] > BUSY * cores() and not even_if_busy:
        sys.stdout.write("The machine is busy: nothing is compared. --even-if-busy compares all the same.\n")
        sys.exit(3)


def row(name: str, found: float, unit: str, aim: str) -> None:
    """One figure, with its aim beside it."""
    sys.stdout.write(f"  {name:<58} {found:9.3g} {unit:<8} {aim}\n")
    sys.stdout.flush()
