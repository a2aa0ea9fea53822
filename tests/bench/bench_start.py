"""How long a command takes until it has something to show: help, and the first frame of a conversion.

python -m tests.bench.bench_start [--runs 5] [--bundle casgan-desk]

Medians of new processes, each beside its aim for a machine that does nothing else. The conversion is measured
with the cache of compiled networks filled and with CASGAN_CACHE=no, in turns; beside the time on the clock
stands that of the processor, which a busy machine changes less.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from casgan_dicom.cli import cli
from casgan_dicom.model.engines.compiled_cache import OFF
from tests.bench.machine import machine, say
from tests.support.commands import commands

ROOT = Path(__file__).parents[2]
HELP_AIM_S, FRAME_AIM_S = 0.2, 1.5
"""Of each help, and of the first frame that is drawn on a second start."""
STAGES = {"measure": "first frame read", "check": "first seen by a network", "generate": "first drawn"}
"""Steps of a conversion whose first one is timed."""
CONVERSION = """
import os, sys, time
from casgan_dicom.cli import main
from casgan_dicom.conversion import task

told = set()

def on_step(step):
    if step.stage not in told:
        told.add(step.stage)
        print(step.stage, time.time(), time.process_time(), flush=True)
    if step.stage == "generate":
        os._exit(0)

task.silent = on_step
sys.argv = ["casgan-dicom", "convert", "sample_series", *sys.argv[1:]]
main()
"""
"""The command, which tells when it comes to a stage and ends with the first frame that is drawn."""


def help_seconds(words: tuple[str, ...]) -> float:
    """Seconds until the help of a command is printed and its process gone."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "casgan_dicom", *words, "-h"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def stage_seconds(bundle: str, cache: str) -> dict[str, tuple[float, float]]:
    """Seconds from the command to the first step of each stage, on the clock and of the processor."""
    with tempfile.TemporaryDirectory() as out:
        began = time.time()
        done = subprocess.run(
            [sys.executable, "-c", CONVERSION, "--bundle", bundle, "--out", out],
            cwd=ROOT,
            env=os.environ | {"CASGAN_CACHE": cache},
            capture_output=True,
            text=True,
            check=True,
        )
    lines = [line.split() for line in done.stdout.splitlines()]
    return {line[0]: (float(line[1]) - began, float(line[2])) for line in lines if line[0] in STAGES}


def compare_starts(bundle: str, runs: int) -> None:
    """Time conversions from a filled cache and without one, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        stage_seconds(bundle, folder)  # fills the cache
        pairs = [(stage_seconds(bundle, folder), stage_seconds(bundle, OFF)) for _ in range(runs)]
    say(f"\nconvert sample_series --bundle {bundle}, seconds on the clock (processor)")
    say(f"{'':<25} | cache filled  | none          | aim")
    for stage, words in STAGES.items():
        if not all(stage in found for pair in pairs for found in pair):
            continue
        cells = []
        for found in zip(*pairs, strict=True):  # all with the cache, all without
            clock, busy = (
                statistics.median(unit) for unit in zip(*(one[stage] for one in found), strict=True)
            )
            cells.append(f"{clock:5.2f} ({busy:5.2f})")
        aim = f"{FRAME_AIM_S:.1f}, filled" if stage == "generate" else ""
        say(f"{words:<25} | {' | '.join(cells)} | {aim}")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bundle", nargs="+", default=["casgan-desk", "atlas-desk"])
    args = parser.parse_args()
    say(machine())
    say(f"\nhelp, seconds | median of {args.runs} | aim")
    for words in [(), *commands(cli)]:
        seconds = statistics.median(help_seconds(words) for _ in range(args.runs))
        say(f"{' '.join((*words, '-h')):<25} | {seconds:.2f} | {HELP_AIM_S:.1f}")
    for bundle in args.bundle:
        compare_starts(bundle, args.runs)
    say(f"\nload at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
