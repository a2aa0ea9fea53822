"""What planning and drawing by the atlas cost, beside the simulator's renderer, in one run.

The simulator leaves the detector's blur to later; the atlas draws it with the vessel.

python -m tests.bench.bench_atlas [--frames 16]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from casgan_dicom.model.atlas.library import Library, grow_library
from casgan_dicom.model.atlas.plan import RunPlan
from casgan_dicom.model.atlas.planner import make_plan
from casgan_dicom.model.atlas.render import optical_depths
from casgan_dicom.model.simulator.render import make_tubes, path_length
from tests.model.atlas.readings import FRAMES, SAMPLED, oracle_cues, patient, told


def milliseconds(work: Callable[[], object], repeats: int = 7) -> float:
    """Least CPU time of several calls: what a core needs, whatever else runs on it."""
    durations = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        durations.append(time.process_time() - start)
    return 1e3 * min(durations)


def drawing(plan: RunPlan, library: Library, size: int, count: int) -> tuple[str, str]:
    """A frame of the plan at one size, beside the simulator's renderer."""
    tree, view = library.trees[plan.facts.tree], replace(plan.view, size=size)
    points = plan.heart.to_patient(tree.points)
    parts = [tree.segment == k for k in range(int(tree.segment.max()) + 1)]
    tubes = make_tubes([(points[p], tree.radius[p], np.zeros(int(p.sum()))) for p in parts], view)
    slow = milliseconds(lambda: path_length(tubes, tubes.points, view))
    fast = milliseconds(lambda: optical_depths(plan, library, range(count), (size, size))) / count
    return (
        f"  {size} x {size}, ms a frame                 {fast:8.2f}",
        f"  ratio to the simulator's sharp discs      {slow / fast:8.1f}",
    )


def planning(seed: int, library: Library) -> tuple[RunPlan, str]:
    """The plan of a simulated run, and what it costs."""
    of = patient(seed)
    cues, context = oracle_cues(of), told(of)
    spent = milliseconds(lambda: make_plan(cues, SAMPLED, FRAMES, context, library), 3)
    plan = make_plan(cues, SAMPLED, FRAMES, context, library)
    return plan, f"{plan.facts.artery}: plan of a run of {FRAMES} frames, ms        {spent:8.1f}"


def main() -> None:
    """Print planning per run, and drawing per frame at two sizes with its gain over the simulator's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=16)
    count = parser.parse_args().frames
    start = time.process_time()
    library = grow_library(1)
    rows = [f"library of {len(library.trees)} trees, grown once, s        {time.process_time() - start:8.2f}"]
    for seed in (900, 901):
        plan, row = planning(seed, library)
        rows += [row, *drawing(plan, library, 256, count), *drawing(plan, library, 512, count)]
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
