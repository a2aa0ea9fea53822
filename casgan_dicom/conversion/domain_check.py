"""Whether a run is of the kind that the bundle was trained on, from a few of its frames and its header.

Frames are judged while the first pass goes by, before anything is searched or drawn. A bundle that knows
nothing of its training frames judges nothing, which is said; unknown is never "no".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from casgan_dicom.derived.domain_record import DomainRecord, FrameScore
from casgan_dicom.errors import ForeignError
from casgan_dicom.model.domain.sampling import looked_at, reduced
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.field import implausible_field

if TYPE_CHECKING:
    from casgan_dicom.model.domain.judge import Likeness
    from casgan_dicom.model.generator import Generator

MOVES_FROM = 8
"""Frames from which a run of a heart moves."""
_EVERY = 7
"""Rows and columns of which one is compared with the frame before."""
NOT_KNOWN = "the bundle knows no statistics of its training frames"
"""Why nothing is judged."""
SMALLEST_SIDE = 128
"""Rows and columns from which a picture is judged by its score: no X-ray run has fewer, and coarser ones look
like nothing that a bundle was trained on."""
HINT = "--force converts it all the same"

Frame = npt.NDArray[np.float32]


class ForeignRunError(ForeignError):
    """A run was turned away; `record` says what was found."""

    def __init__(self, record: DomainRecord) -> None:
        super().__init__(f"not of the kind that the bundle was trained on: {record.told()}", hint=HINT)
        self.record = record


class DomainCheck:
    """Keeps a few small frames of a run while a pass over it goes by; memory does not grow with the run.

    Parameters
    ----------
    cine
        The run.
    """

    def __init__(self, cine: Cine) -> None:
        self._cine = cine
        self._numbers = looked_at(cine.frames)
        self._kept: list[Frame] = []
        self._last: Frame | None = None
        self._moves = cine.frames < MOVES_FROM

    def passing(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Hand on every frame of the run, display values float32 (H, W)."""
        wanted = frozenset(self._numbers)
        for k, frame in enumerate(frames):
            if k in wanted:
                self._kept.append(reduced(frame))
            if not self._moves:
                now = frame[::_EVERY, ::_EVERY].copy()
                self._moves = self._last is not None and not np.array_equal(now, self._last)
                self._last = now
            yield frame

    def result(self, generator: Generator) -> DomainRecord:
        """What was found, once all frames passed."""
        found = generator.judge(self._kept)
        if found is None:
            return DomainRecord(None, reasons=(NOT_KNOWN,))
        reasons = self._reasons(found)
        size = f"{self._cine.rows} × {self._cine.columns}"
        if min(self._cine.rows, self._cine.columns) < SMALLEST_SIDE and not reasons:
            return DomainRecord(
                None, reasons=(f"{size} pixels are too few, {SMALLEST_SIDE} a side are wanted",)
            )
        score = round(found.score, 2)
        scores = zip(self._numbers, found.scores, strict=True)
        return DomainRecord(
            foreign=score >= 1 or bool(reasons),
            score=score,
            frames=tuple(FrameScore(k + 1, round(one, 2)) for k, one in scores),
            reasons=reasons,
        )

    def _reasons(self, found: Likeness) -> tuple[str, ...]:
        """What tells a foreign run without its score."""
        still = "" if self._moves else f"no motion: all {self._cine.frames} frames are the same"
        return tuple(reason for reason in (found.oddity, still, implausible_field(self._cine)) if reason)


def turn_away(record: DomainRecord, *, force: bool) -> None:
    """Raise ForeignRunError for a foreign run, unless it is to be converted all the same."""
    if record.foreign and not force:
        raise ForeignRunError(record)
