"""A generator that draws by plan, with stand-ins for networks, planner and renderer whose work is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.model.atlas.cues import GRID, LANDMARKS, Cues
from casgan_dicom.model.atlas.plan import PlanFacts, RunPlan
from casgan_dicom.model.data.normalisation import Levels
from casgan_dicom.model.drawing import Frames, Synthesis
from casgan_dicom.model.methods.atlas_drawer import AtlasDrawer
from tests.support.painter import DiscPainter

FACTS = PlanFacts(
    artery="RCA",
    artery_source="picture",
    artery_sure=0.98,
    angles_deg=(-30.0, 20.0),
    angles_source="header",
    angles_seen_deg=(-27.0, 18.5),
    angles_spread_deg=2.5,
    landmarks_off_mm=6.0,
    field_mm=180.0,
    scale_source="header",
    phase_source="R waves",
    heart_rate_bpm=71.5,
    tip=(0.25, 0.5),
    tip_sure=0.9,
    darkness=1.0,
    darkness_source="catheter",
    tree=17,
)
"""What the stand-in plan was made of."""
DEPTH = 0.7
"""Optical depth of the bar that is drawn."""


def cues_of(frames: Frames) -> Cues:
    """Cues of the right shapes that say nothing."""
    t = len(frames)
    return Cues(
        right=np.zeros(t),
        landmarks=np.zeros((t, 2, LANDMARKS, 2)),
        spread=np.ones((t, 2, LANDMARKS)),
        contraction=np.zeros(t),
        isocentre=np.zeros((t, 2)),
        field_mm=np.full(t, 200.0),
        semi_axes_mm=np.ones((t, 3)),
        apex=np.ones((t, 3)),
        angles_deg=np.zeros((t, 2)),
        tip=np.zeros((t, 2)),
        tip_mass=np.zeros(t),
        no_tip=np.ones(t),
        pan=np.zeros((t, 2)),
        vessel=np.zeros((t, GRID, GRID), np.float32),
        shaft_depth=np.full(t, np.nan),
    )


@dataclass
class Planner:
    """Plans a bar that moves down by a row a frame, and keeps what it was told."""

    facts: PlanFacts = FACTS
    refused: str = ""
    seen: list[tuple[int, ...]] = field(default_factory=list)
    """Shapes of the frames that were read."""
    told: list[tuple[tuple[int, ...], int, RunContext]] = field(default_factory=list)
    """Numbers, length of the run and context of each plan."""
    drawn: list[tuple[int, ...]] = field(default_factory=list)
    """Numbers of the frames that were rendered."""

    def read_cues(self, frames: Frames, _context: RunContext) -> Cues:
        """Keep the shape of what is read."""
        self.seen.append(frames.shape)
        return cues_of(frames)

    def make_plan(
        self, cues: Cues, sampled: Sequence[int], frames: int, context: RunContext, library: str
    ) -> RunPlan:
        """Keep what is told."""
        assert library == "library"
        assert len(cues.right) == len(sampled)
        self.told.append((tuple(sampled), frames, context))
        facts = replace(self.facts, artery=context.artery or self.facts.artery)
        return RunPlan(facts, self.refused, contraction=np.zeros(frames), shift=np.zeros((frames, 2)))

    def optical_depths(
        self, plan: RunPlan, library: str, numbers: Sequence[int], shape: tuple[int, int]
    ) -> Frames:
        """A bar in row 8 of the run's first frame, in row 9 of the next, and so on."""
        assert library == "library"
        assert not plan.refused
        self.drawn.append(tuple(numbers))
        depth = np.zeros((len(numbers), *shape), np.float32)
        for i, k in enumerate(numbers):
            depth[i, (8 + k) % shape[0]] = DEPTH
            depth[i, 0] = 1 / 1024  # so faint that nothing may be touched
        return depth

    def drawer(self) -> AtlasDrawer[str]:
        """A drawer of all three."""
        return AtlasDrawer(
            self.read_cues, self.make_plan, self.optical_depths, "library", name="numpy-fp32", device="cpu"
        )


class PlanPainter(DiscPainter):
    """The disc painter, but for what it draws: the plan's bar."""

    def __init__(self, planner: Planner | None = None) -> None:
        super().__init__()
        self.planner = planner or Planner()

    def sampled(self, frames: int) -> tuple[int, ...]:
        """As the atlas."""
        return self.planner.drawer().sampled(frames)

    def plan(self, frames: Frames, numbers: Sequence[int], context: RunContext) -> RunPlan | None:
        """As the atlas."""
        return self.planner.drawer().plan(frames, numbers, context)

    def __call__(
        self,
        frames: Frames,
        levels: Levels | None = None,
        plan: RunPlan | None = None,
        numbers: Sequence[int] | None = None,
    ) -> Synthesis:
        """Draw the bar of the plan."""
        assert levels is not None
        assert numbers is not None
        self.calls.append(len(frames))
        return self.planner.drawer().draw(frames, levels, plan, numbers)
