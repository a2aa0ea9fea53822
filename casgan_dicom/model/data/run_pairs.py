"""Two simulated runs of one patient: a filled one, and a later one of the same view without contrast.

Between them the heart rate, the start within beat and breath, the table and the catheter change. A
`PairChange` says what else does: the failures that a roadmap has to notice are made here. The patient's
background is made once and serves both runs, unless the view turns or another patient lies there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from casgan_dicom.model.simulator.aorta import Aorta
from casgan_dicom.model.simulator.background import Background, BackgroundSource
from casgan_dicom.model.simulator.catheter import Catheter
from casgan_dicom.model.simulator.cine import SimulatedCine, film_in
from casgan_dicom.model.simulator.contrast import Injection
from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.motion import Motion
from casgan_dicom.model.simulator.noise import NoiseFields
from casgan_dicom.model.simulator.run import CineSettings, Run, draw_run, draw_view, stream
from casgan_dicom.model.simulator.studio import Studio
from casgan_dicom.model.simulator.table import Pan, Table
from casgan_dicom.model.simulator.tree import CoronaryTree

Chosen = Sequence[int] | Callable[[Run], Sequence[int]] | None
"""Which frames of a run, or how to choose them once it is drawn; None for all."""

_TABLE_SD_MM = 4.0
_FARTHEST_MM = 12.0
"""The table is moved no farther between the runs, detector mm along each side."""
_ROOM_MM = 32.0
"""Width of the anatomy beside the picture, for the table between the runs and a pan in the second."""
_LATER_SEED = 7 * 10**11
"""Added to a seed for the grain and the catheter of the second run."""
_CHANGE_STREAM = 40_017
_FILLED = 0.1
"""Share of the run's best filling from which a frame counts as filled."""
_FINE_S = 0.002


@dataclass(frozen=True)
class PairChange:
    """What changes between the runs beyond heart rate, breath, table and catheter."""

    pan_mm: float = 0.0
    """How far the table is panned during the second run, in no header; detector mm."""
    breath_mm: float | None = None
    """Way of the diaphragm in the second run; None draws it: six of ten patients hold their breath."""
    turned_deg: float = 0.0
    """How far the C-arm is turned, about the patient's long axis."""
    other_artery: bool = False
    """The second run has its catheter in the other artery."""
    other_patient: bool = False
    """The second run is of somebody else, in the same view."""
    irregular: bool = False
    """The heart fibrillates in both runs."""
    treated: bool = False
    """A long narrowing of the reference is gone in the second run."""
    washed_out: bool = False
    """The injection of the reference is short, and much of its run is wash-out."""
    frame_rate: float = 15.0
    """Of both runs, frames per second."""


@dataclass(frozen=True)
class RunPair:
    """A filled run and a later one without contrast."""

    reference: SimulatedCine
    """Its `contrast` is the reference."""
    target: SimulatedCine
    """Its `plain` is the target, its `contrast` and masks are the truth."""
    filled: tuple[bool, ...]
    """Which frames of the reference hold contrast."""
    change: PairChange
    """What was asked for."""
    background: Background
    """The patient of the first run."""

    @property
    def table_mm(self) -> tuple[Array, Array]:
        """The table's place in both headers, (down, right) in detector mm."""
        return np.zeros(2), _told_offset(self.target.run.table)[::-1]

    @property
    def times_s(self) -> tuple[Array, Array]:
        """When the frames of both runs were taken, each from its own beginning."""
        reference, target = (
            np.array([cine.settings.time_s(i) for i in cine.indices])
            for cine in (self.reference, self.target)
        )
        return reference, target

    @property
    def r_waves_s(self) -> tuple[Array, Array]:
        """R waves of both runs, from before the first frame to the last."""
        reference, target = (
            r_waves(cine.run.motion, float(times[-1]))
            for cine, times in zip((self.reference, self.target), self.times_s, strict=True)
        )
        return reference, target


@dataclass(frozen=True)
class _MovedTable(Table):
    """A table that stands elsewhere than in the run before."""

    offset_mm: tuple[float, float] = (0.0, 0.0)
    """Beside where it stood, (right, down) in detector mm."""

    def shift_mm(self, time_s: float) -> Array:
        """Way of the patient's picture, (right, down), detector mm."""
        return np.asarray(super().shift_mm(time_s) + np.asarray(self.offset_mm))


def r_waves(motion: Motion, until_s: float) -> Array:
    """Times of the R waves from -1.5 s to a time, float64 (B,): where the phase falls back to 0."""
    times = np.arange(-1.5, until_s, _FINE_S)
    phase = motion.phase(times)
    return np.asarray(times[1:][np.diff(phase) < -0.5])


def film_pair(
    seed: int,
    settings: CineSettings,
    backgrounds: BackgroundSource,
    change: PairChange = PairChange(),
    *,
    indices: tuple[Chosen, Sequence[int] | None] = (None, None),
) -> RunPair:
    """Simulate both runs.

    Parameters
    ----------
    seed
        Decides everything but the change.
    settings
        Of both runs; `change.frame_rate` goes over its own.
    backgrounds
        Makes the patients.
    change
        What is different in the second run.
    indices
        Frames of the first and of the second run to render; None for all. Those of the first may be a
        function of the run.
    """
    settings = replace(settings, frame_rate=change.frame_rate)
    first, background = draw_reference(seed, settings, backgrounds, change)
    wanted = indices[0](first) if callable(indices[0]) else indices[0]
    chosen = range(settings.frames) if wanted is None else wanted
    reference = film_in(seed, Studio.build(seed, first, background), chosen)
    filling = first.filling()
    filled = tuple(bool(filling[i] >= _FILLED * filling.max()) for i in reference.indices)
    target = _film_target(seed, first, (background, backgrounds), change, indices[1])
    return RunPair(reference, target, filled, change, background)


def another_target(
    pair: RunPair, backgrounds: BackgroundSource, change: PairChange, indices: Sequence[int] | None = None
) -> RunPair:
    """The same first run with another second one; `change` holds nothing that changes the first.

    Raises ValueError where it does: frame rate, rhythm, injection and the narrowing are the first run's too.
    """
    base = PairChange()
    for name in ("irregular", "treated", "washed_out", "frame_rate"):
        if getattr(change, name) != getattr(base, name):
            raise ValueError(f"{name} changes the first run of a pair as well, film both anew")
    target = _film_target(
        pair.reference.seed, pair.reference.run, (pair.background, backgrounds), change, indices
    )
    return replace(pair, target=target, change=change)


def usable_frames(run: Run, lead_in: int, filled: int) -> tuple[int, ...]:
    """Choose frames of a first run: some before the injection, and `filled` of them from when it is full."""
    filling, start = run.filling(), run.lead_in_frames()
    full = np.flatnonzero(filling >= 0.6 * filling.max())[:filled]
    return (*range(max(0, start - lead_in), start), *(int(i) for i in full))


def draw_reference(
    seed: int, settings: CineSettings, backgrounds: BackgroundSource, change: PairChange
) -> tuple[Run, Background]:
    """Draw the filled run, its table still, and the patient around it with room for another table."""
    _, view = draw_view(seed, settings)
    room = int(np.ceil(_ROOM_MM / view.pixel_mm)) + 1
    view = replace(view, margin_px=max(view.margin_px, room))
    background = backgrounds.background(stream(seed, "background"), view)
    run = replace(draw_run(seed, settings, background.heart, view), table=Table())
    injection = replace(run.injection, duration_s=max(run.injection.duration_s, 3.0))
    if change.washed_out:
        injection = replace(run.injection, duration_s=1.2, washout_s=1.0)
    motion = replace(run.motion, coughs_s=())
    if change.irregular:
        beats = np.random.default_rng([seed, _CHANGE_STREAM, 1]).uniform(0.6, 1.5, 24)
        motion = replace(motion, beats=tuple(beats.tolist()))
    tree = _narrowed(run.tree) if change.treated else run.tree
    return replace(run, injection=injection, motion=motion, tree=tree), background


def draw_target(
    seed: int, first: Run, patients: tuple[Background, BackgroundSource], change: PairChange
) -> tuple[Run, Background]:
    """Draw the run without contrast, whose truth is a tree that is full throughout."""
    background, backgrounds = patients
    rng = np.random.default_rng([seed, _CHANGE_STREAM])
    motion = replace(
        first.motion,
        heart_rate_bpm=first.motion.heart_rate_bpm * float(rng.uniform(0.85, 1.15)),
        phase_start=float(rng.random()),
        breath_start=float(rng.random()),
        coughs_s=(),
    )
    if change.breath_mm is not None:
        motion = replace(motion, breath_amplitude_mm=change.breath_mm)
    right, down = np.clip(rng.normal(0.0, _TABLE_SD_MM, 2), -_FARTHEST_MM, _FARTHEST_MM).tolist()
    table = _MovedTable(_panned(change.pan_mm, rng), (right, down))
    view, tree, other = first.view, first.tree, first.other
    if change.treated:
        tree = draw_run(seed, first.settings, background.heart, view).tree
    if change.turned_deg:
        view = replace(view, primary_deg=view.primary_deg + change.turned_deg)
        background = backgrounds.background(stream(seed, "background"), view)
    if change.other_patient:
        somebody = replace(first.settings, injected=tree.system)
        background = backgrounds.background(stream(seed + _LATER_SEED, "background"), view)
        tree = draw_run(seed + _LATER_SEED, somebody, background.heart, view).tree
    if change.other_artery:
        tree, other = other, tree
    injection = Injection(start_s=-20.0, duration_s=1000.0, peak=first.injection.peak)
    return Run(first.settings, view, tree, other, motion, table, injection), background


def _film_target(
    seed: int,
    first: Run,
    patients: tuple[Background, BackgroundSource],
    change: PairChange,
    indices: Sequence[int] | None,
) -> SimulatedCine:
    run, behind = draw_target(seed, first, patients, change)
    chosen = range(first.settings.frames) if indices is None else indices
    return film_in(seed, _later(seed, run, behind), chosen)


def _panned(way_mm: float, rng: np.random.Generator) -> tuple[Pan, ...]:
    if not way_mm:
        return ()
    angle = rng.uniform(0.0, 2 * np.pi)
    return (Pan(0.2, 0.8, (float(way_mm * np.cos(angle)), float(way_mm * np.sin(angle)))),)


def _told_offset(table: Table) -> Array:
    """(right, down) of what a header says."""
    return np.asarray(table.offset_mm if isinstance(table, _MovedTable) else (0.0, 0.0), dtype=np.float64)


def _narrowed(tree: CoronaryTree) -> CoronaryTree:
    """The tree with the middle third of its longest segment at four tenths of its calibre."""
    at = int(np.argmax([segment.length_mm for segment in tree.segments]))
    segment = tree.segments[at]
    along = np.linspace(0.0, 1.0, len(segment.radius))
    radius = np.where(np.abs(along - 0.5) < 1 / 6, 0.4, 1.0) * segment.radius
    segments = list(tree.segments)
    segments[at] = replace(segment, radius=radius)
    return replace(tree, segments=tuple(segments))


def laid_anew(seed: int, run: Run) -> Catheter:
    """Another catheter in the same aorta, led to the artery that the run fills."""
    aorta = Aorta.sample(stream(seed, "catheter"), run.tree)
    return Catheter.lay(stream(seed + _LATER_SEED, "catheter"), aorta, run.tree, run.view)


def _later(seed: int, run: Run, background: Background) -> Studio:
    """The studio of the second run: the same machine, other grain, and the catheter laid anew."""
    studio = Studio.build(seed, run, background)
    shape: tuple[int, int] = (run.view.size, run.view.size)
    catheter = laid_anew(seed, run)
    return replace(
        studio,
        noise=NoiseFields(seed + _LATER_SEED, shape, studio.detector.grain),
        catheter=replace(catheter, present=studio.catheter.present),
    )
