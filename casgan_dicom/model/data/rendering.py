"""Rendering simulated runs: in parallel, once, and kept, whatever is wanted of each.

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
from typing import Any, Literal, Protocol
from zipfile import BadZipFile

import numpy as np

from casgan_dicom.disk import whole_file
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.simulator.background import BackgroundSource

RUN_FRAMES = 60
"""Frames of a run that those wanted are picked from: 4 s at 15 frames per second."""

MakeBackgrounds = Callable[[], BackgroundSource]
"""Makes the background source inside a worker process; picklable."""

Purpose = Literal[
    "x",
    "y",
    "evaluation",
    "evaluation segmentor",
    "oracle",
    "reference",
    "second reference",
    "pose",
    "guided",
    "segmentor",
    "engagement",
]
_LATER_START = 10**15
"""First seed of purposes that came later, beyond every seed of the first ones."""
_STRETCHES: tuple[tuple[int, tuple[Purpose, ...]], ...] = (
    (0, ("x", "y", "evaluation", "evaluation segmentor", "oracle")),
    (_LATER_START, ("reference", "second reference", "pose")),
    (2 * _LATER_START, ("guided",)),
    (3 * _LATER_START, ("segmentor",)),
    (4 * _LATER_START, ("engagement",)),
)
"""First seed of purposes that came together: were one more among them, every seed would become another."""
MOST_SEED = _LATER_START // (len(_STRETCHES[0][1]) * 1_000_000) - 1
"""Largest base seed."""

LOGGED_RUNS = 20
"""A sentence is said each time so many runs are rendered."""
FEW_RUNS = 2
"""So many are rendered in this process: starting others takes longer."""
SMALLEST_FRAME = 32
"""Rows and columns below which a simulated frame shows nothing."""

Arrays = Mapping[str, Any]
"""What is kept of a run: numpy arrays by name."""


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


class Render(Protocol):
    """What is rendered of every run; picklable."""

    @property
    def size(self) -> int:
        """Rows and columns of a frame."""

    def facts(self) -> list[object]:
        """What the arrays depend on beside the seed, the anatomy and the simulator, each with its `repr`."""

    def render(self, seed: int, source: BackgroundSource) -> dict[str, Any]:
        """Render what a seed stands for."""


def seeds(data: SimulatedData, purpose: Purpose, runs: int) -> list[int]:
    """Seeds of the first `runs` runs of a purpose."""
    if not 0 <= data.seed <= MOST_SEED or runs > 1_000_000:
        raise ConfigError(
            f"sim seed {data.seed} with {runs} runs, want a seed from 0 to {MOST_SEED} "
            "and at most 1,000,000 runs"
        )
    first, among = next(stretch for stretch in _STRETCHES if purpose in stretch[1])
    start = first + (data.seed * len(among) + among.index(purpose)) * 1_000_000
    return list(range(start, start + runs))


def rendered(data: SimulatedData, kind: Render, wanted: Sequence[int]) -> Iterator[Arrays]:
    """Give the arrays of runs in the order of `wanted`, rendering in parallel what the cache lacks.

    Raises ConfigError for frames that are too small, and where a process that renders has ended.
    """
    folder = _folder(data, kind)
    if folder is None:
        yield from _rendered(data, kind, wanted)
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


def _folder(data: SimulatedData, kind: Render) -> Path | None:
    """Where such runs are cached."""
    if data.cache is None:
        return None
    facts = [*kind.facts(), data.anatomy] if data.anatomy else kind.facts()
    return data.cache / f"{data.name}-{digest_with_simulator(*facts)}"


def _read(file: Path) -> Arrays:
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
        return dict(arrays)


def _render_missing(data: SimulatedData, kind: Render, folder: Path, missing: Sequence[int]) -> None:
    """Render runs into a folder."""
    for seed, arrays in zip(missing, _rendered(data, kind, missing), strict=True):
        with whole_file(_file(folder, seed)) as file:
            np.savez(file, **arrays)


def _rendered(data: SimulatedData, kind: Render, wanted: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Render runs in parallel; gives what a file holds, in order of `wanted`."""
    if not wanted:
        return
    if kind.size < SMALLEST_FRAME:
        raise ConfigError(f"data.frame_size is {kind.size}, the simulator wants at least {SMALLEST_FRAME}")
    background = data.backgrounds()  # here too: an error in a worker's start is lost
    if len(wanted) <= FEW_RUNS:
        yield from (kind.render(seed, background) for seed in wanted)
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


def _rendered_by_others(data: SimulatedData, kind: Render, wanted: Sequence[int]) -> Iterator[dict[str, Any]]:
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


def _render_in_worker(seed: int, kind: Render) -> dict[str, Any]:
    return kind.render(seed, _worker[0])


def _file(folder: Path, seed: int) -> Path:
    return folder / f"{seed}.npz"


def digest_with_simulator(*facts: object) -> str:
    """Digest of facts and of the simulator's own source: a name for files that no change must meet again."""
    digest = hashlib.sha256(repr(facts).encode())
    folder = resources.files("casgan_dicom.model") / "simulator"
    for file in sorted((f for f in folder.iterdir() if f.name.endswith(".py")), key=lambda f: f.name):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
