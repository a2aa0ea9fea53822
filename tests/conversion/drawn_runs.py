"""Runs drawn with a few lines, for the contrast check: pictures, and what a segmentor would mark in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

SIZE = 256
LOOKS_PER_SECOND = 7.5
BEAT_LOOKS = 6
"""A heart that beats 75 times a minute."""
TISSUE, TREE_DEPTH, CATHETER_DEPTH, BONE_DEPTH = 0.6, 0.25, 0.12, 0.06


@dataclass(frozen=True)
class DrawnRun:
    """T frames of SIZE x SIZE."""

    frames: Frames
    """Display values."""
    vessels: Frames
    """Probability of vessel."""

    def __getitem__(self, part: slice) -> DrawnRun:
        """Some of the looks."""
        return DrawnRun(self.frames[part], self.vessels[part])

    def __add__(self, later: DrawnRun) -> DrawnRun:
        """This run and another after it."""
        pairs = ((self.frames, later.frames), (self.vessels, later.vessels))
        return DrawnRun(*(np.concatenate(pair) for pair in pairs))


def line(points: list[tuple[float, float]], width: float, shift: tuple[float, float] = (0.0, 0.0)) -> Mask:
    """A polygon's way through (row, column) in pixels."""
    rows, columns = np.mgrid[:SIZE, :SIZE] - np.reshape(shift, (2, 1, 1))
    found = np.zeros((SIZE, SIZE), np.bool_)
    for (r0, c0), (r1, c1) in pairwise(points):
        length = max(1e-6, (r1 - r0) ** 2 + (c1 - c0) ** 2)
        along = np.clip(((rows - r0) * (r1 - r0) + (columns - c0) * (c1 - c0)) / length, 0, 1)
        off = (rows - r0 - along * (r1 - r0)) ** 2 + (columns - c0 - along * (c1 - c0)) ** 2
        found |= off <= (width / 2) ** 2
    return found


def beat(k: int, reach: float = 8.0) -> tuple[float, float]:
    """Where the heart has moved to in look `k`, pixels."""
    return reach * float(np.sin(2 * np.pi * k / BEAT_LOOKS)), 0.0


@lru_cache
def tree(shift: tuple[float, float]) -> Mask:
    """A trunk with four branches: 4 to 5 % of the picture. Like the others: not to be written to."""
    trunk = [(60.0, 90.0), (90.0, 130.0), (150.0, 170.0), (210.0, 180.0)]
    branches = [(90.0, 130.0, 70.0, 220.0), (120.0, 150.0, 180.0, 90.0), (150.0, 170.0, 140.0, 240.0)]
    found = line(trunk, 7, shift) | line([(180.0, 175.0), (230.0, 120.0)], 5, shift)
    for r0, c0, r1, c1 in branches:
        found |= line([(r0, c0), (r1, c1)], 5, shift)
    return found


@lru_cache
def catheter(shift: tuple[float, float], length: float = 1.0) -> Mask:
    """From the upper edge to the ostium: about 1 %; a part of it, seen from the tip."""
    top = 60 - 60 * length
    return line([(top, 60 + top / 2), (60.0, 90.0)], 6, shift)


@lru_cache
def ribs() -> Mask:
    """Four short pieces that stand still: about 1 %."""
    pieces = [(30, 150), (80, 30), (150, 40), (200, 60)]
    found = np.zeros((SIZE, SIZE), np.bool_)
    for r, c in pieces:
        found |= line([(float(r), float(c)), (r - 8.0, c + 30.0)], 5)
    return found


def draw(*layers: tuple[Mask, float, bool]) -> tuple[Frames, Frames]:
    """One look: each layer is where it is, how dark (-ln), and whether the segmentor marks it."""
    logs = np.full((SIZE, SIZE), -np.log(TISSUE))
    vessels = np.full((SIZE, SIZE), 0.05, np.float32)
    for where, depth, marked in layers:
        logs = logs + depth * where
        vessels = np.where(where & marked, np.float32(0.95), vessels)
    return np.exp(-logs).astype(np.float32), vessels.astype(np.float32)


def run_of(looks: list[tuple[Frames, Frames]], seed: int = 3) -> DrawnRun:
    """Looks as a run, with grain of half a level of 8 bits."""
    grain = np.random.default_rng(seed).normal(0, 0.002, (len(looks), SIZE, SIZE))
    frames = np.stack([frame for frame, _ in looks]) + grain
    return DrawnRun(np.clip(frames, 0, 1).astype(np.float32), np.stack([vessels for _, vessels in looks]))


def lead_in(looks: int) -> DrawnRun:
    """Catheter and ribs, both marked: 2 % of the picture, more than half of all real lead-ins show."""
    return run_of(
        [draw((ribs(), BONE_DEPTH, True), (catheter(beat(k, 3)), CATHETER_DEPTH, True)) for k in range(looks)]
    )


def filled(looks: int, depth: float = TREE_DEPTH) -> DrawnRun:
    """The same, and a tree that beats."""
    drawn = []
    for k in range(looks):
        still = (ribs(), BONE_DEPTH, True), (catheter(beat(k, 3)), CATHETER_DEPTH, True)
        drawn.append(draw(*still, (tree(beat(k)), depth, True)))
    return run_of(drawn, seed=4)
