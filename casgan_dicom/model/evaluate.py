"""The paired table: what generators draw, measured against the truth of simulated runs.

Every image of every row is read by the same independent segmentor, which no generator was trained with:
other patients, another seed, another width. Rows that are not generators say what a score means:

identity   the input itself: what the segmentor finds where nothing was drawn
chance     the tree of the next patient, drawn on this one: a perfect look in a random place
oracle     a small U-Net trained on pairs, its own mask: how much of the position a frame betrays
truth      the real contrast twin: the best score this segmentor allows
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file

from casgan_dicom.model.data import CropSampler
from casgan_dicom.model.infer import Generator
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.normalisation import Levels, measure_levels, to_network
from casgan_dicom.model.segment import load_unet, train_unet
from casgan_dicom.model.settings import DataSettings, NormalisationSettings
from casgan_dicom.model.simulated_data import (
    Purpose,
    SimulatedData,
    SimulatedRun,
    angiograms,
    digest_with_simulator,
    pairs,
    simulated_runs,
)
from casgan_dicom.model.vessel_metrics import Truth, VesselScores, score_frame

Frames = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]
Log = Callable[[str], None]

NORMALISATION = NormalisationSettings()
"""Of the evaluation's own networks, whatever a generator uses."""


@dataclass(frozen=True)
class Protocol:
    """How the evaluation is done."""

    runs: int = 30
    """Held-out runs."""
    frames_per_run: int = 4
    """Frames of each."""
    cue: float = 1.0
    """Trace of the arteries in the input, as a multiple of the physical one."""
    training_runs: int = 100
    """Runs that the segmentor and the oracle are trained on, each its own."""
    crop: int = 160
    """Crop that the segmentor is trained on, px of 256; the oracle sees whole frames, because where a vessel
    runs is a question of the whole heart."""
    segmentor_base: int = 24
    """Width of the segmentor's U-Net."""
    oracle_base: int = 16
    """Width of the oracle's U-Net."""
    steps: int = 600
    """Training steps of the segmentor, four crops each; the oracle takes twice as many, of two frames."""

    def data(self, runs: int) -> DataSettings:
        """Data settings for so many runs."""
        return DataSettings(
            runs=runs,
            frames_per_run=self.frames_per_run,
            frame_size=256,
            crop=self.crop,
            flip=False,
            cue=self.cue,
        )


@dataclass(frozen=True)
class Margin:
    """A mean over simulated patients and how sure it is."""

    mean: float
    """Mean over patients."""
    error: float
    """Its standard error over patients (frames of one are not independent); NaN for one patient."""


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    name: str
    scores: VesselScores
    """Means over frames; frames where a score is undefined do not enter its mean."""
    recall_margin: Margin
    """Centreline recall less that of the chance row on the same patient."""
    weights_sha256: str = ""
    """Digest of the weights that drew the row; empty where it is no generator."""


@dataclass(frozen=True)
class Report:
    """The table and what it was made on."""

    rows: tuple[Row, ...]
    protocol: Protocol
    data: str
    """Name of the backgrounds."""
    seed: int
    frames: int
    """Frames measured."""


@dataclass(frozen=True)
class Judges:
    """The evaluation's own networks."""

    segmentor: UNet
    """Finds vessels in every row's frames."""
    oracle: UNet
    """Guesses vessels from frames without contrast."""

    @classmethod
    def train(cls, data: SimulatedData, protocol: Protocol, folder: Path, log: Log) -> Judges:
        """Train both, or load what an earlier evaluation of the same data and protocol left in `folder`."""
        own = protocol.data(protocol.training_runs)
        segmentor = _Lesson(
            "evaluation segmentor", protocol.segmentor_base, protocol.steps, batch=4, whole=False
        )
        oracle = _Lesson("oracle", protocol.oracle_base, 2 * protocol.steps, batch=2, whole=True)
        return cls(*(_judge(lesson, data, own, folder, log) for lesson in (segmentor, oracle)))


@dataclass(frozen=True)
class _Lesson:
    """How one judge is trained."""

    purpose: Purpose
    """Whose frames it learns from."""
    base: int
    """Width of its U-Net."""
    steps: int
    """Training steps."""
    batch: int
    """Images per step."""
    whole: bool
    """Whole frames instead of crops."""


def _judge(lesson: _Lesson, data: SimulatedData, own: DataSettings, folder: Path, log: Log) -> UNet:
    """Train one judge, or load the file that an earlier evaluation of the same lesson left."""
    torch.manual_seed(lesson.base)
    net = UNet(lesson.base)
    key = digest_with_simulator(data.seed, data.name, data.anatomy, own, lesson)
    path = folder / f"{lesson.purpose.split()[-1]}-{key}.safetensors"
    if path.is_file():
        load_unet(net, path)
        return net
    frames = pairs if lesson.purpose == "oracle" else angiograms
    labelled = frames(data, lesson.purpose, own, NORMALISATION)
    sampler = CropSampler(labelled, labelled, own, NORMALISATION)
    draws = torch.Generator().manual_seed(1)
    train_unet(
        net,
        lambda: sampler.labelled(lesson.batch, draws, whole=lesson.whole),
        steps=lesson.steps,
        lr=1e-3,
        log=lambda step, loss: log(f"{path.stem} step {step}: loss {loss:.3f}"),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(net.state_dict(), path)
    return net


@dataclass(frozen=True)
class Drawn:
    """What one row shows for one run, (T, H, W)."""

    frames: Frames
    vessels: Masks
    attention: Frames | None = None


def paired_table(
    generators: Mapping[str, Generator], data: SimulatedData, protocol: Protocol, folder: Path, log: Log
) -> tuple[Report, list[tuple[SimulatedRun, dict[str, Drawn]]]]:
    """Measure generators on held-out runs.

    Parameters
    ----------
    generators
        By the name of their row.
    data
        Simulator and seed; the evaluation's runs and those of its judges are not those of training.
    protocol
        How much of everything.
    folder
        Keeps the judges.
    log
        Receives sentences about progress.

    Returns
    -------
    Report
        The table.
    list
        For each run what every row shows, for pictures.
    """
    judges = Judges.train(data, protocol, folder, log)
    runs = list(simulated_runs(data, "evaluation", protocol.data(protocol.runs)))
    shown = [(run, dict(_rows(generators, judges, runs, i))) for i, run in enumerate(runs)]
    by_row = {name: [_scores(name, run, rows) for run, rows in shown] for name in shown[0][1]}
    hashes = {name: generator.info.weights_sha256 for name, generator in generators.items()}
    rows = tuple(
        Row(
            name,
            mean_scores(itertools.chain(*patients)),
            recall_margin(patients, by_row["chance"]),
            hashes.get(name, ""),
        )
        for name, patients in by_row.items()
    )
    frames = sum(len(run.plain) for run in runs)
    return Report(rows, protocol, data.name, data.seed, frames), shown


def _rows(
    generators: Mapping[str, Generator], judges: Judges, runs: Sequence[SimulatedRun], index: int
) -> Iterator[tuple[str, Drawn]]:
    run, other = runs[index], runs[(index + 1) % len(runs)]
    yield "identity", _read(judges.segmentor, run.plain)
    count = min(len(run.plain), len(other.plain))
    elsewhere = run.plain.copy()
    elsewhere[:count] += other.contrast[:count] - other.plain[:count]
    yield "chance", _read(judges.segmentor, np.clip(elsewhere, 0, 1))
    for name, generator in generators.items():
        made = generator(run.plain)
        yield name, _read(judges.segmentor, made.frames, made.attention)
    yield "oracle", Drawn(run.plain, find_vessels(judges.oracle, run.plain))
    yield "truth", _read(judges.segmentor, run.contrast)


def _read(segmentor: UNet, frames: Frames, attention: Frames | None = None) -> Drawn:
    return Drawn(frames, find_vessels(segmentor, frames), attention)


@torch.inference_mode()
def find_vessels(net: UNet, frames: Frames, levels: Levels | None = None) -> Masks:
    """Vessel mask of display frames (T, H, W), H and W multiples of 16; levels default to the frames' own."""
    levels = levels or measure_levels(frames, NORMALISATION)
    x = torch.from_numpy(to_network(frames, levels, NORMALISATION)[:, None])
    masks = [net.soft_mask(part)[:, 0] > 0.5 for part in torch.split(x, 4)]
    return np.asarray(torch.cat(masks).numpy())


def _scores(name: str, run: SimulatedRun, rows: Mapping[str, Drawn]) -> list[VesselScores]:
    """Score every frame of one patient in one row."""
    row = rows[name]
    scores: list[VesselScores] = []
    for t in range(len(run.plain)):
        truth = Truth(run.plain[t], run.vessel[t], run.centreline[t], run.heart[t])
        attention = None if row.attention is None else row.attention[t]
        scores.append(score_frame(row.frames[t], row.vessels[t], attention, truth))
    return scores


def recall_margin(
    patients: Sequence[Sequence[VesselScores]], chance: Sequence[Sequence[VesselScores]]
) -> Margin:
    """Compare the recall on each patient with that of the chance row on the same patient."""
    means, others = (
        np.array([np.mean([frame.recall for frame in frames]) for frames in row])
        for row in (patients, chance)
    )
    n = len(means)
    error = float(np.std(means - others, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Margin(float(np.mean(means - others)), error)


def mean_scores(scores: Iterable[VesselScores]) -> VesselScores:
    """Mean of each score over the frames where it is defined; NaN where it never is."""
    table = np.array([[getattr(s, field.name) for field in fields(VesselScores)] for s in scores])
    defined = ~np.isnan(table)
    with np.errstate(invalid="ignore"):
        means = np.where(defined, table, 0).sum(axis=0) / np.where(
            defined.any(axis=0), defined.sum(axis=0), np.nan
        )
    return VesselScores(*map(float, means))


def markdown(report: Report) -> str:
    """Render the table as Markdown."""
    lines = [
        "| row | Dice | centreline recall | recall less chance | centreline precision | cover % "
        "| on the heart % | background PSNR dB | mean A inside | mean A outside |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report.rows:
        s = row.scores
        margin = f"{row.recall_margin.mean:+.3f} ± {row.recall_margin.error:.3f}"
        figures = [f"{s.dice:.3f}", f"{s.recall:.3f}", margin, f"{s.precision:.3f}", f"{100 * s.cover:.2f}"]
        figures += [f"{100 * s.on_heart:.0f}", f"{s.background_psnr:.1f}"]
        figures += [f"{s.attention_inside:.3f}", f"{s.attention_outside:.3f}"]
        cells = ["—" if figure == "nan" else "∞" if figure == "inf" else figure for figure in figures]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
