"""The rows of a table: who draws what on a run, read by the evaluation's segmentor.

Rows that are not generators say what a score means:

identity   the input itself: what the segmentor finds where nothing was drawn
chance     the tree of the next patient, drawn on this one: a perfect look in a random place
oracle     a small U-Net trained on pairs, its own mask: how much of the position a frame betrays
truth      the simulated contrast twin: the best score this segmentor allows
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.data.simulated import SimulatedRun
from casgan_dicom.model.evaluation.judges import Judges, find_vessels
from casgan_dicom.model.evaluation.subjects import Subject
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.networks.unet import UNet

Frames = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Drawn:
    """What one row shows for one run, (T, H, W)."""

    frames: Frames
    """Display values in [0, 1]."""
    vessels: Masks
    """Vessels found in them."""
    attention: Frames | None = None
    """Where a generator drew, in [0, 1]."""


Drawer = Callable[[Sequence[SimulatedRun], int], Drawn]
"""Runs and the index of one of them → what a row shows for it."""


def drawers(subjects: Sequence[Subject], judges: Judges, device: str) -> Iterator[tuple[str, str, Drawer]]:
    """Give every row's name, engine and drawer, in the order of the table; one generator at a time."""
    segmentor = judges.segmentor
    yield "identity", "", lambda runs, i: _read(segmentor, runs[i].plain)
    yield "chance", "", partial(_chance, segmentor)
    for subject in subjects:
        generator = Generator.load(subject.folder, device=device)
        yield subject.label, engine_of(generator), partial(_translated, generator, segmentor)
    yield "oracle", "", lambda runs, i: Drawn(runs[i].plain, find_vessels(judges.oracle, runs[i].plain))
    yield "truth", "", lambda runs, i: _read(segmentor, runs[i].contrast)


def engine_of(generator: Generator) -> str:
    """Say what runs a generator, for example "openvino-f32 on cpu"."""
    return f"{generator.engine} on {generator.device}"


def _chance(segmentor: UNet, runs: Sequence[SimulatedRun], i: int) -> Drawn:
    run, other = runs[i], runs[(i + 1) % len(runs)]
    count = min(len(run.plain), len(other.plain))
    elsewhere = run.plain.copy()
    elsewhere[:count] += other.contrast[:count] - other.plain[:count]
    return _read(segmentor, np.clip(elsewhere, 0, 1))


def _translated(generator: Generator, segmentor: UNet, runs: Sequence[SimulatedRun], i: int) -> Drawn:
    made = generator(runs[i].plain)
    return _read(segmentor, made.frames, made.attention)


def _read(segmentor: UNet, frames: Frames, attention: Frames | None = None) -> Drawn:
    return Drawn(frames, find_vessels(segmentor, frames), attention)
