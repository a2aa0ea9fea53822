"""Training and evaluation frames from the simulator, rendered once and cached, or on the fly.

Seeds never meet: every purpose (domain X, domain Y, evaluation, the evaluation's segmentor …) has its own
stretch of a million seeds, so a patient seen in training is never one that is measured on. Each run that was
ever rendered stays valid: names of cached files tell what they depend on and nothing else.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from casgan_dicom.disk import whole_file
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.frames import FULL, FrameSet
from casgan_dicom.model.data.normalisation import measure_levels
from casgan_dicom.model.settings import DataSettings, NormalisationSettings
from casgan_dicom.model.simulator.background import Background, BackgroundSource
from casgan_dicom.model.simulator.cine import CineSettings, SimulatedCine, simulate_cine
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.run import Run, draw_run, draw_view, stream

MakeBackgrounds = Callable[[], BackgroundSource]
"""Makes the background source inside a worker process; picklable."""

Purpose = Literal["x", "y", "evaluation", "evaluation segmentor", "oracle", "reference", "second reference"]
_PURPOSES: tuple[Purpose, ...] = ("x", "y", "evaluation", "evaluation segmentor", "oracle")
_LATER_PURPOSES: tuple[Purpose, ...] = ("reference", "second reference")
"""Came later: were they among the others, every seed of those would become another."""
_LATER_START = 10**15
"""First seed of the later purposes, beyond every seed of the others."""
MOST_SEED = _LATER_START // (len(_PURPOSES) * 1_000_000) - 1
"""Largest base seed."""

LOGGED_RUNS = 20
"""A sentence is said each time so many runs are rendered."""
FEW_RUNS = 2
"""So many are rendered in this process: starting others takes longer."""
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
    cache: Path | None
    """Folder that keeps rendered runs; None keeps none and renders them whenever they are asked for."""
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
    tracks: npt.NDArray[np.float64] | None = None
    """Motion of the vessels (T, N, 2), as SimulatedCine.vessel_tracks; consecutive frames only."""


@dataclass(frozen=True)
class _Kind:
    """What is rendered of every run."""

    cine: CineSettings
    """The run."""
    frames: int
    """How many of its frames."""
    consecutive: bool
    """One after the other, with their motion, instead of spread over the run."""

    def folder(self, data: SimulatedData) -> Path | None:
        """Where such runs are cached."""
        if data.cache is None:
            return None
        facts: list[object] = [repr(self.cine), self.frames]
        facts += ["consecutive"] if self.consecutive else []
        facts += [data.anatomy] if data.anatomy else []
        return data.cache / f"{data.name}-{digest_with_simulator(*facts)}"


def seeds(data: SimulatedData, purpose: Purpose, runs: int) -> list[int]:
    """Seeds of the first `runs` runs of a purpose."""
    if not 0 <= data.seed <= MOST_SEED or runs > 1_000_000:
        raise ConfigError(
            f"sim seed {data.seed} with {runs} runs, want a seed from 0 to {MOST_SEED} "
            "and at most 1,000,000 runs"
        )
    later = purpose in _LATER_PURPOSES
    among = _LATER_PURPOSES if later else _PURPOSES
    start = (data.seed * len(among) + among.index(purpose)) * 1_000_000 + (_LATER_START if later else 0)
    return list(range(start, start + runs))


def simulated_runs(
    data: SimulatedData, purpose: Purpose, settings: DataSettings, *, consecutive: bool = False
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
    """
    cine = CineSettings(size=settings.frame_size, frames=RUN_FRAMES, cue=settings.cue)
    kind = _Kind(cine, settings.frames_per_run, consecutive)
    wanted = seeds(data, purpose, settings.runs)
    folder = kind.folder(data)
    if folder is None:
        yield from map(_unpacked, _rendered(data, kind, wanted))
        return
    folder.mkdir(parents=True, exist_ok=True)
    _render_missing(data, kind, folder, [s for s in wanted if not _file(folder, s).is_file()])
    for seed in wanted:
        try:
            run = _read(_file(folder, seed))
        except (BadZipFile, ValueError, KeyError, OSError):  # cut short by a full disk: render it again
            _file(folder, seed).unlink(missing_ok=True)
            _render_missing(data, kind, folder, [seed])
            run = _read(_file(folder, seed))
        yield run


def _read(file: Path) -> SimulatedRun:
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
        return _unpacked(arrays)


def _unpacked(arrays: Mapping[str, Any]) -> SimulatedRun:
    shape = arrays["plain"].shape
    masks = {
        name: np.unpackbits(arrays[name], count=int(np.prod(shape))).reshape(shape).astype(bool)
        for name in ("vessel", "centreline", "heart")
    }
    plain, contrast = (arrays[name] / np.float32(255) for name in ("plain", "contrast"))
    return SimulatedRun(plain, contrast, **masks, tracks=arrays.get("tracks"))


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


def _render_missing(data: SimulatedData, kind: _Kind, folder: Path, missing: Sequence[int]) -> None:
    """Render runs into a folder."""
    for seed, arrays in zip(missing, _rendered(data, kind, missing), strict=True):
        with whole_file(_file(folder, seed)) as file:
            np.savez(file, **arrays)


def _rendered(data: SimulatedData, kind: _Kind, wanted: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Render runs in parallel; gives what a file holds, in order of `wanted`."""
    if not wanted:
        return
    if kind.cine.size < SMALLEST_FRAME:
        raise ConfigError(
            f"data.frame_size is {kind.cine.size}, the simulator wants at least {SMALLEST_FRAME}"
        )
    background = data.backgrounds()  # here too: an error in a worker's start is lost
    if len(wanted) <= FEW_RUNS:
        yield from (_render(seed, kind, background) for seed in wanted)
        data.log(f"{len(wanted)} of {len(wanted)} simulated runs rendered")
        return
    del background
    try:
        yield from _rendered_by_others(data, kind, wanted)
    except BrokenProcessPool as error:
        raise ConfigError(
            "a process that renders simulated runs has ended; a script does such work below the line"
            " `if __name__ == '__main__':`, as these processes read it again",
            hint="if that line is there, or this is no script, memory may have run out",
        ) from error


def _rendered_by_others(data: SimulatedData, kind: _Kind, wanted: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Render runs in processes that are started anew."""
    workers = min(len(wanted), os.cpu_count() or 1)
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(data.backgrounds,)
    )
    try:
        jobs = deque(pool.submit(_render_in_worker, seed, kind) for seed in wanted)
        for done in range(1, len(wanted) + 1):
            arrays = jobs.popleft().result()
            if done % LOGGED_RUNS == 0 or done == len(wanted):
                data.log(f"{done} of {len(wanted)} simulated runs rendered")
            yield arrays
    finally:
        pool.shutdown(cancel_futures=True)


_worker: list[BackgroundSource] = []
"""The background source of this worker process, made once by `_start_worker`."""


def _start_worker(make: MakeBackgrounds) -> None:
    _worker[:] = [make()]


def _render_in_worker(seed: int, kind: _Kind) -> dict[str, Any]:
    return _render(seed, kind, _worker[0])


def _render(seed: int, kind: _Kind, source: BackgroundSource) -> dict[str, Any]:
    if kind.consecutive:
        _, view = draw_view(seed, kind.cine)
        patient = source.background(stream(seed, "background"), view)
        indices = _consecutive(draw_run(seed, kind.cine, patient.heart), kind)
        run = simulate_cine(seed, kind.cine, _OnePatient(patient), indices=indices)
    else:
        run = simulate_cine(seed, kind.cine, source, well_filled=kind.frames)
    arrays: dict[str, Any] = {
        "plain": _eight_bit(run, run.plain),
        "contrast": _eight_bit(run, run.contrast),
        "vessel": np.packbits(run.vessel_mask),
        "centreline": np.packbits(run.centreline),
        "heart": np.packbits(run.heart_mask),
    }
    return arrays | ({"tracks": run.vessel_tracks()} if kind.consecutive else {})


@dataclass(frozen=True)
class _OnePatient:
    """A background source that has made its one background already: that takes longer than a few frames."""

    made: Background
    """What it gives."""

    def background(self, _rng: np.random.Generator, _view: View) -> Background:
        """Give it."""
        return self.made


def _consecutive(run: Run, kind: _Kind) -> tuple[int, ...]:
    """Frames one after the other, around the middle of those where the tree is filled."""
    filled = run.well_filled(kind.cine.frames)
    count = min(kind.frames, kind.cine.frames)
    first = min(max(filled[len(filled) // 2] - count // 2, 0), kind.cine.frames - count)
    return tuple(range(first, first + count))


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
