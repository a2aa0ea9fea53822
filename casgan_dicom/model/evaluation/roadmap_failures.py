"""What a roadmap does where it has to fail: pairs of runs that do not belong together, or moved in between.

A refused frame is no failure, a frame drawn in the wrong place is. Right means that half of the true
centreline lies within 2 px of the drawn one, pixels of a 256 px frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from casgan_dicom.model.data.run_pairs import PairChange
from casgan_dicom.model.metrics.overlay import OverlayScores
from casgan_dicom.model.roadmap.placed import PlacedRun

RIGHT = 0.5
"""Recall from which a drawn frame is right."""
OF_TARGET: Mapping[str, PairChange] = {
    "panning by 15 mm, in no header": PairChange(pan_mm=15.0),
    "deep breath, 25 mm": PairChange(breath_mm=25.0),
    "view turned by 5°": PairChange(turned_deg=5.0),
    "view turned by 10°": PairChange(turned_deg=10.0),
    "view turned by 20°": PairChange(turned_deg=20.0),
    "view turned by 30°": PairChange(turned_deg=30.0),
    "another artery": PairChange(other_artery=True),
    "another patient": PairChange(other_patient=True),
}
"""Failures of the second run alone."""
OF_BOTH: Mapping[str, PairChange] = {
    "fibrillation": PairChange(irregular=True),
    "narrowing treated in between": PairChange(treated=True),
    "short injection, wash-out": PairChange(washed_out=True),
    "7.5 frames a second": PairChange(frame_rate=7.5),
    "3.75 frames a second": PairChange(frame_rate=3.75),
}
"""Those that change the first run, too."""


@dataclass(frozen=True)
class FailureScores:
    """What became of the frames of one kind of failure."""

    runs: int
    """Pairs that were tried."""
    unusable: int
    """Of these, pairs whose reference was not usable: all their frames count as refused."""
    refused: float
    """Share of refused frames, those of refused runs among them."""
    refused_or_right: float
    """Share of frames that are refused or right."""
    recall: float
    """Mean recall of the frames that were drawn; NaN without any."""


@dataclass(frozen=True)
class Outcome:
    """One pair of a kind."""

    refused: tuple[bool, ...]
    """For each frame of the target."""
    scores: tuple[OverlayScores, ...]
    """Likewise, as if it had been drawn; empty where the reference was not usable."""

    @classmethod
    def of(cls, run: PlacedRun, scores: Sequence[OverlayScores]) -> Outcome:
        """Of a run that was laid over, and the scores of its frames."""
        return cls(tuple(placed.refused is not None for placed in run), tuple(scores))

    @classmethod
    def unusable(cls, frames: int) -> Outcome:
        """Of a pair whose reference was refused as a whole."""
        return cls((True,) * frames, ())


def failure_scores(outcomes: Sequence[Outcome]) -> FailureScores:
    """Sum up the pairs of one kind, one or more."""
    refused = np.concatenate([outcome.refused for outcome in outcomes])
    recall = np.concatenate(
        [
            [score.recall for score in outcome.scores] if outcome.scores else np.zeros(len(outcome.refused))
            for outcome in outcomes
        ]
    )
    drawn = recall[~refused]
    return FailureScores(
        runs=len(outcomes),
        unusable=sum(not outcome.scores for outcome in outcomes),
        refused=float(refused.mean()),
        refused_or_right=float((refused | (recall >= RIGHT)).mean()),
        recall=float(drawn.mean()) if len(drawn) else float("nan"),
    )
