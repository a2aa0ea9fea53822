"""Many bundles, one report: what every one of them draws on the same held-out frames.

The angiograms that a distance between sets needs are of other simulated patients than those whose frames are
translated; a second set of yet other patients gives the floor. Frames from folders have halves of one set;
they are translated as `convert` would, at their own size and with the levels of the whole series.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.rendering import SimulatedData
from casgan_dicom.model.data.simulated import SimulatedRun, simulated_runs
from casgan_dicom.model.data.square import to_square
from casgan_dicom.model.evaluation.judges import Judges, Log
from casgan_dicom.model.evaluation.place import place_scores
from casgan_dicom.model.evaluation.protocol import Protocol
from casgan_dicom.model.evaluation.rows import ANOTHER_TREE, Drawer, Drawn, Frames, drawers, engine_of
from casgan_dicom.model.evaluation.scores import (
    Row,
    mean_recalls,
    mean_scores,
    recall_margin,
    score_cine,
    score_run,
)
from casgan_dicom.model.evaluation.subjects import Subject
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.metrics.extractors import Extractor
from casgan_dicom.model.metrics.flicker import FlickerScores
from casgan_dicom.model.metrics.sets import SetScores, compare_sets
from casgan_dicom.model.metrics.vessels import VesselScores
from casgan_dicom.model.settings import DataSettings
from casgan_dicom.model.training.environment import source_revision

PICTURES = 4
"""Runs on the page of pictures."""
ATTENTION_UP_TO = 3
"""The page shows attention too where so few bundles are measured."""

Features = npt.NDArray[np.float32]
Pictures = Mapping[str, Sequence[Frames]]
"""Title of a row of pictures → its pictures, each (H, W)."""


@dataclass(frozen=True)
class Report:
    """What was measured, and on what."""

    rows: tuple[Row, ...]
    """In the order of rows.py; the bundles as they were given."""
    subjects: tuple[Subject, ...]
    """The bundles."""
    data: str
    """Name of the backgrounds, or "folders"."""
    source: str
    """One sentence about the frames that everything is measured on, with attribution."""
    split: DataSettings | None
    """Which frames of the folders, by `held_out`, `split_by` and `split_seed`; None for simulated ones."""
    frames: int
    """Frames translated."""
    protocol: Protocol | None
    """How it was done; None for frames without truth."""
    seed: int | None
    """Base seed of the simulator; None for frames without truth."""
    extractor: str
    """Name of the extractor of the distances between sets; "none" where there are none."""
    judges: Mapping[str, str]
    """Files of the evaluation's own networks, and the SHA-256 of each; none for frames without truth."""
    source_revision: str | None
    """Git revision of this package; None outside a clone."""
    pictures: Pictures = field(repr=False)
    """For the page of pictures."""


@dataclass(frozen=True)
class Instruments:
    """What everything is measured with."""

    extractor: Extractor | None
    """For the distances between sets; None leaves them out."""
    device: str = "auto"
    """Where generators run: "auto", "cpu", "cuda" or "cuda:N"."""
    log: Log = lambda _sentence: None
    """Receives sentences about progress."""


@dataclass(frozen=True)
class _Held:
    """The frames that everything is measured on."""

    runs: Sequence[SimulatedRun]
    """Runs of a few frames, spread over the time that the tree is filled."""
    cines: Sequence[SimulatedRun]
    """The first of them as short cines."""
    compare: Callable[[Sequence[Frames]], SetScores | None]
    """Images of a row → their distances to real angiograms."""


@dataclass(frozen=True)
class _Measured:
    """One row before it is compared with chance."""

    name: str
    engine: str
    patients: list[list[VesselScores]]
    drawn: list[Drawn]
    flicker: FlickerScores | None
    sets: SetScores | None
    shown: list[Drawn]
    """What it shows of the runs on the page, one frame each."""


def evaluate_bundles(
    subjects: Sequence[Subject],
    data: SimulatedData,
    protocol: Protocol,
    judges: Path,
    instruments: Instruments,
    *,
    source: str = "",
) -> Report:
    """Measure bundles on held-out simulated runs.

    Parameters
    ----------
    subjects
        From `find_subjects`.
    data
        Simulator and seed; the evaluation's runs and those of its judges are not those of training.
    protocol
        How much of everything.
    judges
        Folder that keeps the evaluation's own networks; trained where it lacks them.
    instruments
        Extractor, device and log.
    source
        One sentence about the data, for the report.

    Raises
    ------
    ConfigError
        Fewer than two runs, so that chance would be the truth.
    WeightsError
        A bundle is damaged.
    """
    if protocol.runs < 2 or protocol.cines == 1:
        raise ConfigError(
            f"{protocol.runs} runs and {protocol.cines} cines, want 2 or more of each, or no cines: "
            "chance draws the tree of another one"
        )
    extractor = instruments.extractor
    trained = Judges.train(data, protocol, judges, instruments.log)
    held = _held(data, protocol, extractor)
    measured = []
    for name, engine, drawer in drawers(subjects, trained, instruments.device):
        instruments.log(f"measuring {name}")
        measured.append(_measure(name, engine, drawer, held))
    return Report(
        rows=_rows(measured, held.runs),
        subjects=tuple(subjects),
        data=data.name,
        source=source,
        split=None,
        frames=sum(len(run.plain) for run in held.runs),
        protocol=protocol,
        seed=data.seed,
        extractor="none" if extractor is None else extractor.name,
        judges=trained.files,
        source_revision=source_revision(),
        pictures=_pictures({row.name: row.shown for row in measured}, subjects),
    )


def _rows(measured: Sequence[_Measured], runs: Sequence[SimulatedRun]) -> tuple[Row, ...]:
    """Compare every row with chance, and with another tree in the same view."""
    chance = next(row.patients for row in measured if row.name == "chance")
    another = mean_recalls(next(row.patients for row in measured if row.name == ANOTHER_TREE))
    return tuple(
        Row(
            row.name,
            mean_scores(VesselScores, itertools.chain(*row.patients)),
            recall_margin(row.patients, chance),
            row.flicker,
            row.sets,
            place_scores(row.drawn, runs, mean_recalls(row.patients), another),
            row.engine,
        )
        for row in measured
    )


def evaluate_frames(
    subjects: Sequence[Subject],
    x: Callable[[], Iterable[Frames]],
    y: Callable[[], Iterable[Frames]],
    instruments: Instruments,
    *,
    source: str = "",
    split: DataSettings | None = None,
) -> Report:
    """Measure bundles on frames without truth: distances between sets only.

    Parameters
    ----------
    subjects
        From `find_subjects`.
    x, y
        Read the series without and with contrast from the beginning, each (T, H, W) of display values in
        [0, 1], of any size; one series is in memory at a time.
    instruments
        Extractor, device and log.
    source, split
        One sentence about the data, and which part of it, for the report.

    Raises
    ------
    ConfigError
        There is no extractor, so nothing to measure.
    """
    extractor = instruments.extractor
    if extractor is None:
        raise ConfigError(
            "frames from folders have no known vessels, so without an extractor nothing can be measured",
            hint="--extractor efflite0, or --data sim:1 for vessel scores",
        )
    real = np.concatenate([extractor(series) for series in y()])
    rows: list[Row] = []
    shown: dict[str, list[Frames]] = {}
    frames = 0
    for subject in (None, *subjects):
        name = "identity" if subject is None else subject.label
        instruments.log(f"measuring {name}")
        generator = None if subject is None else Generator.load(subject.folder, device=instruments.device)
        features, pictures = _drawn_features(x(), generator, extractor)
        sets = compare_sets(features, real, extractor.score_name)
        rows.append(Row(name, sets=sets, engine="" if generator is None else engine_of(generator)))
        shown["input" if generator is None else name] = pictures
        frames = len(features)
    return Report(
        rows=tuple(rows),
        subjects=tuple(subjects),
        data="folders",
        source=source,
        split=split,
        frames=frames,
        protocol=None,
        seed=None,
        extractor=extractor.name,
        judges={},
        source_revision=source_revision(),
        pictures=shown,
    )


def _drawn_features(
    x: Iterable[Frames], generator: Generator | None, extractor: Extractor
) -> tuple[npt.NDArray[np.float32], list[Frames]]:
    """Features of what a generator makes of every series, and the middle frame of the first ones."""
    features: list[npt.NDArray[np.float32]] = []
    pictures: list[Frames] = []
    for series in x:
        made = series if generator is None else generator(series).frames
        features.append(extractor(made))
        if len(pictures) < PICTURES:
            middle = len(made) // 2
            pictures.append(to_square(made[middle : middle + 1], Protocol.frame_size)[0].copy())
    return np.concatenate(features), pictures


def _held(data: SimulatedData, protocol: Protocol, extractor: Extractor | None) -> _Held:
    settings = protocol.data(protocol.runs)
    runs = list(simulated_runs(data, "evaluation", settings, posed=True))
    cines: list[SimulatedRun] = []
    if protocol.cines:
        few = protocol.data(min(protocol.cines, protocol.runs), protocol.cine_frames)
        cines = list(simulated_runs(data, "evaluation", few, consecutive=True, posed=True))
    if extractor is None:
        return _Held(runs, cines, lambda _images: None)
    real, other = (
        np.concatenate([extractor(run.contrast) for run in simulated_runs(data, purpose, settings)])
        for purpose in ("reference", "second reference")
    )

    def compare(images: Sequence[Frames]) -> SetScores:
        features = np.concatenate([extractor(frames) for frames in images])
        return compare_sets(features, real, extractor.score_name, second_real=other)

    return _Held(runs, cines, compare)


def _measure(name: str, engine: str, drawer: Drawer, held: _Held) -> _Measured:
    drawn = [drawer(held.runs, i) for i in range(len(held.runs))]
    cines = [score_cine(drawer(held.cines, i), cine) for i, cine in enumerate(held.cines)]
    return _Measured(
        name,
        engine,
        patients=[score_run(one, run) for one, run in zip(drawn, held.runs, strict=True)],
        drawn=[replace(one, frames=one.frames[:0], attention=None) for one in drawn],  # masks and plan only
        flicker=mean_scores(FlickerScores, cines) if cines else None,
        sets=None if name == "oracle" else held.compare([one.frames for one in drawn]),  # it draws a mask
        shown=[_one_frame(one) for one in drawn[:PICTURES]],
    )


def _one_frame(drawn: Drawn) -> Drawn:
    t = len(drawn.frames) // 2
    attention = None if drawn.attention is None else drawn.attention[t].copy()
    return Drawn(drawn.frames[t].copy(), drawn.vessels[t].copy(), attention)  # not views: the rest may go


def _pictures(shown: Mapping[str, Sequence[Drawn]], subjects: Sequence[Subject]) -> dict[str, list[Frames]]:
    """Input, chance, the first run of every bundle's name, truth; attention where few are shown."""
    first = {subject.name: subject.label for subject in reversed(subjects)}
    named = {"input": "identity", "chance": "chance"} | {
        subject.label: subject.label for subject in subjects if first[subject.name] == subject.label
    }
    pictures: dict[str, list[Frames]] = {}
    for title, name in (named | {"truth": "truth"}).items():
        pictures[title] = [one.frames for one in shown[name]]
        attention = [one.attention for one in shown[name] if one.attention is not None]
        if attention and len(first) <= ATTENTION_UP_TO:
            pictures[f"attention of {title}"] = attention
    return pictures
