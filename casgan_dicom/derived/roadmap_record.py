"""What was laid over a run out of an earlier one of the same patient, as plain values: for report and header.

A *roadmap* shows the patient's own vessels of an earlier filled run. They are true about place, as far as the
match is, and say nothing of the present: no filling, no stenosis, no stent and no flow of now. Every sentence
here has to leave that standing. Frame numbers count from 1; lengths are millimetres on the detector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from casgan_dicom.pixels.banner import NO_ROADMAP, own_vessels

NO_ROADMAP_TEXT = "NO ROADMAP"
"""Begins what is said of a frame over which nothing was laid."""
UNKNOWN_TIME = "an unknown time"
"""What is said where no header tells when the reference was taken."""


@dataclass(frozen=True)
class RoadmapFrame:
    """What was laid over one frame, or why nothing was."""

    reference_frame: int
    """Frame of the reference whose vessels these are, or would have been."""
    phase_by: str
    """Where the phase of the heart is from: ``ECG``, or ``images``, which is an estimate."""
    table_px: float | None
    """How far the table has moved the picture, in pixels; None where its position is unknown."""
    moved_px: float
    """How far the vessels were moved beyond that, by an estimate from the pictures, in pixels."""
    table_mm: float | None = None
    """The table's part in mm; None where table or scale are unknown."""
    moved_mm: float | None = None
    """The estimate in mm; None where the scale is unknown."""
    background: float = 0.0
    """How alike the backgrounds are, normalised cross-correlation from -1 to 1."""
    spread_px: float | None = None
    """How far parts of the background are from agreeing on one shift; None where none told."""
    displaced_px: float | None = None
    """How far a quarter of the whole background has moved at least; None where nothing of it was found."""
    phase_gap_s: float | None = None
    """How far the reference frame is from the wanted phase; None where that is from images."""
    refused: str = ""
    """Why nothing was laid over the frame, one word for programs; empty where something was."""
    reason: str = ""
    """The same as a sentence."""

    def clause(self, when: str) -> str:
        """One clause without its full stop, for the header of this frame; `when` is the reference's time."""
        if self.refused:
            return f"{NO_ROADMAP_TEXT}: {self.reason}; the frame is the untouched input"
        phase = "by ECG" if self.phase_by == "ECG" else "estimated"
        return (
            f"patient's own vessels of {when}, frame {self.reference_frame}, moved {self._way()}; "
            f"phase {phase}; {not_current(when)}"
        )

    def _way(self) -> str:
        """Both parts of the way, in mm where the scale is known."""
        if self.table_px is None:
            table = "an unknown way (table)"
        else:
            table = f"{_length(self.table_mm, self.table_px)} (table)"
        return f"{table} + {_length(self.moved_mm, self.moved_px)} (estimated)"


@dataclass(frozen=True)
class RoadmapRecord:
    """What was laid over a run, and out of which."""

    series_uid: str
    """Series Instance UID (0020,000E) of the reference."""
    instances: tuple[str, ...]
    """Its SOP Instance UIDs (0008,0018)."""
    clock: str
    """When it was taken, as on a clock (``10:42``); empty where unknown."""
    filled: str
    """Its frames that show filled vessels, e.g. ``24-90``."""
    used: str
    """Those of them that are filled well enough to be used."""
    phase_by: str
    """``ECG``, or ``images``, which is an estimate."""
    frames: tuple[RoadmapFrame, ...] = ()
    """Every frame of the output, in order."""
    left_out: int = 0
    """Frames that were refused and are not in the output."""
    refusals: Mapping[str, int] = field(default_factory=dict)
    """Reason as a sentence and how many frames it refused, those that were left out among them."""
    verdicts: tuple[tuple[str, str, str], ...] = ()
    """What spoke for the reference, against it, or could not be told: criterion, answer, sentence."""

    @property
    def when(self) -> str:
        """The time of the reference, in words."""
        return self.clock or UNKNOWN_TIME

    @property
    def title(self) -> str:
        """What Series Description (0008,103E) calls the output."""
        return f"own vessels {self.clock}" if self.clock else "own vessels, time unknown"

    @property
    def warning(self) -> str:
        """Image Comments (0020,4000)."""
        return (
            f"AI-generated roadmap: the patient's own vessels of {self.when}, read by a neural network in an "
            f"earlier run, moved and laid over this one. {not_current(self.when).capitalize()}. Frames that "
            f"say {NO_ROADMAP_TEXT} are the untouched input. Experimental. For research, not for diagnosis."
        )

    def banner_texts(self, index: int) -> tuple[str, ...]:
        """What is burned into a frame of the output, by its place from 0; the first text that fits."""
        return NO_ROADMAP if self.frames[index].refused else own_vessels(self.clock)

    def clause(self) -> str:
        """One clause without its full stop, for Derivation Description (0008,2111) and for people."""
        drawn = [frame for frame in self.frames if not frame.refused]
        refused = sum(self.refusals.values())
        fate = f"{refused} of {len(self.frames) + self.left_out} frames without roadmap"
        if self.left_out:
            fate += f", {self.left_out} of them left out"
        phase = "by ECG" if self.phase_by == "ECG" else "estimated"
        return (
            f"Reference series {self.series_uid}, filled in frames {self.filled}; phase {phase}; "
            f"{_farthest(drawn)}{fate}"
        )


def not_current(when: str) -> str:
    """What no roadmap shows, one clause."""
    return f"not the current filling; stenoses, stents and flow are those of {when}"


def _length(mm: float | None, px: float) -> str:
    return f"{px:.1f} px" if mm is None else f"{mm:.1f} mm"


def _farthest(drawn: list[RoadmapFrame]) -> str:
    """How far vessels were moved at most, a clause with its comma; empty where none were."""
    if not drawn:
        return ""
    farthest = max(drawn, key=lambda frame: frame.moved_px)
    tables = [frame for frame in drawn if frame.table_px is not None]
    if tables:
        table = max(tables, key=lambda frame: frame.table_px or 0.0)
        way = f"at most {_length(table.table_mm, table.table_px or 0.0)} (table)"
    else:
        way = "an unknown way (table)"
    return f"moved {way} + at most {_length(farthest.moved_mm, farthest.moved_px)} (estimated); "
