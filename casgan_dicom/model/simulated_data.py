"""Training and evaluation frames from the simulator, rendered once and cached.

Seeds never meet: every purpose (domain X, domain Y, evaluation, the evaluation's segmentor …) has its own
stretch of a million seeds, so a patient seen in training is never one that is measured on.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data import FULL, FrameSet
from casgan_dicom.model.normalisation import measure_levels
from casgan_dicom.model.settings import DataSettings, NormalisationSettings
from casgan_dicom.model.simulator.background import BackgroundSource
from casgan_dicom.model.simulator.cine import CineSettings, SimulatedCine, simulate_cine

MakeBackgrounds = Callable[[], BackgroundSource]
"""Makes the background source inside a worker process; picklable."""

Purpose = Literal["x", "y", "evaluation", "evaluation segmentor", "oracle"]
_PURPOSES: tuple[Purpose, ...] = ("x", "y", "evaluation", "evaluation segmentor", "oracle")

LOGGED_RUNS = 20
"""A sentence is said each time so many runs are rendered."""
SMALLEST_FRAME = 32
"""Rows and columns below which a simulated frame shows nothing."""
RUN_FRAMES = 60
"""Frames of a run that training frames are picked from: 4 s at 15 frames per second."""


@dataclass(frozen=True)
class SimulatedData:
    """Where simulated frames come from."""

    seed: int
    """Base seed of everything."""
    backgrounds: MakeBackgrounds
    """Factory of the patients around the arteries."""
    name: str
    """Name of that factory's anatomy, part of the cache key: "procedural" or "ct"."""
    cache: Path
    """Folder that keeps rendered runs."""
    anatomy: str = ""
    """Digest of what the backgrounds are made of, part of the cache key; empty where `name` says it all."""
    log: Callable[[str], None] = lambda _sentence: None
    """Receives a sentence about the progress of rendering."""


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


def seeds(data: SimulatedData, purpose: Purpose, runs: int) -> list[int]:
    """Seeds of the first `runs` runs of a purpose."""
    if data.seed < 0 or runs > 1_000_000:
        raise ConfigError(
            f"sim seed {data.seed} with {runs} runs, want a seed ≥ 0 and at most 1,000,000 runs"
        )
    start = (data.seed * len(_PURPOSES) + _PURPOSES.index(purpose)) * 1_000_000
    return list(range(start, start + runs))


def simulated_runs(data: SimulatedData, purpose: Purpose, settings: DataSettings) -> Iterator[SimulatedRun]:
    """Give the runs of a purpose in order of their seeds, rendering in parallel what the cache lacks."""
    cine = CineSettings(size=settings.frame_size, frames=RUN_FRAMES, cue=settings.cue)
    facts = [repr(cine), settings.frames_per_run] + ([data.anatomy] if data.anatomy else [])
    folder = data.cache / f"{data.name}-{digest_with_simulator(*facts)}"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = seeds(data, purpose, settings.runs)
    _render_missing(data, folder, cine, [s for s in wanted if not _file(folder, s).is_file()], settings)
    for seed in wanted:
        try:
            run = _read(_file(folder, seed))
        except (BadZipFile, ValueError, KeyError, OSError):  # cut short by a full disk: render it again
            _file(folder, seed).unlink(missing_ok=True)
            _render_missing(data, folder, cine, [seed], settings)
            run = _read(_file(folder, seed))
        yield run


def _read(file: Path) -> SimulatedRun:
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
        shape = arrays["plain"].shape
        masks = {
            name: np.unpackbits(arrays[name], count=int(np.prod(shape))).reshape(shape).astype(bool)
            for name in ("vessel", "centreline", "heart")
        }
        plain, contrast = (arrays[name] / np.float32(255) for name in ("plain", "contrast"))
        return SimulatedRun(plain, contrast, **masks)


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


def _render_missing(
    data: SimulatedData, folder: Path, cine: CineSettings, missing: Sequence[int], settings: DataSettings
) -> None:
    if not missing:
        return
    if cine.size < SMALLEST_FRAME:
        raise ConfigError(f"data.frame_size is {cine.size}, the simulator wants at least {SMALLEST_FRAME}")
    data.backgrounds()  # a CT that cannot be used is said here: an error in a worker's start is lost
    workers = min(len(missing), os.cpu_count() or 1)
    with ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(data.backgrounds,)
    ) as pool:
        jobs = [pool.submit(_render, seed, cine, settings.frames_per_run, folder) for seed in missing]
        for done, job in enumerate(jobs, 1):
            job.result()
            if done % LOGGED_RUNS == 0 or done == len(jobs):
                data.log(f"{done} of {len(jobs)} simulated runs rendered")


_worker: list[BackgroundSource] = []
"""The background source of this worker process, made once by `_start_worker`."""


def _start_worker(make: MakeBackgrounds) -> None:
    _worker[:] = [make()]


def _render(seed: int, cine: CineSettings, frames: int, folder: Path) -> None:
    run = simulate_cine(seed, cine, _worker[0], well_filled=frames)
    arrays: dict[str, Any] = {
        "plain": _eight_bit(run, run.plain),
        "contrast": _eight_bit(run, run.contrast),
        "vessel": np.packbits(run.vessel_mask),
        "centreline": np.packbits(run.centreline),
        "heart": np.packbits(run.heart_mask),
    }
    partial = _file(folder, seed).with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)
    partial.replace(_file(folder, seed))


def _eight_bit(run: SimulatedCine, stored: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.uint8]:
    return np.rint(run.display(stored) * 255).astype(np.uint8)


def _file(folder: Path, seed: int) -> Path:
    return folder / f"{seed}.npz"


def digest_with_simulator(*facts: object) -> str:
    """Digest of facts and of the simulator's own source: a name for files that no change must meet again."""
    digest = hashlib.sha256(repr(facts).encode())
    folder = resources.files("casgan_dicom.model") / "simulator"
    for file in sorted((f for f in folder.iterdir() if f.name.endswith(".py")), key=lambda f: f.name):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
