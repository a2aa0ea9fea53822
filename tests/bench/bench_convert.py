"""What the pipeline costs beside the generator alone, in one run.

python -m tests.bench.bench_convert [--bundle NAME_OR_FOLDER] [--engine auto] [--frames 96] [--size 512]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.uid import RLELossless

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.report import ConvertReport
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE
from casgan_dicom.model.generator import Generator
from tests.support.factories import moving_frames, write_xa


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median duration of `repeats` calls."""
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        durations.append(time.perf_counter() - start)
    return float(np.median(durations))


def compare_times(args: argparse.Namespace, folder: Path) -> None:
    """Convert a run, and run the generator on the same frames in memory."""
    run = moving_frames(args.frames, args.size, args.size)
    source = write_xa(folder / "run", run, syntax=RLELossless)
    generator = Generator.load(args.bundle, engine=args.engine)
    frames = (run / 255).astype(np.float32)
    levels = generator.measure(frames)
    step = generator.batch

    def alone() -> None:
        for k in range(0, len(frames), step):
            generator(frames[k : k + step], levels)

    reports: list[ConvertReport] = []

    def whole() -> None:
        out = folder / f"out{len(reports)}"
        reports.append(convert_series([source], lambda: generator, ConvertOptions(), out))

    generator(frames[:step], levels)  # the first call compiles and allocates
    pure, converted = seconds(alone, args.repeats), seconds(whole, args.repeats)
    spent = reports[-1].outputs[0].seconds
    _say(f"{args.frames} frames of {args.size}², {generator.engine} on {generator.device}, batch {step}")
    _say(f"  generator alone   {pure:8.2f} s   {pure / args.frames * 1e3:7.1f} ms/frame")
    _say(f"  convert           {converted:8.2f} s   {converted / args.frames * 1e3:7.1f} ms/frame")
    _say(f"  ratio             {converted / pure:8.2f}")
    _say(f"  of it, last run: measure {spent.measure:.2f} s, check {spent.check:.2f} s,")
    _say(f"  generate {spent.generate:.2f} s")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        compare_times(args, Path(name))


if __name__ == "__main__":
    main()
