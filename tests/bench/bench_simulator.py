"""How fast the simulator makes frame pairs, beside a plain per-point renderer, in one run.

python -m tests.bench.bench_simulator [--size 256] [--frames 32]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.cine import CineSettings, SimulatedCine, simulate_cine
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds
from casgan_dicom.model.simulator.render import Tubes, make_tubes, path_length


def naive_path_length(tubes: Tubes, view: View) -> npt.NDArray[np.float32]:
    """The same sum of discs, one point after the other over its own small window."""
    pixels, scale = view.project(tubes.points)
    image = np.zeros((view.size, view.size))
    for (column, row), r, height in zip(pixels, tubes.radius * scale, tubes.step, strict=True):
        reach = int(np.ceil(r + 0.5)) + 1
        c0, r0 = round(column) - reach, round(row) - reach
        c1, r1 = c0 + 2 * reach + 1, r0 + 2 * reach + 1
        if c0 < 0 or r0 < 0 or c1 > view.size or r1 > view.size:
            continue
        y, x = np.mgrid[r0:r1, c0:c1]
        cover = np.clip(r + 0.5 - np.hypot(x - column, y - row), 0, 1)
        image[r0:r1, c0:c1] += cover * height * np.pi * r**2 / cover.sum()
    return image.astype(np.float32)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median duration of `repeats` calls."""
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        durations.append(time.perf_counter() - start)
    return float(np.median(durations))


def main() -> None:
    """Print frame pairs per second and the renderer's gain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--frames", type=int, default=32)
    args = parser.parse_args()
    settings, patients = CineSettings(size=args.size, frames=args.frames), ProceduralBackgrounds()
    runs: list[SimulatedCine] = []
    whole = seconds(lambda: runs.append(simulate_cine(len(runs), settings, patients)), 5)
    one = seconds(lambda: runs.append(simulate_cine(len(runs), settings, patients, indices=(0,))), 5)
    per_frame = (whole - one) / (args.frames - 1)
    run = runs[0].run
    tubes = make_tubes([(s.points, s.radius, s.arc) for s in run.tree.segments], run.view)
    fast = seconds(lambda: path_length(tubes, tubes.points, run.view), 9)
    slow = seconds(lambda: naive_path_length(tubes, run.view), 3)
    rows = (
        f"{args.size} x {args.size}, {args.frames} frames",
        f"  frame pairs/s, whole run with its set-up   {args.frames / whole:8.1f}",
        f"  frame pairs/s, background cached           {1 / per_frame:8.1f}",
        f"  set-up of a run and its first frame        {one:8.2f} s",
        f"  tube renderer, ms per tree                 {1e3 * fast:8.2f}",
        f"  ratio to a renderer point by point         {slow / fast:8.1f}",
    )
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
