"""The reference as a target is compared with it: backgrounds, beats, table, and what it taught."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.roadmap.background import Spectrum, correlation, grid_factor, peak, structure, to_grid
from casgan_dicom.model.roadmap.blocks import Blocks, Scene, block_centres, block_displacements, breath_way
from casgan_dicom.model.roadmap.contrast_layer import ContrastLayer
from casgan_dicom.model.roadmap.filled_frames import FilledFrame
from casgan_dicom.model.roadmap.phase import Beat, beats_of
from casgan_dicom.model.roadmap.run import Array, FloatImage, ReferenceRun, Scale

COARSE_REACH = 5
"""Largest shift when all frames are compared, pixels of half the resolution."""
_AROUND_PX = 6.0
"""Reach of the region around the vessels whose background counts, sigma in pixels of the grid."""
_VESSEL_SIGMA = 1.5
_APART = 21
"""Distance of the blocks' centres that tell how far the whole picture has moved, pixels of the grid."""
_LEARNT_PAIRS = 40
_NEXT = 1.5
"""Steps from frame to frame at which two of them are neighbours."""
_LIKE = 0.55
"""Correlation of the vessels of two frames from which their displacement is believed."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What is kept of a filled run of F usable frames."""

    frames: tuple[FilledFrame, ...]
    """Its well filled frames, in the order of time."""
    around: FloatImage
    """Weight of the background by its nearness to the vessels, 0 to 1, float32 (h, w) of the grid."""
    beats: tuple[Beat, ...] | None
    """Its beats; None without an ECG."""
    table_px: Array | None
    """(F, 2) shift of the patient's picture by the table in each of `frames`, pixels; None where unknown."""
    shape: tuple[int, int]
    """Rows and columns of a frame."""
    pixel_mm: float | None
    """Side of a pixel on the detector."""
    scale: Scale
    """Of the display values."""

    @classmethod
    def of(cls, run: ReferenceRun, frames: tuple[FilledFrame, ...]) -> Reference:
        """Prepare the frames that were kept of a run."""
        common = np.mean([frame.vessel > 0.3 for frame in frames], axis=0) > 0.1
        near = ndimage.gaussian_filter(common.astype(np.float32), _AROUND_PX)
        around = np.clip(near / max(float(np.quantile(near, 0.97)), 1e-6), 0, 1).astype(np.float32)
        waves = run.r_waves_s
        beats = None if waves is None or len(waves) < 2 else beats_of(waves, frames[-1].time_s)
        places = table_shifts_px(run.table_mm, run.pixel_mm, len(run.times_s))
        table = None if places is None else places[[frame.number for frame in frames]]
        return cls(frames, around, beats, table, frames[0].layer.shape, run.pixel_mm, run.scale)

    def layer(self, number: int) -> ContrastLayer:
        """The vessels of a frame, by its number in the run; KeyError where that was not usable."""
        for frame in self.frames:
            if frame.number == number:
                return frame.layer
        known = tuple(frame.number for frame in self.frames)
        raise KeyError(f"frame {number} of the reference is not well filled, only {known} are")

    @property
    def factor(self) -> int:
        """Pixels of a frame along a side of one pixel of the grid."""
        return grid_factor(self.shape)

    @property
    def step_s(self) -> float:
        """Median time from one frame to the next."""
        return float(np.median(np.diff(self.times_s)))

    @cached_property
    def times_s(self) -> Array:
        """(F,) when the frames were taken."""
        return np.array([frame.time_s for frame in self.frames])

    @cached_property
    def fill(self) -> Array:
        """(F,) area of the vessels in pixels."""
        return np.array([float(frame.layer.vessel.sum()) for frame in self.frames])

    @cached_property
    def scenes(self) -> tuple[Scene, ...]:
        """The background of each frame."""
        return tuple(Scene(structure(frame.value, frame.free), frame.free) for frame in self.frames)

    @cached_property
    def spectra(self) -> tuple[Spectrum, ...]:
        """The background of each frame around the vessels."""
        return tuple(Spectrum.of(scene.structure, scene.weight * self.around) for scene in self.scenes)

    @cached_property
    def coarse_spectra(self) -> Spectrum:
        """The same of all frames as a stack, at half the resolution."""
        halves = [halved(scene, self.around) for scene in self.scenes]
        values, weights = (np.stack([getattr(h, name) for h in halves]) for name in ("structure", "weight"))
        return Spectrum.of(values, weights, COARSE_REACH)

    @cached_property
    def likeness(self) -> tuple[Array, Array]:
        """Of each two frames: correlation of their vessels at the best shift, (F, F), and that shift.

        The shift (F, F, 2), pixels of the grid, moves the second frame's vessels onto the first's.
        """
        count = len(self.frames)
        alike, shift = np.eye(count), np.zeros((count, count, 2))
        for one, other in combinations(range(count), 2):
            moved, height = self._vessels_moved(one, other)
            alike[one, other] = alike[other, one] = height
            shift[one, other], shift[other, one] = moved, (-moved[0], -moved[1])
        return alike, shift

    def on_the_way(self, at: int, ahead_s: float) -> tuple[float, float]:
        """How far the vessels of a frame still go until a phase that lies between it and its neighbour.

        (down, right), pixels of the grid: the part of the way to the neighbour's vessels that time allows.
        No way where there is no neighbour within the usual step, or its vessels look otherwise.
        """
        other, part = self._neighbour(at, ahead_s)
        moved, height = self._vessels_moved(other, at)
        return (part * moved[0], part * moved[1]) if height >= _LIKE else (0.0, 0.0)

    def breath_on_the_way(self, at: int, ahead_s: float) -> float:
        """What the background says of breath where only the heart goes on until that phase.

        Down, pixels of the grid: to be taken off what it says of a target frame of that phase.
        """
        other, part = self._neighbour(at, ahead_s)
        if not part:
            return 0.0
        if (at, other) not in self._known_breath:
            moved = block_displacements(self.scenes[other], self.scenes[at], self.everywhere)
            self._known_breath[at, other] = breath_way(moved[:, 0], self.nearness)
        return part * self._known_breath[at, other]

    def _neighbour(self, at: int, ahead_s: float) -> tuple[int, float]:
        """The frame on the other side of a phase, and the part of the way to it; itself, and 0, without one
        within the usual step."""
        other = at + (1 if ahead_s > 0 else -1)
        if not ahead_s or not 0 <= other < len(self.frames):
            return at, 0.0
        step = float(self.times_s[other] - self.times_s[at])
        return (at, 0.0) if abs(step) > _NEXT * self.step_s else (other, min(ahead_s / step, 1.0))

    @cached_property
    def everywhere(self) -> Array:
        """(K, 2) centres of blocks all over the picture, which tell a breath from a heart beat."""
        return block_centres(np.ones_like(self.around), _APART)

    @cached_property
    def nearness(self) -> Array:
        """(K,) how near each of them lies to the vessels, the weight of its place in `around`."""
        rows, columns = self.everywhere.astype(np.int64).T
        return np.asarray(self.around[rows, columns], dtype=np.float64)

    @cached_property
    def blocks(self) -> Blocks:
        """What the background's parts tell, learnt on pairs of these frames."""
        centres = block_centres(self.around)
        displacements, vessels = [], []
        for one, other, moved in self._pairs():
            displacements.append(block_displacements(self.scenes[one], self.scenes[other], centres))
            vessels.append(moved)
        return Blocks.learn(centres, displacements, vessels)

    def _pairs(self) -> list[tuple[int, int, Array]]:
        """Pairs of unlike phases whose vessels are alike enough to see how far they have moved."""
        count = len(self.frames)
        pairs = [(a, b) for a in range(count) for b in range(count) if abs(a - b) >= 2]
        chosen = []
        for at in np.random.default_rng(0).permutation(len(pairs)):
            one, other = pairs[int(at)]
            moved, height = self._vessels_moved(one, other)
            if height > _LIKE:
                chosen.append((one, other, np.asarray(moved)))
            if len(chosen) == _LEARNT_PAIRS:
                break
        return chosen

    def _vessels_moved(self, one: int, other: int) -> tuple[tuple[float, float], float]:
        """The shift that moves the second frame's vessels onto the first's, and their correlation there."""
        if (one, other) not in self._known_moves:
            found = peak(correlation(self._vessel_spectra[one], self._vessel_spectra[other]))
            self._known_moves[one, other] = found
        return self._known_moves[one, other]

    @cached_property
    def _known_moves(self) -> dict[tuple[int, int], tuple[tuple[float, float], float]]:
        """What `_vessels_moved` has found: target frames of one phase ask for the same again."""
        return {}

    @cached_property
    def _known_breath(self) -> dict[tuple[int, int], float]:
        """What `breath_on_the_way` has found for the whole way between two frames."""
        return {}

    @cached_property
    def _vessel_spectra(self) -> tuple[Spectrum, ...]:
        soft = [ndimage.gaussian_filter(frame.vessel, _VESSEL_SIGMA) for frame in self.frames]
        return tuple(Spectrum.of(picture, np.ones_like(picture)) for picture in soft)


def halved(scene: Scene, around: FloatImage | None = None) -> Scene:
    """A scene at half the resolution, weighted by `around` where it is given."""
    weight = scene.weight if around is None else scene.weight * around
    return Scene(to_grid(scene.structure, 2), to_grid(weight, 2))


def table_shifts_px(table_mm: npt.ArrayLike | None, pixel_mm: float | None, frames: int) -> Array | None:
    """The table's shift in every frame, (N, 2) pixels (down, right); None where table or scale is unknown."""
    if table_mm is None or pixel_mm is None:
        return None
    places = np.asarray(table_mm, dtype=np.float64)
    if places.shape not in ((2,), (frames, 2)):
        raise ValueError(f"table_mm has shape {places.shape}, want (2,) or ({frames}, 2)")
    return np.broadcast_to(places, (frames, 2)) / pixel_mm
