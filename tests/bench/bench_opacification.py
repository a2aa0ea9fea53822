"""How many frames of held-out simulated runs the contrast check tells right, and what it costs.

python -m tests.bench.bench_opacification [--bundle NAME_OR_FOLDER] [--ct FOLDER] [--runs 24] [--without-cost]

Seeds start at 70,000,000, where no training of seed 0 to 13 comes, nor the fit (fit_contrast.py). The truth
is the simulator's iodine, not a segmentor: see tests/model/clips.py; of the 15 frames per second every second
one is kept. Beside the check stands the rule before it, which knew only the share of the picture that is
marked. The cost is that of the check on frames of 512 x 512, beside the generator on the same frames.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.conversion.opacification import ContrastCheck, Opacification
from casgan_dicom.lab.ct import read_ct
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.simulator.background import BackgroundSource
from casgan_dicom.model.simulator.ct import CtBackgrounds
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds
from tests.bench.machine import say
from tests.model.clips import KINDS, Clip, make_clip

FIRST_SEED = 70_000_000
LOOKS_PER_SECOND = 7.5
RULES = ("by change and shape", "by cover (before)")
COST_SIZE, COST_FRAMES, REPEATS = 512, 16, 7

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Told:
    """One run, by one rule."""

    truth: Flags
    """Which frames show contrast."""
    said: Flags
    """Which are marked."""
    others: Mapping[str, Flags]
    """The truth by other limits."""


def main() -> None:
    """Print a row per run, the totals and the cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--ct", type=Path, help="folder of a labelled CT; without it the chests are drawn")
    parser.add_argument("--runs", type=int, default=4 * len(KINDS))
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--without-cost", action="store_true", help="leave out what the check costs")
    args = parser.parse_args()
    generator = Generator.load(args.bundle, engine=args.engine, device=args.device)
    backgrounds = ct_backgrounds(args.ct) if args.ct else ProceduralBackgrounds()
    chests = "ct" if args.ct else "procedural"
    say(f"{generator.info.name}, {generator.engine} on {generator.device}; {chests} chests, {args.size}²\n")
    say("| seed | kind | frames | with contrast | marked | by cover | highest, lowest probability |")
    say("|---|---|---|---|---|---|---|")
    tally: dict[str, dict[str, list[Told]]] = {rule: defaultdict(list) for rule in RULES}
    for k in range(args.runs):
        kind = KINDS[k % len(KINDS)]
        clip = make_clip(args.first_seed + k, kind, backgrounds, size=args.size)
        _judge_and_say(generator, clip, tally)
    _say_totals(tally)
    if not args.without_cost:
        _say_cost(generator)


def check(generator: Generator, frames: npt.NDArray[np.float32]) -> Opacification:
    """Judge frames as one run, in batches."""
    levels, contrast = generator.measure(frames), ContrastCheck(frame_rate=LOOKS_PER_SECOND)
    visible = np.ones(frames.shape[1:], dtype=np.bool_)
    for k in range(0, len(frames), generator.batch):
        part = frames[k : k + generator.batch]
        contrast.add(part, generator.vessels(part, levels), visible)
    return contrast.result()


def judge_by_cover(cover: Sequence[float]) -> Flags:
    """The rule before: a rise by 0.25 % over what lasts, of which no more than 0.7 % is taken off, that
    reaches 0.5 % and a fifth of the highest somewhere."""
    padded = np.pad(np.asarray(cover), 1, mode="edge")
    smooth = np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
    rise = smooth - min(float(np.quantile(smooth, 0.05, method="lower")), 0.007)
    parts, count = ndimage.label(rise >= 0.0025)
    certain = [k for k in range(1, count + 1) if rise[parts == k].max() >= max(0.005, 0.2 * rise.max())]
    return np.isin(parts, certain)


def _judge_and_say(generator: Generator, clip: Clip, tally: dict[str, dict[str, list[Told]]]) -> None:
    found = check(generator, clip.frames)
    said = np.array(found.opacified), judge_by_cover(found.cover)
    for rule, marked in zip(RULES, said, strict=True):
        for name in ("all", clip.kind):
            tally[rule][name].append(Told(clip.truth, marked, clip.other_truths))
    say(
        f"| {clip.seed} | {clip.kind} | {len(clip.truth)} | {clip.truth.sum()} | {said[0].sum()} | "
        f"{said[1].sum()} | {max(found.probability):.2f}, {min(found.probability):.2f} |"
    )


def _say_totals(tally: Mapping[str, Mapping[str, Sequence[Told]]]) -> None:
    say("\n| rule | runs | frames | told right | missed | false | runs without contrast marked |")
    say("|---|---|---|---|---|---|---|")
    for rule, kinds in tally.items():
        for name in sorted(kinds, key=lambda name: name != "all"):
            runs = kinds[name]
            truth, said = (np.concatenate([getattr(run, part) for run in runs]) for part in ("truth", "said"))
            empty = [run for run in runs if not run.truth.any()]
            marked = sum(bool(run.said.any()) for run in empty)
            say(
                f"| {rule}, {name} | {len(runs)} | {len(truth)} | {_percent(truth == said)} | "
                f"{_percent(~said[truth])} of {truth.sum()} | {_percent(said[~truth])} of {(~truth).sum()} | "
                f"{marked} of {len(empty)} |"
            )
        for name in kinds["all"][0].others:
            right = np.concatenate([run.others[name] == run.said for run in kinds["all"]])
            say(f"| {rule}, truth by another limit: {name} | | {len(right)} | {_percent(right)} | | | |")


def _percent(flags: Flags) -> str:
    return f"{100 * flags.mean():.1f} %" if len(flags) else "—"


def _say_cost(generator: Generator) -> None:
    rng = np.random.default_rng(1)
    row, column = np.meshgrid(*[np.linspace(0, 1, COST_SIZE)] * 2, indexing="ij")
    picture = 0.55 + 0.25 * np.sin(6 * row) * np.cos(4 * column)
    frames = np.stack([picture + rng.normal(0, 0.02, picture.shape) for _ in range(COST_FRAMES)])
    shown = np.clip(frames, 0, 1).astype(np.float32)
    levels, visible = generator.measure(shown), np.ones(picture.shape, dtype=np.bool_)
    step = generator.batch
    parts = [shown[k : k + step] for k in range(0, COST_FRAMES, step)]

    def run_check() -> None:
        contrast = ContrastCheck(frame_rate=LOOKS_PER_SECOND)
        for part in parts:
            contrast.add(part, generator.vessels(part, levels), visible)
        contrast.result()

    works: dict[str, Callable[[], object]] = {
        "generator": lambda: [generator(part, levels) for part in parts],
        "segmentor": lambda: [generator.vessels(part, levels) for part in parts],
        "contrast check": run_check,
    }
    seconds = _seconds(works)
    say(f"\ncost at {COST_SIZE}², ms per frame, median of {REPEATS}, batches of {step}")
    for name, spent in seconds.items():
        ratio = spent / seconds["segmentor"]
        say(f"  {name:15s} {1e3 * spent / COST_FRAMES:7.1f}   {ratio:5.2f} of the segmentor")


def _seconds(works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median processor time of each; they take turns, so that a busy machine is busy for all of them.

    The first round compiles and allocates and does not count.
    """
    durations: dict[str, list[float]] = defaultdict(list)
    for _ in range(1 + REPEATS):
        for name, work in works.items():
            started = time.process_time()
            work()
            durations[name].append(time.process_time() - started)
    return {name: statistics.median(spent[1:]) for name, spent in durations.items()}


def ct_backgrounds(folder: Path) -> BackgroundSource:
    """Chests out of a labelled CT."""
    volume = read_ct(folder)
    return CtBackgrounds(volume.hu, volume.labels, volume.voxel_to_patient, volume.structures)


if __name__ == "__main__":
    main()
