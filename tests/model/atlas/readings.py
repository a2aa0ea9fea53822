"""What ideal networks would read in a simulated run: the truth, a little blurred and shaken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.model.atlas.cues import GRID, Cues
from casgan_dicom.model.atlas.landmarks import SYSTEMS, landmarks
from casgan_dicom.model.atlas.library import Library, grow_library
from casgan_dicom.model.atlas.posing import heart_of
from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.motion import contraction
from casgan_dicom.model.simulator.render import make_tubes, path_length
from casgan_dicom.model.simulator.run import CineSettings, Run, draw_run
from casgan_dicom.model.simulator.table import Table

Mask = npt.NDArray[np.bool_]

FRAMES = 48
SAMPLED = tuple(range(0, FRAMES, 4))
SETTINGS = CineSettings(size=256, frames=FRAMES)


@dataclass(frozen=True)
class Patient:
    """A run of the simulator of which nothing is rendered but what is asked for."""

    run: Run
    heart: Heart

    def move(self, points: Array, frame: int) -> Array:
        """Where points of the heart are in a frame, patient mm."""
        motion, time = self.run.motion, SETTINGS.time_s(frame)
        return motion.move(self.heart, points, float(motion.phase(time)), motion.breath_mm(time))

    def vessel(self, frame: int, size: int = 256) -> Mask:
        """The whole tree in one frame, (size, size)."""
        view = replace(self.run.view, size=size)
        tubes = make_tubes([(s.points, s.radius, s.arc) for s in self.run.tree.segments], view)
        seen = (2 * tubes.radius * 0.8 >= 0.7).astype(np.float64)
        return path_length(tubes, self.move(tubes.points, frame), view, seen) >= 0.3

    def contraction(self) -> Array:
        """Of all frames, (FRAMES,)."""
        return contraction(self.run.motion.phase([SETTINGS.time_s(i) for i in range(FRAMES)]))


def patient(seed: int) -> Patient:
    """One whose heart beats steadily, who does not cough, and whose table stands still."""
    rng = np.random.default_rng([seed, 5])
    apex = np.array([0.62, -0.52, -0.59]) + rng.normal(0.0, 0.08, 3)
    heart = heart_of(apex, np.array([44.0, 47.0, 62.0]) * rng.uniform(0.92, 1.12))
    run = draw_run(seed, SETTINGS, heart)
    return Patient(replace(run, motion=replace(run.motion, beats=(), coughs_s=()), table=Table()), heart)


def oracle_cues(of: Patient, *, noise_px: float = 3.0, seed: int = 0) -> Cues:
    """Cues of the frames SAMPLED; landmarks are off by `noise_px` together and by as much each."""
    rng, count = np.random.default_rng([seed, 9]), len(SAMPLED)
    run, view = of.run, replace(of.run.view, size=GRID)
    side = SYSTEMS.index(run.tree.system)
    true = np.stack([view.project(of.move(landmarks(run.tree), t))[0] for t in SAMPLED])  # (T, L, 2)
    known = np.asarray(np.isfinite(true).all(axis=-1))
    placed = np.where(known[..., None], true, GRID / 2) + rng.normal(0.0, noise_px / 2, (*known.shape, 2))
    placed += rng.normal(0.0, noise_px, (1, known.shape[1], 2))
    places = np.full((count, 2, known.shape[1], 2), GRID / 2)
    spread = np.full((count, 2, known.shape[1]), 30.0)
    places[:, side], spread[:, side] = placed, np.where(known, noise_px, 30.0)
    maps = [0.6 * gaussian_filter(of.vessel(t, GRID).astype(np.float32), 2.5) for t in SAMPLED]
    ones = np.ones((count, 1))
    return Cues(
        right=np.full(count, 4.0 if side else -4.0),
        landmarks=places,
        spread=spread,
        contraction=of.contraction()[list(SAMPLED)] + rng.normal(0.0, 0.2, count),
        isocentre=ones * np.asarray(view.shift_mm) / view.pixel_mm + rng.normal(0.0, noise_px / 2, 2),
        field_mm=np.full(count, view.field_mm * rng.uniform(0.95, 1.05)),
        semi_axes_mm=ones * of.heart.semi_axes_mm,
        apex=ones * of.heart.axes[2],
        angles_deg=ones * (view.primary_deg, view.secondary_deg) + rng.normal(0.0, 3.0, (count, 2)),
        tip=true[:, 0] + rng.normal(0.0, 0.6, (count, 2)),
        tip_mass=np.full(count, 0.8),
        no_tip=np.full(count, 0.05),
        pan=np.zeros((count, 2)),
        vessel=np.stack(maps).astype(np.float32),
        shaft_depth=np.full(count, 0.077),
    )


@cache
def small_library() -> Library:
    """Eight trees of each artery."""
    return grow_library(11, 8)


def told(of: Patient) -> RunContext:
    """What a complete header says of a run."""
    view, motion = of.run.view, of.run.motion
    beats = (np.arange(12) - motion.phase_start) * 60 / motion.heart_rate_bpm
    return RunContext(
        angles_deg=(view.primary_deg, view.secondary_deg),
        times_s=tuple(SETTINGS.time_s(i) for i in range(FRAMES)),
        r_waves_s=tuple(float(t) for t in beats if 0 <= t <= SETTINGS.time_s(FRAMES)),
        source_detector_mm=view.source_detector_mm,
        source_patient_mm=view.source_isocentre_mm,
        pixel_mm=view.pixel_mm,
        shape=(SETTINGS.size, SETTINGS.size),
        key="1.2.3",
    )
