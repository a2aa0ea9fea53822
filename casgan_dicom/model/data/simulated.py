"""Training and evaluation frames from the simulator: domain X, domain Y, and runs with their truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.data.frames import FULL, FrameSet
from casgan_dicom.model.data.normalisation import measure_levels
from casgan_dicom.model.data.pose_truth import PoseTruth, eight_bit, pose_arrays, read_pose
from casgan_dicom.model.data.rendering import RUN_FRAMES, Arrays, Purpose, SimulatedData, rendered, seeds
from casgan_dicom.model.settings import DataSettings, NormalisationSettings
from casgan_dicom.model.simulator.background import BackgroundSource
from casgan_dicom.model.simulator.cine import CineSettings, film
from casgan_dicom.model.simulator.run import Run, draw_run, draw_view, stream


@dataclass(frozen=True)
class SimulatedRun:
    """The rendered frames of one run with their truth, all (T, H, W)."""

    plain: npt.NDArray[np.float32]
    """Display values without contrast."""
    contrast: npt.NDArray[np.float32]
    """Display values with contrast."""
    vessel: npt.NDArray[np.bool_]
    """Vessel that holds contrast."""
    centreline: npt.NDArray[np.bool_]
    """Its centreline."""
    heart: npt.NDArray[np.bool_]
    """The heart's projection."""
    tracks: npt.NDArray[np.float64] | None = None
    """Motion of the vessels (T, N, 2), as SimulatedCine.vessel_tracks; consecutive frames only."""
    pose: PoseTruth | None = None
    """Where everything is, and what else might have been there; only where it is asked for."""


@dataclass(frozen=True)
class _Kind:
    """What is rendered of every run."""

    cine: CineSettings
    """The run."""
    frames: int
    """How many of its frames."""
    consecutive: bool
    """One after the other, with their motion, instead of spread over the run."""
    posed: bool
    """With all of `PoseTruth`."""

    @property
    def size(self) -> int:
        """Rows and columns of a frame."""
        return self.cine.size

    def facts(self) -> list[object]:
        """What the frames depend on beside the seed."""
        pose = [field.name for field in fields(PoseTruth)] if self.posed else []
        return [repr(self.cine), self.frames, *(["consecutive"] if self.consecutive else []), *pose]

    def render(self, seed: int, source: BackgroundSource) -> dict[str, Any]:
        """Render the frames of one run."""
        _, view = draw_view(seed, self.cine)
        background = source.background(stream(seed, "background"), view)
        run = draw_run(seed, self.cine, background.heart)
        indices = _consecutive(run, self) if self.consecutive else run.well_filled(self.frames)
        cine = film(seed, run, background, indices)
        arrays: dict[str, Any] = {
            "plain": eight_bit(cine, cine.plain),
            "contrast": eight_bit(cine, cine.contrast),
            "vessel": np.packbits(cine.vessel_mask),
            "centreline": np.packbits(cine.centreline),
            "heart": np.packbits(cine.heart_mask),
        }
        if self.consecutive:
            arrays["tracks"] = cine.vessel_tracks()
        return arrays | (pose_arrays(seed, cine, background) if self.posed else {})


def simulated_runs(
    data: SimulatedData,
    purpose: Purpose,
    settings: DataSettings,
    *,
    consecutive: bool = False,
    posed: bool = False,
) -> Iterator[SimulatedRun]:
    """Give the runs of a purpose in order of their seeds, rendering in parallel what the cache lacks.

    Parameters
    ----------
    data
        The simulator.
    purpose
        Whose runs.
    settings
        How many of them, frames of each, their size and the cue.
    consecutive
        Frames one after the other where the tree is filled, with `tracks`; else spread over that part.
    posed
        With `pose`.
    """
    cine = CineSettings(size=settings.frame_size, frames=RUN_FRAMES, cue=settings.cue)
    kind = _Kind(cine, settings.frames_per_run, consecutive, posed)
    for arrays in rendered(data, kind, seeds(data, purpose, settings.runs)):
        yield _unpacked(arrays)


def _unpacked(arrays: Arrays) -> SimulatedRun:
    shape = arrays["plain"].shape
    masks = {
        name: np.unpackbits(arrays[name], count=int(np.prod(shape))).reshape(shape).astype(bool)
        for name in ("vessel", "centreline", "heart")
    }
    plain, contrast = (arrays[name] / np.float32(255) for name in ("plain", "contrast"))
    pose = read_pose(arrays) if "ostium" in arrays else None
    return SimulatedRun(plain, contrast, **masks, tracks=arrays.get("tracks"), pose=pose)


def simulated_domains(
    data: SimulatedData, settings: DataSettings, normalisation: NormalisationSettings
) -> tuple[FrameSet, FrameSet]:
    """Domain X (with twins and masks, which only paired terms touch) and domain Y of other patients."""
    x = _frame_set(simulated_runs(data, "x", settings), normalisation, contrast=False)
    y = _frame_set(simulated_runs(data, "y", settings), normalisation, contrast=True)
    return x, y


def angiograms(
    data: SimulatedData, purpose: Purpose, settings: DataSettings, normalisation: NormalisationSettings
) -> FrameSet:
    """Frames with contrast and their vessel masks."""
    return _frame_set(simulated_runs(data, purpose, settings), normalisation, contrast=True)


def pairs(
    data: SimulatedData, purpose: Purpose, settings: DataSettings, normalisation: NormalisationSettings
) -> FrameSet:
    """Frames without contrast, with twins and masks."""
    return _frame_set(simulated_runs(data, purpose, settings), normalisation, contrast=False)


def _frame_set(
    runs: Iterator[SimulatedRun], normalisation: NormalisationSettings, *, contrast: bool
) -> FrameSet:
    frames: list[npt.NDArray[np.uint16]] = []
    twins: list[npt.NDArray[np.uint16]] = []
    masks: list[npt.NDArray[np.bool_]] = []
    levels: list[npt.NDArray[np.float32]] = []
    for run in runs:
        shown, other = (run.contrast, run.plain) if contrast else (run.plain, run.contrast)
        level = measure_levels(shown, normalisation)
        frames.append(np.rint(shown * FULL).astype(np.uint16))
        twins.append(np.rint(other * FULL).astype(np.uint16))
        masks.append(run.vessel)
        levels.append(np.tile(np.array([level.low, level.high], np.float32), (len(shown), 1)))
    return FrameSet(
        np.concatenate(frames),
        np.concatenate(levels),
        None if contrast else np.concatenate(twins),
        np.concatenate(masks),
    )


def _consecutive(run: Run, kind: _Kind) -> tuple[int, ...]:
    """Frames one after the other, around the middle of those where the tree is filled."""
    filled = run.well_filled(kind.cine.frames)
    count = min(kind.frames, kind.cine.frames)
    first = min(max(filled[len(filled) // 2] - count // 2, 0), kind.cine.frames - count)
    return tuple(range(first, first + count))
