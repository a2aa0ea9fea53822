"""One cine and how it is to be converted, where what is made of it goes, and how far that has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from casgan_dicom.conversion.artery import Artery
from casgan_dicom.conversion.options import FrameChoice, InjectionChoice, ViewChoice
from casgan_dicom.pixels.banner import Banner
from casgan_dicom.pixels.display import Display
from casgan_dicom.source.cine import Cine

if TYPE_CHECKING:
    from casgan_dicom.conversion.reference_reading import Guide

Mask = npt.NDArray[np.bool_]
Stage = Literal["reference", "measure", "check", "match", "generate"]
"""The three passes over a cine; before them that over a reference, and before the last the match with it."""


@dataclass(frozen=True)
class Step:
    """How far a cine has come."""

    source_instance_uid: str
    """SOP Instance UID (0008,0018) of the source, the first where there are several."""
    stage: Stage
    """Which of the passes."""
    done: int
    """Frames behind us in this pass."""
    frames: int
    """Frames of this pass."""
    cines: int
    """Cines that are converted in the same call, this one among them."""


Progress = Callable[[Step], None]


def silent(step: Step) -> None:
    """Report no progress."""


@dataclass(frozen=True)
class Task:
    """One cine and how it is to be treated."""

    cine: Cine
    """The source."""
    display: Display
    """Its stored values to display values, and its shutters."""
    banner: Banner | None
    """What is burned in; None for nothing."""
    choice: FrameChoice = field(default_factory=FrameChoice)
    """Which frames are converted."""
    artery: Artery = "auto"
    """Which coronary artery is drawn, by a generator that plans."""
    view: ViewChoice = field(default_factory=ViewChoice)
    """From where the run was taken, for such a generator."""
    injection: InjectionChoice = field(default_factory=InjectionChoice)
    """When contrast arrives and for how long it flows, for such a generator."""
    bits: int = 8
    """Bits Stored (0028,0101) of the output."""
    sheet: bool = False
    """Whether a contact sheet is wanted."""
    picture: Mask | None = None
    """Where the run has a picture, bool (H, W); None before all frames were seen."""
    cines: int = 1
    """Cines that are converted in the same call, for who looks on."""
    force: bool = False
    """Whether a run that is foreign to the bundle is converted all the same."""
    guide: Guide | None = None
    """The earlier run whose vessels are laid over this one; None lets a generator draw."""
    omits_refused: bool = False
    """Whether frames over which nothing can be laid are left out."""


@dataclass(frozen=True)
class Spools:
    """Empty files, open for reading and writing, for what is made frame by frame."""

    source: BinaryIO
    """For the stored values of the source, decoded."""
    frames: BinaryIO
    """For the synthetic frames."""
    attention: BinaryIO | None = None
    """For the attention maps; None if they are not wanted."""
    vessels: BinaryIO | None = None
    """For the vessel masks; None if they are not wanted."""
