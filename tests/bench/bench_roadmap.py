"""Time for one frame of a roadmap's stream, everything included, on one core.

python -m tests.bench.bench_roadmap [--size 512] [--frames 30]

A made-up run: textured background, a tree of lines that moves. The stream reads a frame, finds its phase by
the ECG, compares the background, asks the blocks, draws the layer and composes; extraction and learning are
told apart, since they happen once for each reference.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy import ndimage

from casgan_dicom.model.roadmap.placed import compose
from casgan_dicom.model.roadmap.roadmap import Roadmap
from casgan_dicom.model.roadmap.run import FloatImage, Mask, ReferenceRun, TargetRun

R_WAVES = (0.0, 0.8, 1.6, 2.4)
RATE = 15.0


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--frames", type=int, default=30)
    options = parser.parse_args()
    times = (np.arange(options.frames) / RATE).tolist()
    plain = [_frame(options.size, t) for t in times]
    trees = [_tree(options.size, t) for t in times]
    filled = [x * np.exp(-0.4 * tree.astype(np.float32)) for x, tree in zip(plain, trees, strict=True)]
    vessels = [tree.astype(np.float32) for tree in trees]
    run = ReferenceRun(filled, vessels, [True] * len(times), times, R_WAVES)
    started = time.process_time()
    roadmap = Roadmap.of(run)
    read = time.process_time()
    blocks = roadmap.reference.blocks.informative
    learnt = time.process_time()
    drawn = 0
    for placed, frame in zip(roadmap.target(TargetRun(times, R_WAVES)).stream(plain), plain, strict=True):
        if placed.depth is not None:
            compose(frame, placed.depth, roadmap.scale)
            drawn += 1
    done = time.process_time()
    print(f"extraction of a reference frame   {1000 * (read - started) / len(times):7.1f} ms")  # noqa: T201
    print(f"learning, once ({blocks:2d} blocks tell)   {1000 * (learnt - read):7.1f} ms")  # noqa: T201
    print(f"a frame of the stream ({drawn} drawn)  {1000 * (done - learnt) / len(times):7.1f} ms")  # noqa: T201


def _frame(size: int, at: float) -> FloatImage:
    noise = np.random.default_rng(1).normal(size=(size, size))
    smooth = ndimage.gaussian_filter(noise, size / 60)
    moved = ndimage.shift(smooth / smooth.std(), (_way(size, at), 0), order=1, mode="nearest")
    return np.asarray(np.clip(0.55 + 0.08 * moved, 0, 1), dtype=np.float32)


def _tree(size: int, at: float) -> Mask:
    rows, columns = np.mgrid[:size, :size] * (256 / size)
    lines = [np.abs(rows - 120 - k * 25 - 20 * np.sin(columns / 30) - _way(256, at)) < 3 for k in (-1, 0, 1)]
    return np.asarray(np.any(lines, axis=0) & (columns > 40) & (columns < 220))


def _way(size: int, at: float) -> float:
    return float(size / 60 * np.sin(2 * np.pi * at / 0.8))


if __name__ == "__main__":
    main()
