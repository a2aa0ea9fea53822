"""The pixels of a reference: which of its frames are filled, and the roadmap that they give.

Three streamed passes, as over any run: levels, contrast, and the vessels of the filled frames; one more, for
levels without blades, where some of the picture is covered. What is kept is the roadmap, which holds contrast
where there are vessels and a small background of each filled frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import tee
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from casgan_dicom.conversion.ahead import ahead
from casgan_dicom.conversion.options import numbers_text
from casgan_dicom.conversion.passes import batches, look_for_contrast, visible_throughout
from casgan_dicom.conversion.picture_area import PictureArea
from casgan_dicom.conversion.reference_search import Candidate
from casgan_dicom.conversion.run_frames import RunFrames
from casgan_dicom.conversion.task import Progress, Step, Task
from casgan_dicom.errors import SeriesError
from casgan_dicom.model.roadmap.extraction import uncovering
from casgan_dicom.model.roadmap.roadmap import Roadmap
from casgan_dicom.model.roadmap.run import Engaged, ReferenceRun
from casgan_dicom.model.roadmap.table import picture_shift_mm
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.display import Display
from casgan_dicom.pixels.self_check import SelfCheck
from casgan_dicom.source.acquisition import Acquisition, acquisition_of
from casgan_dicom.source.candidates import Verdict, judge_filled
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.run_facts import RunFacts

if TYPE_CHECKING:
    from casgan_dicom.model.data.normalisation import Levels
    from casgan_dicom.model.generator import Generator

Float = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Guide:
    """A reference that has been read."""

    candidate: Candidate
    """The run, and every verdict on it."""
    filled: tuple[bool, ...]
    """Which of its frames show filled vessels."""
    roadmap: Roadmap
    """What they give."""
    engaged: Engaged | None = None
    """Who is asked whether the catheter of a target lies in its artery; None where headers tell."""

    @property
    def filled_text(self) -> str:
        """Numbers of the filled frames, from 1."""
        return numbers_text([k for k, yes in enumerate(self.filled) if yes])


@dataclass(frozen=True, eq=False)
class Looked:
    """A reference of which it is known which frames are filled."""

    task: Task
    """The run."""
    frames: RunFrames
    """Its frames, decoded."""
    levels: Levels
    """Of the whole run."""
    filled: tuple[bool, ...]
    """Which of its frames show filled vessels."""
    verdict: Verdict
    """Whether these are enough."""


def look_at(candidate: Candidate, generator: Generator, spool: BinaryIO, progress: Progress) -> Looked:
    """Find the filled frames of a reference; two passes. Its frames are in `spool`, an empty file, then.

    Raises PixelError if a frame cannot be decoded, or two decoders differ about one.
    """
    cine, area, check = candidate.cine, PictureArea(), SelfCheck(candidate.cine)
    task = Task(cine=cine, display=Display.of(cine), banner=None)
    frames = RunFrames(cine, task.display, spool)
    shown = ahead(frames.decoded(check.passing(iter_frames(cine))))
    levels = generator.measure(area.passing(shown))
    task = replace(task, picture=area.mask())
    found = look_for_contrast(task, frames, generator, levels, progress)
    check.result()
    verdict = judge_filled(candidate.facts, found.opacified, cine.timing.frame_time_ms)
    return Looked(task, frames, levels, found.opacified, verdict)


def read_reference(
    candidate: Candidate,
    target: RunFacts,
    generator: Generator,
    spool: BinaryIO,
    progress: Progress,
    *,
    force: bool,
) -> Guide:
    """Read the vessels of a reference.

    Parameters
    ----------
    candidate
        The run, judged by its headers.
    target
        The run that they are for.
    generator
        Whose segmentor sees the vessels, and who is asked about the catheter; nothing is generated.
    spool
        An empty file for its frames, not needed any more afterwards.
    progress
        Told how far the search for contrast is.
    force
        Use a run that is filled for less than a beat, too, and do not ask where the catheter lies.

    Raises
    ------
    SeriesError
        Its frames are not filled, or not for a beat.
    PixelError
        A frame cannot be decoded.
    """
    looked = look_at(candidate, generator, spool, progress)
    judgement = candidate.judgement.with_verdict(looked.verdict)
    if looked.verdict.answer == "refused" and not (force and looked.verdict.forceable):
        raise SeriesError(f"reference refused: {looked.verdict}")
    known = replace(candidate, judgement=judgement)
    roadmap = Roadmap.of(_run(known, target, looked, generator))
    asked = not force and any(one.criterion == "artery" for one in judgement.unknown)
    return Guide(known, looked.filled, roadmap, generator.engaged if asked else None)


def times_of(cine: Cine, known: Acquisition) -> tuple[float, ...]:
    """Seconds of each frame after the first, by an assumed rate where none is known."""
    return known.times_s or tuple(k * cine.timing.frame_time_ms / 1000 for k in range(cine.frames))


def table_shifts(target: RunFacts, reference: RunFacts) -> tuple[Array | None, Array | None]:
    """How far the table has moved the picture of either run, (down, right) in mm on the detector.

    From an origin that both runs share, (2,) or (frames, 2) each. None for both where a position is unknown
    in one of them, or where the table has moved and no header tells how that looks in this view.
    """
    runs = (target, reference)
    if not all(run.table_mm for run in runs):
        return None, None
    if len({*target.table_mm, *reference.table_mm}) == 1:
        return np.zeros(2), np.zeros(2)
    for run in runs:
        if run.angles_deg and run.source_detector_mm and run.source_patient_mm:
            view, larger = run.angles_deg, run.source_detector_mm / run.source_patient_mm
            ways = [picture_shift_mm(np.asarray(one.table_mm), view, larger) for one in runs]
            moved = [way[0] if len(way) == 1 else way for way in ways]
            return moved[0], moved[1]
    return None, None


def relayed(progress: Progress, target: Cine, cines: int) -> Progress:
    """Tell of the steps over a reference as steps of the run that it is read for."""

    def tell(step: Step) -> None:
        uid = target.instances[0].sop_instance_uid
        progress(replace(step, source_instance_uid=uid, stage="reference", cines=cines))

    return tell


def _run(candidate: Candidate, target: RunFacts, looked: Looked, generator: Generator) -> ReferenceRun:
    """The run as arrays, read while they are asked for: one batch at most is in memory."""
    cine, facts = candidate.cine, candidate.facts
    known = acquisition_of(cine)
    frames, vessels = tee(_seen(looked, generator))
    return ReferenceRun(
        frames=map(itemgetter(0), frames),
        vessels=map(itemgetter(1), vessels),
        filled=looked.filled,
        times_s=times_of(cine, known),
        r_waves_s=known.r_waves_s or None,
        table_mm=table_shifts(target, facts)[1],
        pixel_mm=known.pixel_mm,
        visible=visible_throughout(looked.task),
        scale="log" if facts.intensity == "LOG" else "linear",
    )


def _seen(looked: Looked, generator: Generator) -> Iterator[tuple[Float, Float]]:
    """Each frame and its vessels; what is covered does not count for its levels."""
    visible, levels = visible_throughout(looked.task), looked.levels
    uncovered = uncovering(visible)
    if not visible.all():
        levels = generator.measure(map(uncovered, looked.frames.shown()))
    for batch in batches(looked.frames, range(looked.frames.frames), generator.batch):
        bare = np.stack(list(map(uncovered, batch.shown)))
        yield from zip(batch.shown, generator.vessels(bare, levels, twice=True), strict=True)
