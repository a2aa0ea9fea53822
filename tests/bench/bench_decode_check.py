"""What the self-check of decoding costs: conversions with and without it, side by side in one run.

python -m tests.bench.bench_decode_check [--bundle NAME_OR_FOLDER] [--frames 48] [--size 512] [--repeats 3]

Both kinds of conversion take turns, so that a machine that is busy with other things slows both. The share of
the check is also measured alone: a pass over the run with it, and one without.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE
from casgan_dicom.model.generator import Generator
from casgan_dicom.pixels.decode import StoredFrame, iter_frames
from casgan_dicom.pixels.self_check import SelfCheck
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.series import find_series
from tests.bench.machine import say
from tests.support.encoded import noisy_frames
from tests.support.encoders import by_gdcm
from tests.support.factories import write_xa

SYNTAXES = (RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGBaseline8Bit)


@contextmanager
def unchecked() -> Iterator[None]:
    """Conversions without the check."""

    def passing(_: SelfCheck, frames: Iterable[StoredFrame]) -> Iterator[StoredFrame]:
        yield from frames

    with patch.object(SelfCheck, "passing", passing):
        yield


def seconds(work: Callable[[], object]) -> float:
    """Duration of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def checked_pass(cine: Cine) -> None:
    """Decode a run with the check, and wait for its answer."""
    check = SelfCheck(cine)
    for _ in check.passing(iter_frames(cine)):
        pass
    check.result()


def compare_times(args: argparse.Namespace, folder: Path) -> None:
    """Convert one run in each transfer syntax, with and without, in turns."""
    run = noisy_frames(args.frames, args.size, args.size, 8)
    raw = write_xa(folder / "raw", run)
    generator = Generator.load(args.bundle, engine=args.engine)
    generator((run[: generator.batch] / 255).astype(np.float32), generator.measure(run[:1] / np.float32(255)))
    say(f"{args.frames} frames of {args.size}², {generator.engine} on {generator.device}, median of turns")
    with tempfile.TemporaryDirectory(dir=folder) as out:
        convert_series([raw], lambda: generator, ConvertOptions(), Path(out))  # the first one compiles
    for syntax in SYNTAXES:
        source = folder / str(syntax)
        by_gdcm(raw, source, syntax)
        (cine,) = find_series([source]).cines
        whole: dict[bool, list[float]] = {True: [], False: []}
        alone: dict[bool, list[float]] = {True: [], False: []}

        def convert(source: Path = source) -> None:
            with tempfile.TemporaryDirectory(dir=folder) as out:
                report = convert_series([source], lambda: generator, ConvertOptions(), Path(out))
                assert report.outputs, report.skipped

        for _ in range(args.repeats):
            whole[True].append(seconds(convert))
            with unchecked():
                whole[False].append(seconds(convert))
            alone[True].append(seconds(lambda: checked_pass(cine)))  # noqa: B023
            alone[False].append(seconds(lambda: list(iter_frames(cine))))  # noqa: B023
        checked, bare = (float(np.median(whole[kind])) for kind in (True, False))
        extra = float(np.median(np.subtract(alone[True], alone[False])))
        say(f"  {syntax.name}")
        say(f"    convert {checked:7.2f} s, without the check {bare:7.2f} s, ratio {checked / bare:.3f}")
        say(f"    check alone {extra * 1e3:7.0f} ms, {extra / bare:.2%} of the conversion")


def main() -> None:
    """Print both times and their ratio for each transfer syntax."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        compare_times(args, Path(name))


if __name__ == "__main__":
    main()
