"""The judge of a bundle: frames of a run in, how far they are from what it was trained on out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.domain.checks import oddity
from casgan_dicom.model.domain.sampling import Frame
from casgan_dicom.model.domain.statistics import DomainStatistics
from casgan_dicom.model.domain.view import bare, judged

Encode = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float64]]
"""What the encoder of a segmentor makes of pictures (N, S, S): features (N, D), see ``encoder.py``."""


@dataclass(frozen=True)
class Likeness:
    """What was found in frames of one run."""

    scores: tuple[float, ...]
    """One for each frame: 0 is a usual training frame, 1 the limit."""
    oddities: tuple[str, ...]
    """What a frame is in place of a heart, empty where it may be one; one for each frame."""

    @property
    def score(self) -> float:
        """That of the run: the median."""
        return float(np.median(self.scores))

    @property
    def oddity(self) -> str:
        """What more than half of the frames are in place of a heart; empty where they may be one."""
        found = [one for one in self.oddities if one]
        return max(set(found), key=found.count) if 2 * len(found) > len(self.oddities) else ""


@dataclass(frozen=True)
class DomainJudge:
    """Judges by the statistics of a bundle."""

    encode: Encode
    """The encoder of the bundle's segmentor."""
    statistics: DomainStatistics
    """Of that encoder's features."""

    def __call__(self, frames: Sequence[Frame]) -> Likeness:
        """Judge frames (H, W) of one run, display values in [0, 1]; raises ValueError without any."""
        if not len(frames):
            raise ValueError("no frame to judge")
        pictures = [bare(frame) for frame in frames]
        features = self.encode(np.stack([judged(picture) for picture in pictures]))
        scores = self.statistics.scores(features)
        return Likeness(tuple(map(float, scores)), tuple(map(oddity, frames, pictures)))
