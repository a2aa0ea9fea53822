"""From what the networks read in a run to what is drawn over it.

In doubt nothing is drawn: a plan then says why. What the header, the ECG and the catheter contribute, and
where they contradict the picture, becomes the plan's facts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from casgan_dicom.model.atlas.bearings import Bearings, take_bearings
from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.model.atlas.cues import GRID, Cues
from casgan_dicom.model.atlas.darkness import darkness_by
from casgan_dicom.model.atlas.fit import LOOSE_PX, Evidence, Fitted, choose
from casgan_dicom.model.atlas.landmarks import SYSTEMS
from casgan_dicom.model.atlas.library import Library
from casgan_dicom.model.atlas.phase import SURE_TIP, USUAL_FRAME_TIME_S, Beat, read_beat, sure_of_tip
from casgan_dicom.model.atlas.plan import PlanFacts, RunPlan
from casgan_dicom.model.atlas.posing import Pose, heart_of, warped
from casgan_dicom.model.simulator.geometry import Array

SURE_ARTERY = 0.6
"""Probability below which the picture does not say which artery it is."""
LOST_PX = 24.0
"""Median scale of the landmarks from which a caller's word for the artery does not help either."""
ASTRAY_PX = 16.0
"""Median distance between landmarks and the best tree's from which either they or the heart are wrong: four
times what it is on simulated runs."""
_USUAL_PULSE_MS = 7.0
"""How long X-rays are on for a frame where the header is silent."""
LEAST_INSIDE = 0.3
"""Share of the tree that has to lie in the picture."""


def make_plan(
    cues: Cues, sampled: Sequence[int], frames: int, context: RunContext, library: Library
) -> RunPlan:
    """Decide what is drawn over a run.

    Parameters
    ----------
    cues
        Readings of T frames.
    sampled
        Which frames of the run these are, ascending.
    frames
        Length N of the run.
    context
        What the header and the caller say.
    library
        The trees.

    Raises
    ------
    ValueError
        The number of readings is not that of the sampled frames, or one lies outside the run.
    """
    if not len(sampled) or len(cues.right) != len(sampled) or not 0 <= min(sampled) <= max(sampled) < frames:
        raise ValueError(f"{len(cues.right)} readings of frames {list(sampled)} of a run of {frames} frames")
    bearings = take_bearings(cues, context)
    heart = heart_of(np.median(cues.apex, axis=0), np.median(cues.semi_axes_mm, axis=0))
    pose = Pose(bearings.view, heart)
    numbers = library.numbers(bearings.artery)
    trees = [library.trees[number] for number in numbers]
    ostium = np.mean([tree.landmarks[0] for tree in trees], axis=0)
    times, notes = _times(context, frames)
    way = pose.project(ostium, 1.0) - pose.project(ostium, 0.0)
    beat = read_beat(cues, sampled, times, context.r_waves_s, way)
    fitted = choose(trees, pose, _evidence(cues, sampled, beat, SYSTEMS.index(bearings.artery)), context.key)
    number = numbers[fitted.place]
    facts = _facts(cues, context, bearings, beat, number, (*bearings.notes, *notes))
    refused = _unseen(cues, context, bearings) or _misplaced(pose, library, number, fitted)
    return RunPlan(
        facts,
        refused,
        pose.view,
        heart,
        fitted.warp,
        (float(fitted.centre[0]), float(fitted.centre[1])),
        beat.contraction,
        beat.shift,
        exposure=_exposure(context, times),
        times_s=times,
        ostium=_ostium(pose, library.trees[number].points[0], fitted, beat),
    )


def _ostium(pose: Pose, begin: Array, fitted: Fitted, beat: Beat) -> Array:
    """Where the tree begins in every frame, (N, 2) pixels of GRID."""
    projected = np.stack([pose.project(begin, float(contracted)) for contracted in beat.contraction])
    return warped(projected + beat.shift, fitted.centre, fitted.warp)


def _exposure(context: RunContext, times: Array) -> float:
    """Share of the time between frames during which X-rays are on, at most all of it."""
    if len(times) < 2:
        return 0.0
    pulse_s = (_USUAL_PULSE_MS if context.pulse_ms is None else context.pulse_ms) / 1000
    return min(1.0, pulse_s / float(np.median(np.diff(times))))


def _times(context: RunContext, frames: int) -> tuple[Array, tuple[str, ...]]:
    """Times (N,) of all frames in s, and what was assumed."""
    if len(context.times_s) == frames:
        return np.asarray(context.times_s, dtype=np.float64), ()
    if frames == 1:  # a still needs no clock
        return np.zeros(1), ()
    assumed = f"the header does not time the frames: {1 / USUAL_FRAME_TIME_S:.0f} a second were assumed"
    return np.arange(frames, dtype=np.float64) * USUAL_FRAME_TIME_S, (assumed,)


def _evidence(cues: Cues, sampled: Sequence[int], beat: Beat, artery: int) -> Evidence:
    at, sure = list(sampled), sure_of_tip(cues)
    return Evidence(
        beat.contraction[at],
        beat.shift[at],
        cues.landmarks[:, artery],
        cues.spread[:, artery],
        cues.tip if beat.tips is None else beat.tips,
        np.where(sure >= SURE_TIP, sure, 0.0) if beat.tips is None else np.full(len(at), sure.mean()),
        cues.vessel,
    )


def _unseen(cues: Cues, context: RunContext, bearings: Bearings) -> str:
    """Why the picture does not show enough to draw by; empty where it does."""
    spread = _spread(cues, bearings)
    tip = float(sure_of_tip(cues).mean())
    if tip >= SURE_TIP or spread < LOOSE_PX:
        return ""
    if context.artery is None and bearings.artery_sure < SURE_ARTERY:
        return "the picture shows neither which artery it is, nor a catheter, nor where the heart is"
    if spread >= LOST_PX:
        return "the picture shows neither a catheter nor where the heart is"
    return ""


def _spread(cues: Cues, bearings: Bearings) -> float:
    """Median scale of the landmarks of the artery that is drawn, pixels of GRID."""
    return float(np.median(cues.spread[:, SYSTEMS.index(bearings.artery)]))


def _misplaced(pose: Pose, library: Library, number: int, fitted: Fitted) -> str:
    """Why the chosen tree cannot lie where it would; empty where it can."""
    if fitted.astray_px > ASTRAY_PX:
        return "the artery's landmarks do not lie where the picture shows the heart"
    pixels = warped(pose.project(library.trees[number].points, 0.0), fitted.centre, fitted.warp)
    inside = float(((pixels >= 0) & (pixels < GRID)).all(axis=-1).mean())
    return (
        "" if inside >= LEAST_INSIDE else f"only {100 * inside:.0f} % of the artery would lie in the picture"
    )


def _facts(
    cues: Cues, context: RunContext, bearings: Bearings, beat: Beat, number: int, notes: tuple[str, ...]
) -> PlanFacts:
    sure, darkness = sure_of_tip(cues), darkness_by(cues.shaft_depth)
    view = bearings.view
    seen = cues.angles_deg - np.asarray(bearings.angles_seen_deg)
    per_mm = view.magnification / view.pixel_mm
    return PlanFacts(
        artery=bearings.artery,
        artery_source="picture" if context.artery is None else "given",
        artery_sure=bearings.artery_sure,
        angles_deg=(view.primary_deg, view.secondary_deg),
        angles_source=bearings.angles_source,
        angles_seen_deg=bearings.angles_seen_deg,
        angles_spread_deg=float(np.median(np.linalg.norm(seen, axis=1))),
        landmarks_off_mm=_spread(cues, bearings) / per_mm,
        field_mm=view.field_mm,
        scale_source=bearings.scale_source,
        phase_source=beat.source,
        heart_rate_bpm=beat.rate_bpm,
        tip=_share(cues.tip[0], context.shape) if sure[0] >= SURE_TIP else None,
        tip_sure=float(sure.mean()),
        darkness=1.0 if darkness is None else darkness,
        darkness_source="usual" if darkness is None else "catheter",
        tree=number,
        injection_s=context.injection_s,
        notes=notes,
    )


def _share(pixel: Array, shape: tuple[int, int] | None) -> tuple[float, float]:
    """A place as shares of the columns and rows of the frame, whose longer side is the square's."""
    rows, columns = shape or (1, 1)
    column, row = (pixel + 0.5) / GRID * max(rows, columns) / np.array([columns, rows])
    return float(column), float(row)
