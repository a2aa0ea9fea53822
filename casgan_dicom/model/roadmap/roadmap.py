"""From a filled run to its roadmap, and from there to what is laid over another run.

roadmap = Roadmap.of(reference)
for placed in roadmap.target(target).stream(frames):  # live; .run(frames) for a whole run
    picture = frame if placed.depth is None else compose(frame, placed.depth, roadmap.scale)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casgan_dicom.errors import SeriesError
from casgan_dicom.model.roadmap.contrast_layer import ContrastLayer
from casgan_dicom.model.roadmap.filled_frames import FilledFrame, read_filled, well_filled
from casgan_dicom.model.roadmap.matcher import Matcher
from casgan_dicom.model.roadmap.phase import USUAL_BEAT_S, beats_of, usual_length
from casgan_dicom.model.roadmap.reference import Reference
from casgan_dicom.model.roadmap.run import ReferenceRun, Scale, TargetRun

_LEAST_FRAMES = 4
_LEAST_OF_BEAT = 0.9
"""Share of a beat that the filled frames have to cover."""
_LEAST_STEADY = 0.5
"""Share of the filled frames from the first to the last well filled one that have to be well filled, too."""


@dataclass(frozen=True, eq=False)
class Roadmap:
    """The vessels of one filled run, ready to be laid over others of the same patient and view."""

    reference: Reference
    """What was kept of the run."""

    @classmethod
    def of(cls, run: ReferenceRun) -> Roadmap:
        """Read a filled run; its frames are read once and not kept.

        Raises
        ------
        SeriesError
            No frame is well filled, the well filled ones do not cover a heart beat, or the segmentor finds
            the vessels in too few of the frames between them.
        ValueError
            The lengths or shapes of what belongs together differ.
        """
        frames = read_filled(run)
        _check_beat(frames, run)
        _check_steady(frames, run)
        return cls(Reference.of(run, frames))

    @property
    def frames(self) -> tuple[int, ...]:
        """Numbers of the reference frames whose vessels may be used, from 0."""
        return tuple(frame.number for frame in self.reference.frames)

    @property
    def scale(self) -> Scale:
        """Of the display values, for `compose`."""
        return self.reference.scale

    def layer(self, number: int) -> ContrastLayer:
        """The vessels of a frame of the reference, by its number. Raises KeyError where it was not usable."""
        return self.reference.layer(number)

    def target(self, run: TargetRun) -> Matcher:
        """Prepare to lay these vessels over a run of the same matrix, field and view."""
        return Matcher(self.reference, run)


def _check_beat(frames: tuple[FilledFrame, ...], run: ReferenceRun) -> None:
    """Raise SeriesError where the well filled frames do not cover a beat."""
    beat = USUAL_BEAT_S
    if run.r_waves_s is not None and len(run.r_waves_s) >= 2:
        beat = usual_length(beats_of(run.r_waves_s, frames[-1].time_s))
    step = float(np.median(np.diff(run.times_s))) if len(run.times_s) > 1 else 0.0
    covered = frames[-1].time_s - frames[0].time_s + step
    if len(frames) < _LEAST_FRAMES or covered < _LEAST_OF_BEAT * beat:
        raise SeriesError(
            f"the reference is well filled in {len(frames)} frames over {covered:.2f} s, want a heart beat "
            f"of {beat:.2f} s",
            hint="choose a run that is filled for longer",
        )


def _check_steady(frames: tuple[FilledFrame, ...], run: ReferenceRun) -> None:
    """Raise SeriesError where vessels come and go: then what is found of them is not the tree."""
    between = sum(bool(filled) for filled in run.filled[frames[0].number : frames[-1].number + 1])
    if (well := well_filled(frames)) < _LEAST_STEADY * between:
        raise SeriesError(
            f"the reference's vessels are found in only {well} of its {between} filled frames, want "
            f"{_LEAST_STEADY:.0%}",
            hint="choose a run whose vessels are seen more clearly",
        )
