"""How far what is drawn over a real lead-in lies from the vessels that fill later in the same run.

python -m tests.bench.bench_real_run RUN [--frames 1-13] [--later 33] [--bundle atlas]

A frame of the lead-in is held against the filled one `--later` frames behind it, which is of the same phase
when that is a beat. Vessels of both are what the bundle's segmentor sees in frames of 256 px, in pieces of 40
pixels or more; the run has no other truth. Chance is the drawn tree moved by 30 px in eight directions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from skimage.morphology import remove_small_objects

from casgan_dicom.conversion.options import FrameChoice, InjectionChoice, ViewChoice
from casgan_dicom.conversion.run_context import run_context
from casgan_dicom.conversion.run_sample import RunSample
from casgan_dicom.model.data.square import to_square
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.metrics.centreline import share_near, skeleton
from casgan_dicom.model.metrics.vessels import dice
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.display import Display
from casgan_dicom.source.series import find_series
from tests.bench.machine import say

SIDE, LEAST_PIECE, ASIDE = 256, 40, 30

Mask = npt.NDArray[np.bool_]


def main() -> None:
    """Print what was planned and a row for what was drawn and for chance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--frames", default="1-13")
    parser.add_argument("--later", type=int, default=33)
    parser.add_argument("--bundle", default="atlas")
    args = parser.parse_args()
    generator = Generator.load(args.bundle, device="cpu")
    (cine,) = find_series([args.run]).cines
    display = Display(cine)
    frames = np.stack([display.apply(k, stored) for k, stored in enumerate(iter_frames(cine))])
    levels = generator.measure(frames)
    chosen = FrameChoice(args.frames).pick([False] * len(frames))
    sample = RunSample(generator.sampled(len(frames)))
    for _ in sample.passing(frames):
        pass
    empty = [k not in chosen for k in range(len(frames))]
    context = sample.scaled(run_context(cine, display, "auto", ViewChoice(), InjectionChoice()))
    plan = generator.plan(*sample.without(empty), context)
    say(f"{plan}" if plan is None or plan.refused else f"{plan.facts}")
    drawn = generator(frames[list(chosen)], levels, plan, chosen)
    found = [_vessels(generator, frame, levels) for frame in drawn.frames]
    true = [_vessels(generator, frames[k + args.later], levels) for k in chosen]
    _row("drawn", found, true)
    turns = np.arange(8) * np.pi / 4
    aside = [(round(ASIDE * np.cos(t)), round(ASIDE * np.sin(t))) for t in turns]
    _row("moved", [np.roll(m, way, (0, 1)) for way in aside for m in found], true * len(aside))


def _vessels(generator: Generator, frame: npt.NDArray[np.float32], levels: object) -> Mask:
    seen = to_square(generator.vessels(frame[None], levels), SIDE)[0] > 0.5  # type: ignore[arg-type]
    return np.asarray(remove_small_objects(seen, max_size=LEAST_PIECE), dtype=np.bool_)


def _row(name: str, found: list[Mask], true: list[Mask]) -> None:
    lines = [(skeleton(a), skeleton(b)) for a, b in zip(found, true, strict=True)]
    near = [[share_near(b, a, r) for a, b in lines] for r in (2, 8)]
    precise = [[share_near(a, b, r) for a, b in lines] for r in (2, 8)]
    overlap = [dice(a, b) for a, b in zip(found, true, strict=True)]
    cover = [[100 * float(m.mean()) for m in masks] for masks in (found, true)]
    say(
        f"{name}: Dice {np.mean(overlap):.2f}; recall {np.mean(near[0]):.2f}, at 8 px {np.mean(near[1]):.2f};"
        f" precision {np.mean(precise[0]):.2f}, at 8 px {np.mean(precise[1]):.2f};"
        f" cover {np.mean(cover[0]):.1f} %, true {np.mean(cover[1]):.1f} %; N = {len(lines)}"
    )


if __name__ == "__main__":
    main()
