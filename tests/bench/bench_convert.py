"""What a conversion costs beside its generator alone, on a simulated run, and beside another revision.

python -m tests.bench.bench_convert [--bundle NAME_OR_FOLDER …] [--engine auto] [--frames 96 300] [--size 512]
    [--compress rle] [--repeats 3] [--against REV] [--grow [--plot SVG]] [--even-if-busy]

Generator alone: the plan of the run, if the method makes one, and all its frames, in memory. Everything else
is what a conversion adds: decoding, levels, the look for contrast, out-of-domain score, composing, measuring,
writing, our own rules. `--against` measures a revision of the repository in turn with this one. `--grow` has
one row for each length and size of a run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from casgan_dicom.lab.simulate import simulate
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE
from tests.bench.machine import begin, cores, row, say
from tests.support.factories import write_xa

HERE = Path(__file__).parents[2]
SYNTAXES = {"none": ExplicitVRLittleEndian, "rle": RLELossless}
SIMULATED = 24
"""Frames that are simulated; a longer run repeats them."""
FRAMES, SIZE = 96, 512
"""Of the runs of which only the other grows."""
GROWTH = (
    *((frames, SIZE) for frames in (10, 30, FRAMES, 300, 1000)),
    *((FRAMES, size) for size in (256, 1024, 2048)),
)
"""(frames, rows and columns)."""


def run_of(folder: Path, frames: int, size: int, compress: str) -> Path:
    """Write a run without contrast."""
    made = simulate(3, size=min(size, 1024), frames=min(frames, SIMULATED)).plain
    if size > made.shape[1]:
        made = made.repeat(size // made.shape[1], axis=1).repeat(size // made.shape[2], axis=2)
    run = np.concatenate([made] * -(-frames // len(made)))[:frames]
    name = f"{frames}-{size}-{compress}"
    return write_xa(folder / name, run, syntax=SYNTAXES[compress], PixelIntensityRelationship="LOG")


def measured(tree: Path, source: Path, bundle: str, args: argparse.Namespace) -> dict[str, Any]:
    """Figures of one revision in a process of its own."""
    child = [sys.executable, str(HERE / "tests/bench/convert_child.py")]
    done = subprocess.run(
        [*child, str(source), bundle, args.engine, str(args.repeats)],
        env={**os.environ, "PYTHONPATH": str(tree)},
        cwd=tree,
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def revision(name: str) -> Iterator[Path]:
    """A revision of this repository in a folder of its own."""
    git = ["git", "-C", str(HERE)]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run([*git, "worktree", "add", "--detach", "--quiet", str(tree), name], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(tree)], check=True)


def compare(args: argparse.Namespace, folder: Path) -> None:
    """The rows of each bundle and length."""
    for bundle in args.bundle:
        for frames in args.frames:
            rows_of(args, bundle, frames, run_of(folder, frames, args.size, args.compress))


def rows_of(args: argparse.Namespace, bundle: str, frames: int, source: Path) -> None:
    """The rows of one run."""
    now = measured(HERE, source, bundle, args)
    say(f"{frames} frames of {args.size}², {args.compress}, {bundle}, {now['engine']}")
    row("generator alone, ms a frame", 1e3 * now["alone"] / frames, "ms", "")
    if not math.isnan(now["drawing"]):
        row("drawing by a plan, ms of processor a frame", 1e3 * now["drawing"], "ms", "aim ≤ 10")
    row("conversion / generator alone", now["whole"] / now["alone"], "×", "aim ≤ 1.15")
    row("conversion / processor time of the generator alone", now["whole"] / now["on one"], "×", "")
    row("first pass (decode, levels) / generator alone", now["measure"] / now["alone"], "×", "")
    row("look for contrast / generator alone", now["check"] / now["alone"], "×", "aim ≤ 0.10")
    row(f"cores busy, of {cores()}", now["cores"], "", "aim ≥ 1.7 of 2 on 300 frames")
    if args.against:
        with revision(args.against) as tree:
            before = measured(tree, source, bundle, args)
        row(f"conversion / conversion by {args.against}", now["whole"] / before["whole"], "×", "")
        row(f"generator / generator of {args.against}", now["alone"] / before["alone"], "×", "")


def grow(args: argparse.Namespace, folder: Path) -> None:
    """How a conversion grows with its run."""
    bundle = args.bundle[0]
    say(f"{bundle}, {args.compress}: frames, size, s, ms a frame, beside the generator alone")
    found = []
    for frames, size in GROWTH:
        source = run_of(folder, frames, size, args.compress)
        now = measured(HERE, source, bundle, argparse.Namespace(**{**vars(args), "repeats": 1}))
        each, ratio = 1e3 * now["whole"] / frames, now["whole"] / now["alone"]
        say(f"  {frames:5} {size:5} {now['whole']:8.2f} {each:8.1f} {ratio:6.2f}")
        found.append((frames, size, now["whole"]))
        source.unlink()
    longer = np.array([(frames, seconds) for frames, size, seconds in found if size == SIZE])
    slope, start = np.polyfit(longer[:, 0], longer[:, 1], 1)
    say(f"  runs of {SIZE}²: {start:.2f} s and {1e3 * slope:.1f} ms a frame, by a straight line")
    if args.plot:
        _plot(found, (start, slope), args.plot)


def _plot(found: list[tuple[int, int, float]], line: tuple[float, float], path: Path) -> None:
    """Draw seconds over frames, and milliseconds of a frame over its pixels."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    longer = np.array([(frames, seconds) for frames, size, seconds in found if size == SIZE])
    larger = sorted((size, 1e3 * seconds / frames) for frames, size, seconds in found if frames == FRAMES)
    left.plot(*longer.T, "o")
    left.plot(longer[:, 0], line[0] + line[1] * longer[:, 0], linewidth=1)
    left.set(xlabel=f"frames of {SIZE} × {SIZE}", ylabel="s", xlim=(0, None), ylim=(0, None))
    right.plot([size**2 / 1e6 for size, _ in larger], [each for _, each in larger], "o-", linewidth=1)
    right.set(xlabel=f"megapixels of a frame, {FRAMES} frames", ylabel="ms a frame", xlim=(0, None))
    right.set_ylim(0, None)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", nargs="+", default=[DEFAULT_BUNDLE, "casgan-desk"])
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--frames", type=int, nargs="+", default=[96, 300])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--compress", choices=SYNTAXES, default="none")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--against", metavar="REV", help="a revision that is measured, too")
    parser.add_argument("--grow", action="store_true", help="runs of several lengths and sizes")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="what --grow found, drawn")
    parser.add_argument("--even-if-busy", action="store_true")
    args = parser.parse_args()
    begin(even_if_busy=args.even_if_busy)
    with tempfile.TemporaryDirectory() as name:
        (grow if args.grow else compare)(args, Path(name))


if __name__ == "__main__":
    main()
