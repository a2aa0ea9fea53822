"""The rows of a table: who draws what on a run, read by the evaluation's segmentor.

Rows that are not generators say what a score means:

identity         the input itself: what the segmentor finds where nothing was drawn
chance           the tree of the next patient, drawn on this one: a perfect look in a random place
another tree     another tree of the same artery in the same view, where the mean patient's would lie: what
                 artery and angles alone tell
another on the   another tree of the same artery on the patient's own heart, in its true pose and phase: all
own heart        but the patient's own tree
oracle           a small U-Net trained on pairs, its own mask: how much of the position a frame betrays
truth            the simulated contrast twin: the best score this segmentor allows

A generator that draws by a plan is told what a header tells (view, distances, spacing, times) and sees the
frames of the whole run that it asks for. It has two rows more: told nothing of the view, and seeing no
catheter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.model.atlas.plan import RunPlan
from casgan_dicom.model.data.pose_truth import PoseTruth
from casgan_dicom.model.data.simulated import SimulatedRun
from casgan_dicom.model.evaluation.judges import Judges, find_vessels
from casgan_dicom.model.evaluation.subjects import Subject
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.networks.unet import UNet

ANOTHER_TREE, OWN_HEART = "another tree", "another on the own heart"
"""Rows of trees that are not the patient's."""
NO_VIEW, NO_CATHETER = " without angles", " without catheter"
"""How the labels of a planning generator's further rows end."""

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
    plan: RunPlan | None = None
    """What was planned over the run."""


Drawer = Callable[[Sequence[SimulatedRun], int], Drawn]
"""Runs and the index of one of them → what a row shows for it."""


def drawers(subjects: Sequence[Subject], judges: Judges, device: str) -> Iterator[tuple[str, str, Drawer]]:
    """Give every row's name, engine and drawer, in the order of the table; one generator at a time."""
    segmentor = judges.segmentor
    yield "identity", "", lambda runs, i: _read(segmentor, runs[i].plain)
    yield "chance", "", partial(_chance, segmentor)
    yield ANOTHER_TREE, "", lambda runs, i: _read(segmentor, _posed(runs[i]).usual)
    yield OWN_HEART, "", lambda runs, i: _read(segmentor, _posed(runs[i]).another)
    for subject in subjects:
        generator = Generator.load(subject.folder, device=device)
        for label, told in _conditions(subject.label, generator):
            yield label, engine_of(generator), partial(_translated, generator, segmentor, told)
    yield "oracle", "", lambda runs, i: Drawn(runs[i].plain, find_vessels(judges.oracle, runs[i].plain))
    yield "truth", "", lambda runs, i: _read(segmentor, runs[i].contrast)


@dataclass(frozen=True)
class _Told:
    """What a generator is given of a run."""

    view: bool = True
    """The angles of its header."""
    catheter: bool = True
    """Frames with the catheter in them."""


def _conditions(label: str, generator: Generator) -> list[tuple[str, _Told]]:
    """The rows of one generator."""
    rows = [(label, _Told())]
    if generator.sampled(1):
        rows += [(f"{label}{NO_VIEW}", _Told(view=False)), (f"{label}{NO_CATHETER}", _Told(catheter=False))]
    return rows


def engine_of(generator: Generator) -> str:
    """Say what runs a generator, for example "openvino-f32 on cpu"."""
    return f"{generator.engine} on {generator.device}"


def _chance(segmentor: UNet, runs: Sequence[SimulatedRun], i: int) -> Drawn:
    run, other = runs[i], runs[(i + 1) % len(runs)]
    count = min(len(run.plain), len(other.plain))
    elsewhere = run.plain.copy()
    elsewhere[:count] += other.contrast[:count] - other.plain[:count]
    return _read(segmentor, np.clip(elsewhere, 0, 1))


def _translated(
    generator: Generator, segmentor: UNet, told: _Told, runs: Sequence[SimulatedRun], i: int
) -> Drawn:
    pose = _posed(runs[i])
    frames = runs[i].plain if told.catheter else pose.bare
    plan = _planned(generator, told, pose, str(i))
    made = generator(frames, plan=plan, numbers=pose.numbers if plan is not None else None)
    return replace(_read(segmentor, made.frames, made.attention), plan=plan)


def _planned(generator: Generator, told: _Told, pose: PoseTruth, key: str) -> RunPlan | None:
    """What a generator plans over the run of `pose`, from those frames of the whole run that it samples."""
    wanted = set(generator.sampled(len(pose.times_s)))
    places = [k for k, number in enumerate(pose.sampled) if number in wanted]
    if not places:
        return None
    seen = pose.looked_at if told.catheter else pose.looked_at_bare
    known = RunContext(
        frames=len(pose.times_s),
        angles_deg=pose.angles_deg if told.view else None,
        source_patient_mm=pose.distances_mm[0],
        source_detector_mm=pose.distances_mm[1],
        pixel_mm=pose.pixel_mm,
        times_s=pose.times_s,
        key=key,
    )
    return generator.plan(seen[places], [pose.sampled[k] for k in places], known)


def _posed(run: SimulatedRun) -> PoseTruth:
    """What a run is measured against; raises ValueError where it was rendered without."""
    if run.pose is None:
        raise ValueError("a run without its pose, want simulated_runs(…, posed=True)")
    return run.pose


def _read(segmentor: UNet, frames: Frames, attention: Frames | None = None) -> Drawn:
    return Drawn(frames, find_vessels(segmentor, frames), attention)
