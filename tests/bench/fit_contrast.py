"""Fit the weights of casgan_dicom/conversion/contrast_odds.py on simulated runs.

python -m tests.bench.fit_contrast [--bundle casgan-desk] [--ct FOLDER] [--runs 50] [--pieces 8]

Seeds start at 50,000,000. Each run is filmed with and without contrast and spoiled once at random: vessels
fainter, down to 0.3; electrodes, wires and tubing laid over it; in a fifth of the runs a tree that stands
still; all contrast stretched or compressed by 0.5 to 1.5; smoothed, grained, compressed with loss. Out of it
pieces are cut: lead-ins alone, runs with an injection early and late, filled throughout, wash-out, stills.
Prints both sets of weights and how well they tell the pieces apart in a cross-validation by run; what is done
with them by hand, and why, is said in contrast_odds.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize

from casgan_dicom.conversion.contrast_change import RISE, SHAPE, change_of
from casgan_dicom.conversion.contrast_looks import Look, look_at
from casgan_dicom.conversion.contrast_odds import USUAL_MOVING
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.simulator.background import BackgroundSource
from casgan_dicom.model.simulator.cine import CineSettings, simulate_cine
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds
from casgan_dicom.model.training.varied_vessels import in_eight_bits, some_clutter
from tests.bench.bench_opacification import LOOKS_PER_SECOND, ct_backgrounds
from tests.bench.machine import say
from tests.model.clips import DARKENED, TREE_SHARE, share_of_tree

FIRST_SEED, FRAMES, EVERY = 50_000_000, 90, 2
SURELY_EMPTY = 0.03
"""Share of the tree that is darkened by half of `DARKENED`, below which a frame counts as empty."""
LEAST_COVER = 0.008
"""Cover below which a filled state is not to be told from an empty one by its shape."""
FOLDS = 6

Float = npt.NDArray[np.float64]
Logs = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Filmed:
    """One run, every second frame."""

    plain: list[Look]
    """Without contrast."""
    contrast: list[Look]
    """With it."""
    truth: Float
    """1 where it shows, 0 where not, NaN between."""


@dataclass(frozen=True)
class Table:
    """Rows of a fit."""

    rows: Float
    """(N, columns)."""
    truth: Float
    """(N,) of 0 and 1."""
    run: npt.NDArray[np.intp]
    """(N,) which run each is from."""
    weight: Float
    """(N,)."""


def main() -> None:
    """Print both sets of weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="casgan-desk")
    parser.add_argument("--ct", type=Path, help="folder of a labelled CT: every third run is out of it")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--pieces", type=int, default=8)
    args = parser.parse_args()
    generator = Generator.load(args.bundle, device="cpu")
    drawn: BackgroundSource = ProceduralBackgrounds()
    scanned = ct_backgrounds(args.ct) if args.ct else drawn
    rises: list[tuple[Float, Float, int]] = []
    shapes: list[tuple[Float, float, int]] = []
    for run in range(args.runs):
        filmed = film(FIRST_SEED + run, scanned if run % 3 == 2 else drawn, generator)
        rng = np.random.default_rng([FIRST_SEED, run])
        for looks, truth, per_second in pieces(filmed, rng, args.pieces):
            _measure(looks, truth, per_second, (rises, shapes, run))
        say(f"run {run}: {len(rises)} pieces with an empty state, {len(shapes)} judged by shape")
    _report("RISE_WEIGHTS", RISE, _rise_table(rises), np.array([1.0, 1.0, -1.0]))
    table = _shape_table(shapes)
    _report("FILLED_WEIGHTS, -EMPTIER", (*SHAPE, "rose"), table, np.array([1.0, 1.0, 1.0, -1.0]))


def film(seed: int, backgrounds: BackgroundSource, generator: Generator) -> Filmed:
    """Simulate a run, spoil it, and look at it."""
    settings = CineSettings(size=256, frames=FRAMES, lead_in_s=(0.3, 2.5))
    run = simulate_cine(seed, settings, backgrounds, indices=range(0, FRAMES, EVERY))
    shows, faint = share_of_tree(run, DARKENED), share_of_tree(run, DARKENED / 2)
    truth = np.where(shows >= TREE_SHARE, 1.0, np.where(faint < SURELY_EMPTY, 0.0, np.nan))
    logs = [np.log(np.maximum(run.display(part), 0.02)) for part in (run.plain, run.contrast)]
    plain, contrast = spoiled(np.random.default_rng([seed, 1]), logs[0], logs[0] - logs[1])
    levels = generator.measure(contrast)
    seen = np.ones(plain.shape[1:], np.bool_)
    looks = [
        [
            look_at(frame, vessels, seen)
            for frame, vessels in zip(part, generator.vessels(part, levels), strict=True)
        ]
        for part in (plain, contrast)
    ]
    return Filmed(looks[0], looks[1], truth)


def spoiled(rng: np.random.Generator, plain: Logs, vessels: Logs) -> tuple[Logs, Logs]:
    """Display values without and with contrast, from logarithms: of the former, and what vessels take off."""
    size = plain.shape[-1]
    vessels = vessels * np.float32(rng.choice([1.0, rng.uniform(0.3, 1.0)]))
    if rng.random() < 0.6:
        plain = plain - np.minimum(some_clutter(rng, size), np.float32(0.5)) * np.float32(
            rng.uniform(0.3, 1.0)
        )
    if rng.random() < 0.2:
        still = np.roll(vessels[int(rng.integers(len(vessels)))], rng.integers(-40, 40, 2), (0, 1))
        plain = plain - np.float32(rng.uniform(0.15, 0.6)) * still
    stretch, middle = np.float32(rng.uniform(0.5, 1.5)), np.float32(np.median(plain))
    plain = np.minimum(middle + stretch * (plain - middle), np.float32(0))
    blur, grain = float(rng.choice([0.0, 0.5, 0.9])), rng.uniform(0, 0.012) * (rng.random() < 0.3)
    quality = int(rng.integers(50, 95)) if rng.random() < 0.5 else None
    noise = grain * rng.standard_normal(plain.shape).astype(np.float32)
    both = []
    for logs in (plain, plain - stretch * vessels):
        frames = ndimage.gaussian_filter(np.exp(logs), (0, blur, blur)) + noise
        both.append(np.stack([in_eight_bits(frame, quality) for frame in np.clip(frames, 0, 1)]))
    return both[0], both[1]


def pieces(filmed: Filmed, rng: np.random.Generator, count: int) -> Iterator[tuple[list[Look], Float, float]]:
    """Cut `count` runs out of one: looks, truth, looks per second."""
    plain, contrast, truth = filmed.plain, filmed.contrast, filmed.truth
    shown = np.flatnonzero(truth == 1)
    if not len(shown):
        return
    first, end = int(shown[0]), len(truth)
    for kind in rng.integers(0, 4, count):
        before = int(rng.integers(1, 20))
        start = int(rng.integers(0, end - before))
        if kind == 0:  # a lead-in alone
            looks, told = plain[start : start + before], np.zeros(before)
        elif kind == 1:  # an injection, which may wash out
            stop = int(rng.integers(first + 1, end + 1))
            looks = plain[start : start + before] + contrast[first:stop]
            told = np.concatenate([np.zeros(before), truth[first:stop]])
        elif kind == 2:  # filled throughout, a still among them
            begin = int(rng.choice(shown))
            stop = int(rng.integers(begin + 1, shown[-1] + 2))
            looks, told = contrast[begin:stop], truth[begin:stop]
        else:  # wash-out
            begin = int(rng.choice(shown))
            looks, told = contrast[begin:], truth[begin:]
        step = int(rng.choice([1, 1, 1, 2]))
        yield looks[::step], told[::step], LOOKS_PER_SECOND / step


def _measure(
    looks: list[Look],
    truth: Float,
    per_second: float,
    into: tuple[list[tuple[Float, Float, int]], list[tuple[Float, float, int]], int],
) -> None:
    """Add what a piece tells to the rows of the two fits."""
    rises, shapes, run = into
    change = change_of(looks, per_second)
    quiet = truth[list(change.quiet)]
    if np.isnan(quiet).any():
        return
    filled = bool(quiet.mean() > 0.5)
    if not filled and quiet.max() == 0:
        known = ~np.isnan(truth)
        rises.append((change.rise[known], truth[known], run))
    if not filled or np.median([looks[q].cover for q in change.quiet]) >= LEAST_COVER:
        shape = np.nan_to_num(change.shape[list(change.quiet)].mean(axis=0), nan=USUAL_MOVING)
        rose = np.clip(change.rise[:, 0].max(), 0, 2)
        shapes.append((np.append(shape, rose), float(filled), run))


def _rise_table(rises: list[tuple[Float, Float, int]]) -> Table:
    truth = np.concatenate([told for _, told, _ in rises])
    weight = np.concatenate([np.full(len(told), len(told) ** -0.5) for _, told, _ in rises])
    weight[truth == 1] *= weight[truth == 0].sum() / weight[truth == 1].sum()
    run = np.concatenate([np.full(len(told), run) for _, told, run in rises])
    return Table(np.concatenate([rows for rows, _, _ in rises]), truth, run, weight)


def _shape_table(shapes: list[tuple[Float, float, int]]) -> Table:
    rows = np.stack([row for row, _, _ in shapes])
    truth, run = np.array([told for _, told, _ in shapes]), np.array([one for _, _, one in shapes])
    return Table(rows, truth, run, np.ones(len(rows)))


def _report(name: str, columns: tuple[str, ...], table: Table, signs: Float) -> None:
    odds = np.empty(len(table.truth))
    for fold in range(FOLDS):
        held = table.run % FOLDS == fold
        if held.any():
            weights, at = _fit(table, ~held, signs)
            odds[held] = table.rows[held] @ weights - at
    weights, at = _fit(table, np.ones(len(odds), np.bool_), signs)
    said = odds >= 0
    shows = table.truth == 1
    missed, false = np.mean(~said[shows]), np.mean(said[~shows])
    say(f"\n{name} {dict(zip(columns, weights.round(2).tolist(), strict=True))} at {at:.2f}")
    say(f"held out: {missed:.2%} of {shows.sum()} missed, {false:.2%} of {(~shows).sum()} false")


def _fit(table: Table, chosen: npt.NDArray[np.bool_], signs: Float) -> tuple[Float, float]:
    """Logistic weights, none against its sign, and the sum at which both are as likely."""
    rows, truth, weight = table.rows[chosen], table.truth[chosen], table.weight[chosen]
    middle, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    scaled = (rows - middle) / spread * signs

    def loss(parameters: Float) -> float:
        margin = (2 * truth - 1) * (scaled @ parameters[:-1] + parameters[-1])
        return float(
            np.average(np.logaddexp(0, -margin), weights=weight) + 3e-3 * (parameters[:-1] ** 2).sum()
        )

    bounds = [(0, None)] * len(signs) + [(None, None)]
    found = optimize.minimize(loss, np.zeros(len(signs) + 1), bounds=bounds).x
    weights = found[:-1] * signs / spread
    return weights, float(weights @ middle - found[-1])


if __name__ == "__main__":
    main()
