"""How many frames of held-out simulated runs the contrast check tells right, and what it costs.

python -m tests.bench.bench_opacification [--bundle NAME_OR_FOLDER] [--engine auto] [--ct FOLDER] [--runs 20]

Seeds start at 70,000,000, where no training of seed 0 to 13 comes. The truth is the simulator's iodine, not
a segmentor: see tests/model/clips.py; of the 15 frames per second every second one is kept. The cost is that
of the check on frames of 512 x 512, beside the generator on the same frames in the same process.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from casgan_dicom.conversion.opacification import ContrastCheck, Opacification
from casgan_dicom.lab.ct import read_ct
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.simulator.background import BackgroundSource
from casgan_dicom.model.simulator.ct import CtBackgrounds
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds
from tests.model.clips import KINDS, Clip, make_clip

FIRST_SEED = 70_000_000
OTHER = "all, truth by another limit: "
COST_SIZE, COST_FRAMES, REPEATS = 512, 16, 7


def main() -> None:
    """Print a row per run, the totals and the cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--ct", type=Path, help="folder of a labelled CT; without it the chests are drawn")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--size", type=int, default=256)
    args = parser.parse_args()
    generator = Generator.load(args.bundle, engine=args.engine, device=args.device)
    backgrounds = _ct(args.ct) if args.ct else ProceduralBackgrounds()
    chests = "ct" if args.ct else "procedural"
    _say(f"{generator.info.name}, {generator.engine} on {generator.device}; {chests} chests, {args.size}²\n")
    _say("| seed | kind | frames | with contrast | said with contrast | right % | first, truth | said |")
    _say("|---|---|---|---|---|---|---|---|")
    tally: dict[str, list[npt.NDArray[np.bool_]]] = defaultdict(list)
    for k in range(args.runs):
        kind = KINDS[k % len(KINDS)]
        clip = make_clip(args.first_seed + k, kind, backgrounds, size=args.size)
        _judge_and_say(generator, clip, tally)
    for name in sorted(tally, key=lambda name: name.startswith(OTHER)):
        together = np.concatenate(tally[name])
        _say(f"{name}: {100 * together.mean():.1f} % of {len(together)} frames right")
    _say_cost(generator)


def check(generator: Generator, frames: npt.NDArray[np.float32]) -> Opacification:
    """Judge frames as one run, in batches."""
    levels, contrast = generator.measure(frames), ContrastCheck()
    visible = np.ones(frames.shape[1:], dtype=np.bool_)
    for k in range(0, len(frames), generator.batch):
        contrast.add(generator.vessels(frames[k : k + generator.batch], levels), visible)
    return contrast.result()


def _judge_and_say(generator: Generator, clip: Clip, tally: dict[str, list[npt.NDArray[np.bool_]]]) -> None:
    said = np.array(check(generator, clip.frames).opacified)
    right = said == clip.truth
    tally["all"].append(right)
    tally[f"  {clip.kind}"].append(right)
    for name, truth in clip.other_truths.items():
        tally[OTHER + name].append(said == truth)
    first, told = (str(int(np.argmax(x))) if x.any() else "—" for x in (clip.truth, said))
    _say(
        f"| {clip.seed} | {clip.kind} | {len(said)} | {clip.truth.sum()} | {said.sum()} | "
        f"{100 * right.mean():.0f} | {first} | {told} |"
    )


def _say_cost(generator: Generator) -> None:
    rng = np.random.default_rng(1)
    row, column = np.meshgrid(*[np.linspace(0, 1, COST_SIZE)] * 2, indexing="ij")
    picture = 0.55 + 0.25 * np.sin(6 * row) * np.cos(4 * column)
    frames = np.stack([picture + rng.normal(0, 0.02, picture.shape) for _ in range(COST_FRAMES)])
    shown = np.clip(frames, 0, 1).astype(np.float32)
    levels, visible = generator.measure(shown), np.ones(picture.shape, dtype=np.bool_)
    contrast, step = ContrastCheck(), generator.batch
    parts = [shown[k : k + step] for k in range(0, COST_FRAMES, step)]

    def run_check() -> None:
        for part in parts:
            contrast.add(generator.vessels(part, levels), visible)

    works: dict[str, Callable[[], object]] = {
        "generator": lambda: [generator(part, levels) for part in parts],
        "segmentor": lambda: [generator.vessels(part, levels) for part in parts],
        "contrast check": run_check,
    }
    seconds = _seconds(works)
    _say(f"\ncost at {COST_SIZE}², ms per frame, median of {REPEATS}, batches of {step}")
    for name, spent in seconds.items():
        ratio = spent / seconds["generator"]
        _say(f"  {name:15s} {1e3 * spent / COST_FRAMES:7.1f}   {ratio:5.2f} of the generator")


def _seconds(works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median duration of each; they take turns, so that a busy machine is busy for all of them.

    The first round compiles and allocates and does not count.
    """
    durations: dict[str, list[float]] = defaultdict(list)
    for _ in range(1 + REPEATS):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            durations[name].append(time.perf_counter() - started)
    return {name: statistics.median(spent[1:]) for name, spent in durations.items()}


def _ct(folder: Path) -> BackgroundSource:
    volume = read_ct(folder)
    return CtBackgrounds(volume.hu, volume.labels, volume.voxel_to_patient, volume.structures)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
