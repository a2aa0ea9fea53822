"""What is laid over the target of a simulated pair, by the roadmap and by what it is compared with.

chance              the vessels of another patient's reference
static, fullest     one frame of the reference for the whole run, the best filled one
static, diastole    the same in the middle of diastole
phase               the frame in the phase of the ECG, where it lies
phase + table       the same, moved by the table's positions
roadmap             the same, moved by what the blocks say, too: the whole method, refused frames as well
roadmap, accepted   its frames that were not refused
phase from images   the whole method without an ECG
oracle              true phase and the true vessels' shift: what a rigid shift allows
extraction          the reference's masks in the reference itself
atlas ...           a bundle that draws by a plan, on the same frames
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.model.data.run_pairs import RunPair
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.metrics.overlay import OverlayScores, score_overlay
from casgan_dicom.model.roadmap.extraction import uncovering
from casgan_dicom.model.roadmap.placed import PlacedRun
from casgan_dicom.model.roadmap.roadmap import Roadmap
from casgan_dicom.model.roadmap.run import Engaged, ReferenceRun, Scale, TargetRun
from casgan_dicom.model.simulator.cine import SimulatedCine

Mask = npt.NDArray[np.bool_]
Frames = npt.NDArray[np.float32]
Segment = Callable[[Frames], Frames]
"""Display values (T, H, W) in, vessel probability out."""

DIASTOLE = 0.9
"""Phase of a heart at rest."""
_DRAWN = 0.5


@dataclass(frozen=True, eq=False)
class Paired:
    """A pair, its roadmap, and what became of its target."""

    pair: RunPair
    """The two runs."""
    roadmap: Roadmap
    """Of the first."""
    run: PlacedRun
    """The second one's frames with the ECG."""
    estimated: PlacedRun
    """And without."""


def read_pair(pair: RunPair, segment: Segment, engaged: Engaged | None = None) -> Paired:
    """Make the roadmap of a pair and lay it over the target, refusals only noted.

    `engaged` is asked, with the ECG, whether the catheter lies in the artery of the reference.

    Raises SeriesError where the reference is not usable.
    """
    roadmap = Roadmap.of(reference_run(pair, segment))
    frames = pair.target.display(pair.target.plain)
    run = roadmap.target(target_run(pair)).run(frames, engaged)
    estimated = roadmap.target(target_run(pair, ecg=False)).run(frames)
    return Paired(pair, roadmap, run, estimated)


def reference_run(pair: RunPair, segment: Segment) -> ReferenceRun:
    """What the roadmap is told of the first run."""
    cine = pair.reference
    frames = cine.display(cine.contrast)
    scale: Scale = "log" if cine.detector.stored_relationship == "LOG" else "linear"
    return ReferenceRun(
        frames=frames,
        vessels=segment(np.stack(list(map(uncovering(cine.field_mask), frames)))),
        filled=pair.filled,
        times_s=pair.times_s[0].tolist(),
        r_waves_s=pair.r_waves_s[0].tolist(),
        table_mm=pair.table_mm[0],
        pixel_mm=cine.view.pixel_mm,
        visible=cine.field_mask,
        scale=scale,
    )


def target_run(pair: RunPair, *, ecg: bool = True) -> TargetRun:
    """What it is told of the second run."""
    return TargetRun(
        times_s=pair.times_s[1].tolist(),
        r_waves_s=pair.r_waves_s[1].tolist() if ecg else None,
        table_mm=pair.table_mm[1],
        pixel_mm=pair.target.view.pixel_mm,
        visible=pair.target.field_mask,
    )


def score_target(
    pair: RunPair, roadmap: Roadmap, engaged: Engaged | None
) -> tuple[PlacedRun, list[OverlayScores]]:
    """Lay a roadmap over the second run of a pair, with the ECG, and score every frame, refused or not."""
    run = roadmap.target(target_run(pair)).run(pair.target.display(pair.target.plain), engaged)
    return run, _scores(pair, _moved(roadmap, run))


def score_rows(one: Paired, other: Paired | None) -> dict[str, list[OverlayScores]]:
    """Scores of every row, frame by frame; `other` is the pair that chance takes its vessels from."""
    drawn = _drawn(one)
    if other is not None:
        drawn["chance"] = [_still(other, _fullest(other.roadmap))] * len(one.run)
    rows = {name: _scores(one.pair, masks) for name, masks in drawn.items()}
    accepted = [placed.refused is None for placed in one.run]
    rows["roadmap, accepted"] = [s for s, ok in zip(rows["roadmap"], accepted, strict=True) if ok]
    rows["extraction"] = _extraction(one)
    return rows


def score_atlas(generator: Generator, pair: RunPair) -> list[OverlayScores]:
    """Scores of what a generator that draws by a plan makes of the same frames, told what a header tells."""
    frames, view = pair.target.display(pair.target.plain), pair.target.view
    wanted = list(generator.sampled(len(frames)))
    known = RunContext(
        frames=len(frames),
        angles_deg=(view.primary_deg, view.secondary_deg),
        artery=pair.target.injected,
        times_s=tuple(pair.times_s[1].tolist()),
        r_waves_s=tuple(pair.r_waves_s[1].tolist()),
        source_detector_mm=view.source_detector_mm,
        source_patient_mm=view.source_isocentre_mm,
        pixel_mm=view.pixel_mm,
        key=str(pair.target.seed),
    )
    plan = generator.plan(frames[wanted], wanted, known)
    made = generator(frames, plan=plan, numbers=range(len(frames)) if plan is not None else None)
    return _scores(pair, list(generator.vessels(made.frames) > _DRAWN))


def _drawn(one: Paired) -> dict[str, list[Mask]]:
    """Masks of the rows that lay vessels of the reference over the target."""
    count = len(one.run)
    phases = one.pair.reference.phase
    rest = min(one.roadmap.frames, key=lambda number: _apart(float(phases[number]), DIASTOLE))
    return {
        "static, fullest": [_still(one, _fullest(one.roadmap))] * count,
        "static, diastole": [_still(one, rest)] * count,
        "phase": [_still(one, placed.reference_frame) for placed in one.run],
        "phase + table": [
            one.roadmap.layer(placed.reference_frame).mask_at(placed.table_px) for placed in one.run
        ],
        "roadmap": _moved(one.roadmap, one.run),
        "phase from images": _moved(one.roadmap, one.estimated),
        "oracle": _oracle(one),
    }


def _moved(roadmap: Roadmap, run: PlacedRun) -> list[Mask]:
    """The vessels where the roadmap lays them, or would."""
    return [roadmap.layer(placed.reference_frame).mask_at(placed.way_px) for placed in run]


def _still(one: Paired, number: int) -> Mask:
    return one.roadmap.layer(number).mask_at((0.0, 0.0))


def _fullest(roadmap: Roadmap) -> int:
    return max(roadmap.frames, key=lambda number: int(roadmap.layer(number).vessel.sum()))


def _apart(phase: float, other: float) -> float:
    return abs((phase - other + 0.5) % 1 - 0.5)


def _oracle(one: Paired) -> list[Mask]:
    """The frame of the true phase, moved as the true vessels have: the median over the points of the tree."""
    reference, target = one.pair.reference, one.pair.target
    points = np.concatenate([segment.points[::4] for segment in target.run.tree.segments])
    there, here = reference.projected(points), target.projected(points)
    masks = []
    for k, phase in enumerate(target.phase):
        gaps = [_apart(float(reference.phase[number]), float(phase)) for number in one.roadmap.frames]
        number = one.roadmap.frames[int(np.argmin(gaps))]
        right, down = np.median(here[k] - there[number], axis=0)
        masks.append(one.roadmap.layer(number).mask_at((float(down), float(right))))
    return masks


def _scores(pair: RunPair, masks: Sequence[Mask]) -> list[OverlayScores]:
    cine = pair.target
    truth = zip(masks, cine.vessel_mask, _ignored(cine), strict=True)
    return [score_overlay(drawn & cine.field_mask, true, hidden) for drawn, true, hidden in truth]


def _ignored(cine: SimulatedCine) -> list[Mask]:
    """Where nothing counts: the catheter, and branches of the tree that are too thin to be called seen, which
    a segmentor rightly finds now and then."""
    masks = []
    for catheter, tree, seen in zip(cine.catheter_mask, cine.tree_mask, cine.vessel_mask, strict=True):
        thin = ndimage.binary_dilation(tree & ~ndimage.binary_dilation(seen), iterations=2)
        masks.append(ndimage.binary_dilation(catheter) | (thin & ~seen))
    return masks


def _extraction(one: Paired) -> list[OverlayScores]:
    cine = one.pair.reference
    hidden = _ignored(cine)
    return [score_overlay(_still(one, n), cine.vessel_mask[n], hidden[n]) for n in one.roadmap.frames]


def mean_of(scores: Sequence[OverlayScores]) -> OverlayScores | None:
    """Mean over frames; None without any."""
    if not scores:
        return None
    table = np.array([[s.dice, s.recall, s.precision, s.distance_px] for s in scores])
    return OverlayScores(*table.mean(axis=0).tolist())


def mean_rows(rows: Mapping[str, Sequence[OverlayScores]]) -> dict[str, OverlayScores]:
    """Mean of every row that has a frame."""
    means = {name: mean_of(scores) for name, scores in rows.items()}
    return {name: mean for name, mean in means.items() if mean is not None}
