"""Frame by frame: the phase, the reference frame, the shift, and whether to believe them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from casgan_dicom.model.roadmap.background import (
    Spectrum,
    correlation,
    grid_weight,
    peak,
    structure,
    to_grid,
)
from casgan_dicom.model.roadmap.confidence import refusal, run_verdict
from casgan_dicom.model.roadmap.extraction import logarithm
from casgan_dicom.model.roadmap.phase import wanted_times
from casgan_dicom.model.roadmap.placed import Confidence, FrameReason, PhaseBy, Placed, PlacedRun, RunVerdict
from casgan_dicom.model.roadmap.reference import Reference, table_shifts_px
from casgan_dicom.model.roadmap.run import FloatImage, Mask, TargetRun

_AS_NEAR_S = 0.02
"""Reference frames whose phases are this much alike are told apart by their background."""


@dataclass(frozen=True)
class _Candidate:
    """A reference frame for a target frame."""

    at: int
    """Place in `Reference.frames`."""
    gap_s: float | None
    """How far it is from the wanted phase."""


class Matcher:
    """Lays the vessels of a reference over the frames of one target."""

    def __init__(self, reference: Reference, run: TargetRun) -> None:
        if run.visible is not None and run.visible.shape != reference.shape:
            raise ValueError(
                f"visible of the target has shape {run.visible.shape}, the reference {reference.shape}"
            )
        self._reference = reference
        self._run = run
        self._visible: Mask = np.ones(reference.shape, dtype=np.bool_) if run.visible is None else run.visible
        self._weight = grid_weight(self._visible, None, reference.factor)
        self._refusals: Counter[FrameReason] = Counter()
        self._seen = 0

    @property
    def phase_by(self) -> PhaseBy:
        """Where the phase of the heart is from."""
        waves = self._run.r_waves_s
        known = waves is not None and len(waves) > 0 and self._reference.beats_s is not None
        return "ECG" if known else "images"

    def stream(self, frames: Iterable[FloatImage]) -> Iterator[Placed]:
        """Match frame after frame; nothing of a later frame is used.

        Parameters
        ----------
        frames
            Display values in [0, 1], float32 (H, W), in the order of time.

        Yields
        ------
        Placed
            One for each frame, as soon as it is read. Only the R waves count that are not later than the
            frame: a live caller may append to `TargetRun.times_s` and `r_waves_s` while this runs.

        Raises
        ------
        ValueError
            A frame has another shape than the reference, or there are more frames than times.
        """
        for number, frame in enumerate(frames):
            yield self._count(self._place(number, frame, self._run.times_s[number]))

    def run(self, frames: Iterable[FloatImage]) -> PlacedRun:
        """Match a whole run, each frame with what comes before and after it; frames are read once.

        Beyond `stream`: R waves later than a frame tell how the beat ends, phases from images are the most
        likely way through the whole run, shifts are smoothed over neighbouring frames, and a run of which too
        much is refused is refused as a whole.
        """
        placed = [self._count(self._place(n, frame, None)) for n, frame in enumerate(frames)]
        verdict = self.verdict
        if verdict.refused:
            placed = [replace(one, layer=None, refused=one.refused or "background") for one in placed]
        return PlacedRun(tuple(placed), verdict)

    @property
    def verdict(self) -> RunVerdict:
        """On the frames that were matched so far."""
        return run_verdict(self._seen, self._refusals, self.phase_by)

    def _count(self, placed: Placed) -> Placed:
        self._seen += 1
        if placed.refused is not None:
            self._refusals[placed.refused] += 1
        return placed

    def _place(self, number: int, frame: FloatImage, until_s: float | None) -> Placed:
        if frame.shape != self._reference.shape:
            raise ValueError(
                f"frame {number} of the target has shape {frame.shape}, the reference {self._reference.shape}"
            )
        value = to_grid(logarithm(frame, self._reference.scale), self._reference.factor)
        spectrum = Spectrum.of(structure(value, self._weight), self._weight)
        chosen, height = None, -2.0
        for candidate in self._candidates(number, until_s):
            _, best = peak(correlation(spectrum, self._reference.spectra[candidate.at]))
            if best > height:
                chosen, height = candidate, best
        assert chosen is not None
        return self._placed(number, chosen, height)

    def _candidates(self, number: int, until_s: float | None) -> list[_Candidate]:
        """Reference frames in the phase of a target frame."""
        reference, waves = self._reference, self._run.r_waves_s
        if self.phase_by == "images" or waves is None or reference.beats_s is None:
            return [_Candidate(at, None) for at in range(len(reference.frames))]
        time = float(self._run.times_s[number])
        known = [wave for wave in waves if until_s is None or wave <= until_s] or list(waves)
        near = []
        for wanted in wanted_times(time, known, reference.beats_s):
            gaps = np.abs(reference.times_s - wanted.time_s)
            at = int(gaps.argmin())
            near.append(_Candidate(at, float(gaps[at])))
        least = min(one.gap_s for one in near if one.gap_s is not None)
        return [one for one in near if one.gap_s is not None and one.gap_s <= least + _AS_NEAR_S]

    def _placed(self, number: int, chosen: _Candidate, height: float) -> Placed:
        reference = self._reference
        table = self._table_px(number, chosen.at)
        shift = (0.0, 0.0)
        confidence = Confidence(height, None, 0, chosen.gap_s)
        refused = refusal(confidence, shift, self.phase_by)
        kept = reference.frames[chosen.at]
        pixel = reference.pixel_mm
        return Placed(
            frame=number,
            reference_frame=kept.number,
            table_px=table or (0.0, 0.0),
            shift_px=shift,
            table_moved_mm=None if pixel is None or table is None else float(np.hypot(*table)) * pixel,
            moved_mm=None if pixel is None else float(np.hypot(*shift)) * pixel,
            phase_by=self.phase_by,
            confidence=confidence,
            refused=refused,
            layer=None if refused else kept.layer,
        )

    def _table_px(self, number: int, at: int) -> tuple[float, float] | None:
        here = table_shifts_px(self._run.table_mm, self._run.pixel_mm, len(self._run.times_s))
        if here is None or self._reference.table_px is None:
            return None
        down, right = here[number] - self._reference.table_px[at]
        return float(down), float(right)
