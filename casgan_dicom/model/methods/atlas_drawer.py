"""Drawing by plan: frames of a run are read, a tree is planned over all of it, and its dye absorbs.

    y = x · exp(-T)        T: optical depth of the planned tree in a frame

This file ties together what others do: who reads cues from frames (networks), who makes the plan and who
renders it (arrays) come in as functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Generic, TypeVar

import numpy as np

from casgan_dicom.model.atlas.border import Rim, border_of, cut_at
from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.model.atlas.cues import Cues
from casgan_dicom.model.atlas.plan import RunPlan
from casgan_dicom.model.atlas.sampling import sampled_frames
from casgan_dicom.model.data.normalisation import Levels
from casgan_dicom.model.drawing import Frames, Synthesis, darkened
from casgan_dicom.threads import in_threads

Library = TypeVar("Library")

ReadCues = Callable[[Frames, RunContext], Cues]
"""Networks: cues from display frames, float32 (T, H, W) in [0, 1], and what else is known of their run."""
MakePlan = Callable[[Cues, Sequence[int], int, RunContext, Library], RunPlan]
"""The plan from cues of sampled frames, their numbers, how many frames the run has, what else is known of it,
and the library."""
OpticalDepths = Callable[[RunPlan, Library, Sequence[int], tuple[int, int]], Frames]
"""T of the frames with these numbers, of so many rows and columns: float32 (T, H, W), 0 and more."""

Correct = Callable[[Frames, Frames, Levels], Frames]
"""T as it is drawn, from frames, T of the planned tree in them and the levels of their run; all (T, H, W)."""


@dataclass(frozen=True)
class AtlasDrawer(Generic[Library]):
    """Draws the tree of a plan."""

    read_cues: ReadCues
    """Who reads frames."""
    make_plan: MakePlan[Library]
    """Who decides."""
    optical_depths: OpticalDepths[Library]
    """Who renders."""
    library: Library
    """The trees that are to choose from."""
    name: str
    """What runs the networks, with its precision."""
    device: str
    """Where they run."""
    correct: Correct | None = None
    """Who fits it to the look of the run; None draws the tree as it is planned."""
    batch: int = 8
    """Frames that are rendered at once; a few, since each is held at its full size."""

    def sampled(self, frames: int) -> tuple[int, ...]:
        """Those that tell most, see `sampled_frames`."""
        return sampled_frames(frames)

    def plan(self, frames: Frames, numbers: Sequence[int], context: RunContext) -> RunPlan:
        """Read the frames, and plan what is drawn over the run that they are of."""
        total = max(context.frames, max(numbers) + 1)
        known = replace(context, shape=(frames.shape[1], frames.shape[2]))
        plan = self.make_plan(self.read_cues(frames, known), numbers, total, known, self.library)
        return replace(plan, border=border_of(frames, context.visible))

    def draw(
        self,
        frames: Frames,
        levels: Levels,
        plan: RunPlan | None,
        numbers: Sequence[int],
    ) -> Synthesis:
        """Darken frames by the planned tree; nothing is drawn where the plan says that nothing can be.

        Raises ValueError without a plan.
        """
        if plan is None:
            raise ValueError("the atlas draws by a plan")
        if plan.refused:
            return darkened(frames, np.zeros_like(frames))
        shape = (frames.shape[1], frames.shape[2])
        # Each frame by itself: that is the same, whoever draws it.
        depths = in_threads(lambda k: self.optical_depths(plan, self.library, (k,), shape), numbers)
        depth = np.concatenate(depths)
        if self.correct is not None:
            depth = self.correct(frames, depth, levels)
        return darkened(frames, cut_at(_rim(plan, shape), depth, frames))


@lru_cache(maxsize=2)
def _rim(plan: RunPlan, shape: tuple[int, int]) -> Rim:
    """Found once for all frames of a plan."""
    return Rim.of(plan.border, shape)
