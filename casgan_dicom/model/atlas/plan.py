"""What is drawn over one run: which tree, where, how it moves; and where each fact was taken from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart

if TYPE_CHECKING:
    from casgan_dicom.model.simulator.tree import System  # which grows trees with scipy.interpolate

Array = npt.NDArray[np.float64]

AnglesSource = Literal["given", "header", "header, primary sign flipped", "picture"]
ScaleSource = Literal["header", "picture"]
PhaseSource = Literal["R waves", "catheter tip", "picture"]
DarknessSource = Literal["catheter", "usual"]


@dataclass(frozen=True)
class PlanFacts:
    """What a plan was made of: for report and header, so every number says where it is from."""

    artery: System
    """The artery that is drawn."""
    artery_source: Literal["given", "picture"]
    """Who said so."""
    artery_sure: float
    """Probability of that artery by the picture, 0 to 1."""
    angles_deg: tuple[float, float]
    """The view that the tree is drawn in."""
    angles_source: AnglesSource
    """Where it is from."""
    angles_seen_deg: tuple[float, float]
    """What the picture alone shows."""
    angles_spread_deg: float
    """How far the sampled frames are from agreeing on that: median distance from their median."""
    landmarks_off_mm: float
    """How far off the artery's landmarks may lie by the network's own word: median of the Laplace scales, in
    patient mm."""
    field_mm: float
    """Side of the picture in the detector's plane."""
    scale_source: ScaleSource
    """Where that is from."""
    phase_source: PhaseSource
    """Where the heart's phase is from."""
    heart_rate_bpm: float | None
    """Beats per minute; None where unknown."""
    tip: tuple[float, float] | None
    """The catheter's tip in the first sampled frame, as shares of columns and rows; None if none is seen."""
    tip_sure: float
    """How sure, 0 to 1."""
    darkness: float
    """Optical depth of vessels over what is usual."""
    darkness_source: DarknessSource
    """Where that is from; a usual one is 1."""
    tree: int
    """Number of the tree in the library."""
    injection_s: tuple[float, float] | None = None
    """When agent leaves the catheter and for how long it flows, as it was asked for; None: filled
    throughout."""
    notes: tuple[str, ...] = ()
    """What contradicts what, a sentence each."""


@dataclass(frozen=True, eq=False)
class RunPlan:
    """What is drawn over a run of N frames; nothing where `refused` says why."""

    facts: PlanFacts
    """What it was made of."""
    refused: str = ""
    """Why nothing is drawn, one sentence; empty where a tree is."""
    view: View = field(default_factory=View)
    """The view, of GRID rows and columns."""
    heart: Heart = field(default_factory=Heart)
    """The heart that the tree lies on."""
    warp: Array = field(default_factory=lambda: np.zeros((3, 2)))
    """(3, 2) affine correction in the picture: q = p + [p - centre, 1] @ warp."""
    centre: tuple[float, float] = (0.0, 0.0)
    """Where `warp` turns about, pixels of GRID."""
    contraction: Array = field(default_factory=lambda: np.zeros(0))
    """(N,) of every frame of the run."""
    shift: Array = field(default_factory=lambda: np.zeros((0, 2)))
    """(N, 2) breath and table of every frame, pixels of GRID."""
    exposure: float = 0.0
    """Share of the time between two frames during which X-rays are on: vessels smear along their way."""
    times_s: Array = field(default_factory=lambda: np.zeros(0))
    """(N,) of every frame; what an injection goes by."""
    border: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros((1, 1), dtype=np.bool_))
    """Where no picture is, (h, w) of any size; nothing is drawn there."""
    ostium: Array = field(default_factory=lambda: np.zeros((0, 2)))
    """(N, 2) where the tree begins in every frame, pixels of GRID."""
