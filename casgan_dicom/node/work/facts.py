"""What is known of a series when rules are asked: who sent it, what headers say, what pixels show.

Headers are read once; pixels only when a rule asks for them, by the judges of a conversion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from casgan_dicom.conversion.judgement import Judgement, judge_run
from casgan_dicom.conversion.task import Progress, silent
from casgan_dicom.errors import SeriesError
from casgan_dicom.node.rules.conditions import Truth
from casgan_dicom.source.acquisition import acquisition_of
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.elements import numbers
from casgan_dicom.source.motion import ROTATION, STEPPING

if TYPE_CHECKING:
    from casgan_dicom.model.generator import Generator

_TURNING = ("PositionerPrimaryAngleIncrement", "PositionerSecondaryAngleIncrement")
_MOVING = ("TableVerticalIncrement", "TableLateralIncrement", "TableLongitudinalIncrement")


@dataclass(frozen=True)
class Source:
    """Who sent a series; None where nobody says."""

    calling: str | None = None
    """Calling AE title of its first instance."""
    called: str | None = None
    """The AE title that was called."""
    address: str | None = None
    """Where it came from."""


@dataclass(frozen=True)
class Pixels:
    """What the pixels of a run show, as far as a rule asks."""

    opacified: Truth
    """Whether a frame already shows opacified vessels: for sure, perhaps, or none does."""
    score: float | None
    """Out-of-domain score; None where it was not judged."""
    unread: str = ""
    """Why the pixels could not be read; empty if they could."""
    unscored: str = ""
    """Why there is no score; empty if there is one."""


@dataclass(frozen=True, eq=False)
class RunKnown:
    """What the headers of one run say."""

    header: Dataset
    """Of its first instance: what may not vary in a run is the same in all."""
    kinds: Mapping[str, Truth]
    """What it is, and what it is not."""
    angles_deg: tuple[float, float] | None
    """Primary and secondary angle of a run whose positioner stands still; None for unknown."""


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of a series."""

    source: Source
    """Who sent it."""
    runs: tuple[RunKnown, ...]
    """Its runs: each multi-frame instance, or single frames together."""
    pixels: Mapping[str, tuple[Pixels, ...]] = field(default_factory=dict)
    """What the pixels of each run show, by the bundle that was asked; empty name: that of the worker."""


def facts_of(cines: Sequence[Cine], source: Source) -> Facts:
    """What the headers of the runs of a series say."""
    runs = [RunKnown(cine.header, _kinds(cine), acquisition_of(cine).angles_deg) for cine in cines]
    return Facts(source, tuple(runs))


def pixels_of(cine: Cine, generator: Generator, folder: Path, progress: Progress = silent) -> Pixels:
    """What the pixels of a run show; unknown, with the reason, where they cannot be read."""
    try:
        judged = judge_run(cine, generator, folder, progress)
    except SeriesError as error:
        return Pixels(Truth.UNKNOWN, None, error.message, error.message)
    said = "" if judged.domain.score is not None else "; ".join(judged.domain.reasons)
    return Pixels(_opacified(judged), judged.domain.score, unscored=said)


def _opacified(judged: Judgement) -> Truth:
    """Whether frames show contrast: what is only probable is unknown."""
    if any(judged.contrast.sure):
        return Truth.YES
    return Truth.UNKNOWN if any(judged.contrast.opacified) else Truth.NO


def _kinds(cine: Cine) -> dict[str, Truth]:
    """What a run is; a motion that no header tells of is unknown, unless there is but one frame."""
    header, several = cine.header, cine.frames > 1
    turns = _moves(cine, ROTATION, "PositionerMotion", told=bool(cine.frame_angles) or _any(header, _TURNING))
    steps = _moves(cine, STEPPING, "TableMotion", told=bool(cine.frame_tables) or _any(header, _MOVING))
    return {
        "image": Truth.NO if several else Truth.YES,
        "cine": Truth.YES if several else Truth.NO,
        "rotation": turns,
        "stepping": steps,
        "steady": Truth(Truth.YES - max(turns, steps)),
    }


def _moves(cine: Cine, motion: str, declared: str, *, told: bool) -> Truth:
    if motion in cine.motion:
        return Truth.YES
    still = cine.frames == 1 or told or cine.header.get(declared) == "STATIC"
    return Truth.NO if still else Truth.UNKNOWN


def _any(header: Dataset, keywords: Sequence[str]) -> bool:
    return any(numbers(header, keyword) for keyword in keywords)
