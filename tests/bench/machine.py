"""What every bench says of the machine that it ran on, how it prints, and when it had better not compare."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUSY = 0.25
"""Load of the last minute per core from which a ratio says as much about others as about what is measured."""
PATIENCE_S = 300.0
"""How long the load of what ran before is waited for, seconds."""
INSTRUCTIONS = ("amx_tile", "amx_bf16", "avx512_bf16", "avx512f", "avx2")
"""Those that a network on the processor may use."""


def machine() -> str:
    """Processor and its instructions, cores and load average of the last minute, one line."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    have = ", ".join(name for name in INSTRUCTIONS if name in flags) or "none of its instructions known"
    named = names[0] if names else "unknown processor"
    return f"{named} ({have}), {cores()} cores, load average {os.getloadavg()[0]:.1f}"


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def begin(*, even_if_busy: bool) -> None:
    """Say what the machine is; end the process where it stays too busy to compare."""
    patience = time.monotonic() + PATIENCE_S
    while not even_if_busy and os.getloadavg()[0] > BUSY * cores():
        if time.monotonic() > patience:
            say(f"{machine()}: busy, nothing is compared (--even-if-busy does)")
            sys.exit(3)
        time.sleep(5)
    say(machine())


def row(name: str, found: float, unit: str, aim: str) -> None:
    """One figure, with its aim beside it."""
    say(f"  {name:<58} {found:9.3g} {unit:<8} {aim}")


@contextmanager
def without_log() -> Iterator[None]:
    """Keep what this process and its children write to standard error from between the rows, for a block."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:  # what a block raises is told where it always is
        os.dup2(kept, 2)
        os.close(kept)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
