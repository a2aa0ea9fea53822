"""What was drawn over a run by plan, and where each fact about it is from: for report and header.

The same facts as the plan of the model, as plain values. How sure something is runs from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from casgan_dicom.derived.views import view_words

_APART_DEG = 45
"""Beyond this a view that was asked for is another one than that of the header."""


@dataclass(frozen=True)
class PlanRecord:
    """What a plan was made of; the report names the fields in this order."""

    tree: int
    """Number of the drawn tree in the library."""
    artery: Literal["left", "right"]
    """The coronary artery that is drawn."""
    artery_source: str
    """``given`` or ``picture``."""
    artery_sure: float
    """Probability of that artery by the picture."""
    angles_deg: tuple[float, float]
    """View that the tree is drawn in: primary (LAO positive) and secondary (cranial positive) angle."""
    angles_source: str
    """``given``, ``header``, ``header, primary sign flipped`` or ``picture``."""
    angles_seen_deg: tuple[float, float]
    """What the picture alone shows."""
    angles_spread_deg: float
    """How far the sampled frames are from agreeing on that."""
    landmarks_off_mm: float
    """How far off the artery's landmarks may lie by the network's own word, in patient mm."""
    field_mm: float
    """Side of the picture in the detector's plane, in mm."""
    scale_source: str
    """``header`` or ``picture``."""
    phase_source: str
    """Where the heart's phase is from: ``R waves``, ``catheter tip`` or ``picture``."""
    heart_rate_bpm: float | None
    """Beats a minute; None where unknown."""
    tip: tuple[float, float] | None
    """The catheter's tip in the first sampled frame, as shares of columns and rows; None if not seen."""
    tip_sure: float
    """How sure that is."""
    darkness: float
    """Optical depth of the drawn vessels over the usual one."""
    darkness_source: str
    """Where that is from: ``catheter`` (as dark as it is on this run's display) or ``usual``."""
    injection_s: tuple[float, float] | None = None
    """When agent leaves the catheter and for how long it flows, in s, as it was asked for; None: the tree is
    filled throughout."""
    refused: str = ""
    """Why nothing was drawn, one sentence; empty where the tree was."""
    notes: tuple[str, ...] = ()
    """What contradicts what, a sentence each."""

    def sets_aside(self, primary: object) -> bool:
        """Whether the primary angle of the header, in degrees, is not the one that the tree is drawn by."""
        if self.angles_source == "given":
            return isinstance(primary, int | float) and abs(self.angles_deg[0] - primary) > _APART_DEG
        return self.angles_source != "header"

    def clause(self) -> str:
        """One clause without its full stop, for Derivation Description (0008,2111) and for people."""
        if self.refused:
            return f"Nothing was drawn: {self.refused.rstrip('.')}"
        sure = "" if self.artery_source == "given" else f" {self.artery_sure:.2f}"
        view, seen = view_words(*self.angles_deg), view_words(*self.angles_seen_deg)
        seen = "" if self.angles_source == "picture" else f"; picture {seen}"
        filled = (
            "" if self.injection_s is None else "agent from {:g} s for {:g} s, ".format(*self.injection_s)
        )
        return (
            f"Tree {self.tree} of the library, {self.artery} artery ({self.artery_source}{sure}), "
            f"view {view} ({self.angles_source}{seen}), scale {self.scale_source}, "
            f"{filled}phase {self.phase_source}; plausible, not the patient's"
        )
