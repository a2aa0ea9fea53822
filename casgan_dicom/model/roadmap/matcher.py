"""Frame by frame: the phase, the reference frame, the shift, and whether to believe them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from casgan_dicom.model.roadmap.confidence import refusal, run_verdict
from casgan_dicom.model.roadmap.extraction import size_unit
from casgan_dicom.model.roadmap.look import Choice, Look, Match, choices_by_ecg, compare, fits, look_at
from casgan_dicom.model.roadmap.placed import (
    Confidence,
    FrameReason,
    PhaseBy,
    Placed,
    PlacedRun,
    RunReason,
    RunVerdict,
)
from casgan_dicom.model.roadmap.reference import Reference, table_shifts_px
from casgan_dicom.model.roadmap.rhythm import Way, step_costs
from casgan_dicom.model.roadmap.run import Engaged, FloatImage, Mask, TargetRun

_ASKED = 8
"""Frames, spread over the run, in which it is looked where the catheter lies."""
_SMOOTHED_S = 0.07
"""Shifts are the median over so much time on either side, where the whole run is known."""


class Matcher:
    """Lays the vessels of a reference over the frames of one target."""

    def __init__(self, reference: Reference, run: TargetRun) -> None:
        if run.visible is not None and run.visible.shape[-2:] != reference.shape:
            raise ValueError(
                f"visible of the target has shape {run.visible.shape}, the reference {reference.shape}"
            )
        self._reference = reference
        self._run = run
        self._refusals: Counter[FrameReason] = Counter()
        self._seen = 0

    @property
    def phase_by(self) -> PhaseBy:
        """Where the phase of the heart is from."""
        waves = self._run.r_waves_s
        known = waves is not None and len(waves) > 0 and self._reference.beats is not None
        return "ECG" if known else "images"

    def stream(self, frames: Iterable[FloatImage]) -> Iterator[Placed]:
        """Match frame after frame; nothing of a later frame is used, and nobody asked about the catheter.

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
        way: Way | None = None
        for number, frame in enumerate(frames):
            look = self._look(number, frame)
            if self.phase_by == "ECG":
                choices = self._by_ecg(number, causal=True)
            else:
                way = way or self._way()
                choices = [Choice(way.step(fits(look, self._reference)), None)]
            match = compare(look, self._reference, choices)
            yield self._count(self._judged(match, match.shift))

    def run(self, frames: Iterable[FloatImage], engaged: Engaged | None = None) -> PlacedRun:
        """Match a whole run, each frame with what comes before and after it; frames are read once.

        Beyond `stream`: R waves later than a frame tell how the beat ends, phases from images are the most
        likely way through the whole run, shifts are smoothed over neighbouring frames, and a run of which too
        much is refused is refused as a whole. So is one in which `engaged`, asked about a few frames, does
        not see the catheter in the artery of the reference; None asks nobody.
        """
        asked = np.unique(np.linspace(0, max(len(self._run.times_s) - 1, 0), _ASKED).astype(int)).tolist()
        kept: dict[int, FloatImage] = {}
        looks = []
        for number, frame in enumerate(frames):
            looks.append(self._look(number, frame))
            if engaged is not None and number in asked:
                kept[number] = frame
        if self.phase_by == "ECG":
            choices = [self._by_ecg(look.number, causal=False) for look in looks]
        else:
            way = self._way()
            for look in looks:
                way.step(fits(look, self._reference))
            choices = [[Choice(at, None)] for at in way.whole()]
        matches = [compare(look, self._reference, among) for look, among in zip(looks, choices, strict=True)]
        shifts = self._smoothed([match.shift for match in matches])
        placed = [self._count(self._judged(m, s)) for m, s in zip(matches, shifts, strict=True)]
        verdict = self.verdict
        if engaged is not None and kept and not verdict.refused:
            verdict = self._asked(verdict, kept, placed, engaged)
        if verdict.refused:
            placed = [replace(one, layer=None, refused=one.refused or "run") for one in placed]
        return PlacedRun(tuple(placed), verdict)

    @property
    def verdict(self) -> RunVerdict:
        """On the frames that were matched so far."""
        return run_verdict(self._seen, self._refusals, self.phase_by)

    def _asked(
        self,
        verdict: RunVerdict,
        kept: Mapping[int, FloatImage],
        placed: Sequence[Placed],
        engaged: Engaged,
    ) -> RunVerdict:
        """The verdict once it is known whether the catheter lies in the artery of the reference.

        Frames are asked about that are not refused, where there is one.
        """
        shown = [n for n in kept if placed[n].refused is None] or list(kept)
        layers = (self._reference.layer(placed[n].reference_frame) for n in shown)
        trees = [layer.mask_at(placed[n].way_px) for n, layer in zip(shown, layers, strict=True)]
        evidence = engaged(np.stack([kept[n] for n in shown]), np.stack(trees))
        reasons: tuple[RunReason, ...] = ("artery",) if evidence is not None and evidence <= 0 else ()
        return replace(verdict, reasons=reasons, engaged=evidence)

    def _count(self, placed: Placed) -> Placed:
        self._seen += 1
        if placed.refused is not None:
            self._refusals[placed.refused] += 1
        return placed

    def _look(self, number: int, frame: FloatImage) -> Look:
        if number >= len(self._run.times_s):
            raise ValueError(f"the target has {len(self._run.times_s)} times, and more frames than that")
        if frame.shape != self._reference.shape:
            raise ValueError(
                f"frame {number} of the target has shape {frame.shape}, the reference {self._reference.shape}"
            )
        return look_at(number, frame, self._visible(number), self._reference, self._table_px(number))

    def _visible(self, number: int) -> Mask | None:
        visible = self._run.visible
        return visible if visible is None or visible.ndim == 2 else visible[number]

    def _table_px(self, number: int) -> tuple[float, float] | None:
        """Beside the reference's table, which stands still by its median."""
        here = table_shifts_px(self._run.table_mm, self._run.pixel_mm, len(self._run.times_s))
        if here is None or self._reference.table_px is None:
            return None
        down, right = here[number] - np.median(self._reference.table_px, axis=0)
        return float(down), float(right)

    def _by_ecg(self, number: int, *, causal: bool) -> list[Choice]:
        time, waves = float(self._run.times_s[number]), self._run.r_waves_s
        assert waves is not None
        known = [wave for wave in waves if wave <= time] if causal else list(waves)
        if not known:
            return [Choice(0, np.inf)]
        return choices_by_ecg(time, known, self._reference)

    def _way(self) -> Way:
        times = self._run.times_s
        step = float(np.median(np.diff(times))) if len(times) > 1 else self._reference.step_s
        return Way(step_costs(self._reference.likeness[0], self._reference.times_s, step))

    def _smoothed(self, shifts: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        times, found = np.asarray(self._run.times_s[: len(shifts)]), np.asarray(shifts)
        near = [np.abs(times - time) <= _SMOOTHED_S for time in times]
        return [(float(d), float(r)) for d, r in (np.median(found[at], axis=0) for at in near)]

    def _judged(self, match: Match, grid_shift: tuple[float, float]) -> Placed:
        """Put everything together; `grid_shift` in pixels of the grid."""
        reference, factor = self._reference, self._reference.factor
        table = match.look.table_px
        way = reference.on_the_way(match.choice.at, match.choice.ahead_s or 0.0)
        shift = ((grid_shift[0] + way[0]) * factor, (grid_shift[1] + way[1]) * factor)
        unit = size_unit(reference.shape)
        spread, displaced = match.blocks.spread, match.displaced
        confidence = Confidence(
            background=match.background_at(grid_shift),
            best_background=match.best,
            spread_px=None if spread is None else spread * factor / unit,
            blocks=match.blocks.blocks,
            displaced_px=None if displaced is None else displaced * factor / unit,
            phase_gap_s=match.choice.gap_s,
        )
        refused = refusal(
            confidence, (grid_shift[0] * factor / unit, grid_shift[1] * factor / unit), self.phase_by
        )
        kept, pixel = reference.frames[match.choice.at], reference.pixel_mm
        return Placed(
            frame=match.look.number,
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
