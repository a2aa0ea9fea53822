"""From scores of frames and cines to the figures of a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from casgan_dicom.model.data.simulated import SimulatedRun
from casgan_dicom.model.evaluation.place import PlaceScores
from casgan_dicom.model.evaluation.rows import Drawn
from casgan_dicom.model.metrics.flicker import FlickerScores, score_flicker
from casgan_dicom.model.metrics.sets import SetScores
from casgan_dicom.model.metrics.vessels import Truth, VesselScores, score_frame

Scores = TypeVar("Scores", VesselScores, FlickerScores)


@dataclass(frozen=True)
class Margin:
    """A mean over simulated patients and how sure it is."""

    mean: float
    """Mean over patients."""
    error: float
    """Its standard error over patients (frames of one are not independent); NaN for one patient."""


@dataclass(frozen=True)
class Row:
    """One row of the table; what was not measured is None."""

    name: str
    """Its label."""
    scores: VesselScores | None = None
    """Means over frames; frames where a score is undefined do not enter its mean."""
    recall_margin: Margin | None = None
    """Centreline recall less that of the chance row on the same patient."""
    flicker: FlickerScores | None = None
    """Means over cines."""
    sets: SetScores | None = None
    """Distances to real angiograms; None for a row that draws no images."""
    place: PlaceScores | None = None
    """Whether the vessels lie where they must."""
    engine: str = ""
    """What ran its networks, and where; empty for a row that is no bundle."""


def score_run(drawn: Drawn, run: SimulatedRun) -> list[VesselScores]:
    """Score every frame of one patient in one row."""
    scores: list[VesselScores] = []
    for t in range(len(run.plain)):
        truth = Truth(run.plain[t], run.contrast[t], run.vessel[t], run.centreline[t], run.heart[t])
        attention = None if drawn.attention is None else drawn.attention[t]
        scores.append(score_frame(drawn.frames[t], drawn.vessels[t], attention, truth))
    return scores


def score_cine(drawn: Drawn, cine: SimulatedRun) -> FlickerScores:
    """Score consecutive frames of one patient in one row."""
    return score_flicker(drawn.frames, drawn.vessels, cine.plain, cine.contrast, cine.vessel, cine.tracks)


def mean_recalls(patients: Sequence[Sequence[VesselScores]]) -> list[float]:
    """Mean centreline recall on each patient."""
    return [float(np.mean([frame.recall for frame in frames])) for frames in patients]


def recall_margin(
    patients: Sequence[Sequence[VesselScores]], chance: Sequence[Sequence[VesselScores]]
) -> Margin:
    """Compare the recall on each patient with that of the chance row on the same patient."""
    means, others = (np.array(mean_recalls(row)) for row in (patients, chance))
    n = len(means)
    error = float(np.std(means - others, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Margin(float(np.mean(means - others)), error)


def mean_scores(kind: type[Scores], scores: Iterable[Scores]) -> Scores:
    """Mean of each score where it is defined; NaN where it never is."""
    table = np.array([[getattr(s, field.name) for field in fields(kind)] for s in scores])
    defined = ~np.isnan(table)
    with np.errstate(invalid="ignore"):
        means = np.where(defined, table, 0).sum(axis=0) / np.where(
            defined.any(axis=0), defined.sum(axis=0), np.nan
        )
    return kind(*map(float, means))
