"""The vessels of a reference laid over the frames of a run, and what is said of each frame.

One pass over the chosen frames finds for each the frame of the reference in its phase of the heart and how
far its vessels have moved (`lay_over`); the last pass of ``synthesize.py`` then draws them, as it lets a
generator draw. A frame that is refused keeps its picture bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from casgan_dicom.conversion.options import numbers_text
from casgan_dicom.conversion.passes import Batch, telling, visible_throughout
from casgan_dicom.conversion.reference_reading import Guide, table_shifts, times_of
from casgan_dicom.conversion.run_frames import RunFrames
from casgan_dicom.conversion.task import Progress, Task
from casgan_dicom.derived.roadmap_record import RoadmapFrame, RoadmapRecord
from casgan_dicom.errors import SeriesError
from casgan_dicom.model.roadmap.placed import FRAME_REASONS, RUN_REASONS, Placed, PlacedRun, compose
from casgan_dicom.model.roadmap.run import Scale, TargetRun
from casgan_dicom.source.acquisition import acquisition_of
from casgan_dicom.source.candidates import Verdict
from casgan_dicom.source.run_facts import facts_of

if TYPE_CHECKING:
    from casgan_dicom.model.drawing import Synthesis
    from casgan_dicom.model.generator import Generator

Float = npt.NDArray[np.float32]

_NO_ROADMAP = "--bundle without --reference draws a tree that is not the patient's"
_OTHER_ARTERY = "--force lays the vessels of a reference that is named over it all the same"


@dataclass(frozen=True, eq=False)
class LaidOver:
    """What is laid over the frames of a run: draws them in the place of a generator."""

    placed: dict[int, Placed]
    """For each frame of the output, by its place in the run from 0."""
    scale: Scale
    """Of the display values of both runs."""
    record: RoadmapRecord
    """The same in words and numbers."""

    @property
    def chosen(self) -> tuple[int, ...]:
        """Frames of the output, by their places in the run, from 0 and rising."""
        return tuple(self.placed)

    def __call__(self, generator: Generator, batch: Batch) -> Synthesis:  # noqa: ARG002 - is not asked
        """Draw into some of the frames."""
        from casgan_dicom.model.drawing import VESSEL_FROM, Synthesis  # noqa: PLC0415 - `-h` must not wait for torch

        drawn = np.stack([self._drawn(k, frame) for k, frame in zip(batch.numbers, batch.shown, strict=True)])
        light = np.divide(drawn, batch.shown, out=np.ones_like(drawn), where=batch.shown > 0)
        taken = np.where(drawn == batch.shown, np.float32(0), np.clip(1 - light, 0, 1))
        beyond = np.zeros(len(drawn), dtype=np.float32)
        return Synthesis(drawn, taken.astype(np.float32), beyond, taken >= VESSEL_FROM)

    def _drawn(self, k: int, frame: Float) -> Float:
        depth = self.placed[k].depth
        return frame if depth is None else compose(frame, depth, self.scale)


def lay_over(
    task: Task, frames: RunFrames, guide: Guide, chosen: Sequence[int], progress: Progress
) -> LaidOver:
    """Match the chosen frames of a run with a reference.

    Parameters
    ----------
    task
        The run and how it is to be treated.
    frames
        Its frames, decoded.
    guide
        The reference.
    chosen
        Frames of the run, from 0 and rising.
    progress
        Told of every frame.

    Raises
    ------
    SeriesError
        The run as a whole is refused, or no frame is left; its reasons are in the message.
    """
    matcher = guide.roadmap.target(_target(task, guide, chosen))
    run = matcher.run(_chosen(task, frames, chosen, progress), guide.engaged)
    if run.verdict.refused:
        raise SeriesError(
            _refused(run), hint=_OTHER_ARTERY if "artery" in run.verdict.reasons else _NO_ROADMAP
        )
    kept = {k: one for k, one in zip(chosen, run, strict=True) if not (task.omits_refused and one.refused)}
    if not kept:
        raise SeriesError(f"no frame is left: {_counts(run)}")
    return LaidOver(kept, guide.roadmap.scale, _record(guide, run, kept.values()))


def _target(task: Task, guide: Guide, chosen: Sequence[int]) -> TargetRun:
    """What the headers of the run tell of the chosen frames."""
    cine, known = task.cine, acquisition_of(task.cine)
    times = times_of(cine, known)
    table = table_shifts(facts_of(cine), guide.candidate.facts)[0]
    return TargetRun(
        times_s=[times[k] for k in chosen],
        r_waves_s=known.r_waves_s or None,
        table_mm=table if table is None or table.ndim == 1 else table[list(chosen)],
        pixel_mm=known.pixel_mm,
        visible=visible_throughout(task),
    )


def _chosen(task: Task, frames: RunFrames, chosen: Sequence[int], progress: Progress) -> Iterator[Float]:
    """The chosen frames, one after the other."""
    tell = telling(task, "match", len(chosen), progress)
    for frame in frames.shown(chosen):
        yield frame
        tell(1)


def _refused(run: PlacedRun) -> str:
    why = "; ".join(RUN_REASONS[reason] for reason in run.verdict.reasons)
    if run.verdict.reasons == ("artery",):
        return f"no roadmap: {why}; no header tells the artery"
    return f"no roadmap: {why}; {_counts(run)}"


def _counts(run: PlacedRun) -> str:
    """How many frames are refused, and why."""
    counts = ", ".join(f"{count}: {FRAME_REASONS[why]}" for why, count in run.verdict.refusals.items())
    return f"{run.verdict.frames - run.verdict.accepted} of {run.verdict.frames} frames refused ({counts})"


def _record(guide: Guide, run: PlacedRun, kept: Iterable[Placed]) -> RoadmapRecord:
    """What report and header say."""
    candidate, started = guide.candidate, guide.candidate.facts.started
    known = guide.roadmap.reference.table_px is not None
    reasons = Counter(FRAME_REASONS[one.refused] for one in run if one.refused)
    frames = tuple(_said(one, table_known=known) for one in kept)
    return RoadmapRecord(
        series_uid=candidate.facts.series_uid,
        instances=candidate.facts.instances,
        clock="" if started is None else started.clock,
        filled=guide.filled_text,
        used=numbers_text(guide.roadmap.frames),
        phase_by=run.placed[0].phase_by,
        frames=frames,
        left_out=len(run) - len(frames),
        refusals=dict(reasons),
        verdicts=tuple((one.criterion, one.answer, one.text) for one in _verdicts(guide, run)),
    )


def _verdicts(guide: Guide, run: PlacedRun) -> tuple[Verdict, ...]:
    """On the reference; that on its artery by the pictures where these had to tell."""
    judgement = guide.candidate.judgement
    if run.verdict.engaged is not None:
        seen = Verdict("artery", "fits", "the catheter is seen in that of the reference; no header tells")
        judgement = judgement.with_verdict(seen)
    return judgement.verdicts


def _said(placed: Placed, *, table_known: bool) -> RoadmapFrame:
    """One frame as plain values."""
    sure = placed.confidence
    return RoadmapFrame(
        reference_frame=placed.reference_frame + 1,
        phase_by=placed.phase_by,
        table_px=float(np.hypot(*placed.table_px)) if table_known else None,
        moved_px=float(np.hypot(*placed.shift_px)),
        table_mm=placed.table_moved_mm,
        moved_mm=placed.moved_mm,
        background=sure.background,
        spread_px=sure.spread_px,
        displaced_px=sure.displaced_px,
        phase_gap_s=sure.phase_gap_s,
        refused=placed.refused or "",
        reason=FRAME_REASONS[placed.refused] if placed.refused else "",
    )
