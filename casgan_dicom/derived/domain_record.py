"""Whether a run is of the kind that the bundle was trained on, as plain values, for report and header."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FrameScore:
    """One frame that was judged."""

    frame: int
    """Its number in the source, from 1."""
    score: float
    """0: a usual training frame; 1: the limit; above: foreign."""


@dataclass(frozen=True)
class DomainRecord:
    """What was found about a run; the report names the fields in this order."""

    foreign: bool | None
    """Whether the run is of another kind; None where that was not judged, which is no "no"."""
    score: float | None = None
    """Median over the frames that were judged: 0 is a usual training frame, 1 the limit; None likewise."""
    frames: tuple[FrameScore, ...] = ()
    """Scores of the frames that were judged, which are not all of a long run."""
    reasons: tuple[str, ...] = ()
    """Why it is foreign, or why nothing was judged; a clause each."""

    def of_frame(self, number: int) -> float | None:
        """Score of a frame by its number from 1; None where it was not judged."""
        return next((one.score for one in self.frames if one.frame == number), None)

    @property
    def short(self) -> str:
        """A few words for a picture or a table."""
        if self.foreign is None:
            return "kind of picture not judged"
        return f"{'FOREIGN: ' if self.foreign else ''}out-of-domain score {self.score:.2f}, limit 1"

    def clause(self) -> str:
        """One clause without its full stop, for Derivation Description (0008,2111) and for people."""
        if self.foreign is None:
            return f"Kind of picture not judged: {'; '.join(self.reasons)}"
        if not self.foreign:
            return f"O{self._judged[1:]}"
        return f"FOREIGN to what the model was trained on, converted by force: {self.told()}"

    def told(self) -> str:
        """Score and reasons of a foreign run, one clause."""
        return "; ".join((self._judged, *self.reasons))

    @property
    def _judged(self) -> str:
        return f"out-of-domain score {self.score:.2f}, limit 1, {len(self.frames)} frames judged"
