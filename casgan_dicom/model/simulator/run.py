"""What a seed decides before anything is rendered: view, patient, motion, injection.

Each kind of choice has its own random stream: the patient does not change with the number of frames, and a
frame's noise does not change with the choice of other frames to render.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from casgan_dicom.model.simulator.contrast import Injection
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.motion import Motion
from casgan_dicom.model.simulator.table import Table
from casgan_dicom.model.simulator.tree import CoronaryTree, System, draw_dominance, grow_tree
from casgan_dicom.model.simulator.views import sample_view

_LEFT_SHARE = 0.6
_FILLED = 0.8
_STREAMS = (
    "patient",
    "view",
    "background",
    "tree",
    "motion",
    "injection",
    "detector",
    "cues",
    "noise",
    "catheter",
    "table",
    "perfusion",
)


@dataclass(frozen=True)
class CineSettings:
    """What a run is like, apart from the patient."""

    size: int = 256
    """Rows and columns."""
    frames: int = 32
    """Length of the run in frames."""
    frame_rate: float = 15.0
    """Frames per second."""
    field_mm: float | None = None
    """Side of the detector field in mm; None draws it for each run, and `Run.view` has what was drawn."""
    cue: float = 1.0
    """Strength of what the empty vessels leave in the plain run, times the physical value; 0 leaves none."""
    bits: Literal[8, 10, 12] = 8
    """Bits stored."""
    lead_in_s: tuple[float, float] = (0.2, 0.55)
    """Range of the time before the contrast arrives, in s."""
    injected: System | None = None
    """Which artery is injected; None draws it."""
    view: str | None = None
    """Name of a preset of views.STANDARD_VIEWS that the injected artery has; None draws one."""
    catheter: bool | None = None
    """False takes the catheter out of the picture; None draws whether there is one."""

    def time_s(self, index: int) -> float:
        """Time of a frame after the first, in s."""
        return index / self.frame_rate


@dataclass(frozen=True)
class Run:
    """Everything drawn for a run but the background: cheap, nothing is rendered."""

    settings: CineSettings
    """As asked for."""
    view: View
    """Where source and detector stand."""
    tree: CoronaryTree
    """The injected artery."""
    other: CoronaryTree
    """The artery on the other side, which stays empty."""
    motion: Motion
    """Heart beat and breathing."""
    table: Table
    """Panning."""
    injection: Injection
    """The contrast over time."""

    def view_at(self, time_s: float) -> View:
        """The view at a time after the first frame, in s, for points of a patient who lies as at the start.

        A patient on a shifted table looks as if source and detector were shifted the other way.
        """
        right, down = np.asarray(self.view.shift_mm) + self.table.shift_mm(time_s)
        return replace(self.view, shift_mm=(float(right), float(down)))

    def pan_px(self, time_s: float) -> Array:
        """How far the picture of the patient has moved since the first frame, (column, row) in pixels."""
        return np.asarray(self.table.shift_mm(time_s) / self.view.pixel_mm)

    def filling(self) -> Array:
        """How full the injected tree is: mean concentration over peak along its length, float64 (frames,)."""
        arc = np.concatenate([segment.arc for segment in self.tree.segments])
        times = [self.settings.time_s(i) for i in range(self.settings.frames)]
        return np.array([self.injection.concentration(t, arc).mean() / self.injection.peak for t in times])

    def lead_in_frames(self) -> int:
        """Number of frames at the start of the run before any agent leaves the catheter."""
        times = np.array([self.settings.time_s(i) for i in range(self.settings.frames)])
        return int(np.count_nonzero(times <= self.injection.start_s))

    def well_filled(self, count: int) -> tuple[int, ...]:
        """Choose up to `count` frame indexes, evenly spread over those where the tree is best filled."""
        filling = self.filling()
        good = np.flatnonzero(filling >= _FILLED * filling.max())
        chosen = good[np.linspace(0, len(good) - 1, min(count, len(good))).round().astype(int)]
        return tuple(int(i) for i in chosen)

    def measured(self, filled: int, consecutive: int) -> tuple[int, ...]:
        """Choose the frame indexes that tell what a run is like.

        The first `consecutive` frames, for what happens in time, and up to `filled` well filled ones.
        """
        first = range(min(consecutive, self.settings.frames))
        return tuple(sorted({*first, *self.well_filled(filled)}))


def stream(seed: int, name: str, frame: int = 0) -> np.random.Generator:
    """The random stream of one kind of choice.

    Parameters
    ----------
    seed
        The run's seed, not negative.
    name
        patient, view, background, tree, motion, injection, detector, cues, noise, catheter, table or
        perfusion.
    frame
        The frame, for noise.
    """
    return np.random.default_rng([seed, _STREAMS.index(name), frame])


def draw_view(seed: int, settings: CineSettings) -> tuple[System, View]:
    """Which artery a seed injects and from where it is seen."""
    drawn: System = "LCA" if stream(seed, "patient").random() < _LEFT_SHARE else "RCA"
    injected = settings.injected or drawn
    rng = stream(seed, "view")
    view = sample_view(rng, injected, size=settings.size, field_mm=settings.field_mm, preset=settings.view)
    margin = int(np.ceil(draw_table(seed, view).reach_mm() / view.pixel_mm))
    return injected, replace(view, margin_px=margin)


def draw_table(seed: int, view: View) -> Table:
    """How the table is moved in a seed's run."""
    return Table.sample(stream(seed, "table"), view.field_mm)


def draw_run(seed: int, settings: CineSettings, heart: Heart, view: View | None = None) -> Run:
    """Draw patient and injection of a seed on a heart.

    The trees of both sides belong to the same patient; dominance is drawn once. A `view` that is given is
    that of a background which another seed made; the table is then moved no farther than it was projected.
    """
    injected, own = draw_view(seed, settings)
    view = view or own
    table = draw_table(seed, view)
    if table.reach_mm() > view.margin_px * view.pixel_mm:
        table = Table()
    rng = stream(seed, "tree")
    dominance = draw_dominance(rng)
    left = grow_tree(rng, heart, "LCA", dominance)
    right = grow_tree(rng, heart, "RCA", dominance)
    tree, other = (left, right) if injected == "LCA" else (right, left)
    motion = Motion.sample(stream(seed, "motion"))
    injection = Injection.sample(stream(seed, "injection"), settings.lead_in_s)
    return Run(settings, view, tree, other, motion, table, injection)
