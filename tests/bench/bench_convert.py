"""What the pipeline costs beside the generator alone, and whether its memory grows with the cine, in one run.

python -m tests.bench.bench_convert [--bundle NAME_OR_FOLDER] [--engine auto] [--frames 96] [--size 512]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.uid import RLELossless

from casgan_dicom.convert import ConvertOptions, convert_series
from casgan_dicom.model.infer import Generator
from casgan_dicom.model.shelf import DEFAULT_BUNDLE
from casgan_dicom.report import ConvertReport
from tests.factories import moving_frames, write_xa
from tests.painter import DiscPainter

MEMORY_FRAMES = (100, 1000)
"""Lengths of the two cines whose peak memory is compared."""


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
        reports.append(convert_series([source], generator, ConvertOptions(), out))

    generator(frames[:step], levels)  # the first call compiles and allocates
    pure, converted = seconds(alone, args.repeats), seconds(whole, args.repeats)
    spent = reports[-1].outputs[0].seconds
    _say(f"{args.frames} frames of {args.size}², {generator.engine} on {generator.device}, batch {step}")
    _say(f"  generator alone   {pure:8.2f} s   {pure / args.frames * 1e3:7.1f} ms/frame")
    _say(f"  convert           {converted:8.2f} s   {converted / args.frames * 1e3:7.1f} ms/frame")
    _say(f"  ratio             {converted / pure:8.2f}")
    _say(f"  of it, last run: measure {spent.measure:.2f} s, generate {spent.generate:.2f} s")


def compare_memory(size: int) -> None:
    """Convert a short and a long run in fresh processes, with a generator that itself needs no memory."""
    peaks = []
    for frames in MEMORY_FRAMES:
        command = [sys.executable, "-m", "tests.bench.bench_convert", "--memory-of", str(frames)]
        done = subprocess.run([*command, "--size", str(size)], capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout))
        _say(f"peak memory, {frames:5d} frames of {size}² (disc painter): {peaks[-1]:7.1f} MiB")
    _say(f"  difference {peaks[1] - peaks[0]:.1f} MiB, ratio {peaks[1] / peaks[0]:.3f}")


def convert_and_say_peak(frames: int, size: int) -> None:
    """Write a run frame by frame, convert it, print the peak resident memory of this process in MiB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = write_xa(folder / "run", moving_frames(2, size, size))
        _repeat_frames(source, frames, size)
        generator = DiscPainter(batch=4).as_generator()
        report = convert_series([source], generator, ConvertOptions(preview=True), folder / "out")
        if report.exit_code:
            raise SystemExit(f"not converted: {report.skipped}")
    # Not ru_maxrss: that starts at the peak of the process which started this one.
    status = Path("/proc/self/status").read_text()
    (kib,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    _say(f"{int(kib) / 1024:.1f}")


def _repeat_frames(path: Path, frames: int, size: int) -> None:
    """Turn a run of two frames into one of many by repeating its pixels in the file: no memory is needed."""
    content = path.read_bytes()
    head, pixels = content[: -2 * size * size], content[-2 * size * size :]
    length = (2 * size * size).to_bytes(4, "little")
    assert head.endswith(length)  # explicit VR, one OB element at the end
    head = head[:-4] + (frames * size * size).to_bytes(4, "little")
    count = b"IS\x02\x002 "
    assert head.count(b"\x28\x00\x08\x00" + count) == 1
    text = str(frames).encode().ljust(4)
    head = head.replace(
        b"\x28\x00\x08\x00" + count, b"\x28\x00\x08\x00IS" + len(text).to_bytes(2, "little") + text
    )
    with path.open("wb") as file:
        file.write(head)
        for _ in range(frames // 2):
            file.write(pixels)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> None:
    """Print times and memory, each beside what it is compared with."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        convert_and_say_peak(args.memory_of, args.size)
        return
    with tempfile.TemporaryDirectory() as name:
        compare_times(args, Path(name))
    compare_memory(args.size)


if __name__ == "__main__":
    main()
