"""What is laid over one frame, how sure that is, and what is refused: the roadmap's whole answer.

Nothing here draws a vessel that the reference does not hold: a refused frame has no depth, so whoever
composes it keeps the untouched input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from casgan_dicom.model.roadmap.contrast_layer import ContrastLayer
from casgan_dicom.model.roadmap.run import FloatImage, Mask, Scale

PhaseBy = Literal["ECG", "images"]
"""Where the phase of the heart is from; "images" is an estimate and has to be said as one."""

FrameReason = Literal["background", "elsewhere", "displaced", "moved", "blocks", "phase", "gap", "run"]
RunReason = Literal["frames", "ecg", "view", "artery"]

FRAME_REASONS: Mapping[FrameReason, str] = {
    "background": "the background does not look like that of the reference frame",
    "elsewhere": "the background fits clearly better with another shift",
    "displaced": "too much of the background has moved: a breath, the table or the patient",
    "moved": "the estimated shift is larger than can be trusted",
    "blocks": "the parts of the background do not agree on one shift",
    "phase": "the phase of the heart is estimated from the pictures and not certain enough",
    "gap": "no filled reference frame is near enough in the phase of the heart",
    "run": "the run is refused as a whole",
}
"""Reason of a refused frame → the sentence for report and header. This list is complete."""
RUN_REASONS: Mapping[RunReason, str] = {
    "frames": "too many of its frames are refused",
    "ecg": "without R waves in both runs the phase of the heart could not be found",
    "view": "its background is not that of the reference: another patient, view or height of the table",
    "artery": "the catheter is not seen in the artery of the reference: it lies elsewhere or out of sight",
}
"""Reason of a refused run → the sentence for report and header. This list is complete."""


@dataclass(frozen=True)
class Confidence:
    """The figures by which a frame is accepted or refused."""

    background: float
    """Normalised cross-correlation of the two backgrounds around the vessels after the shift, -1 to 1."""
    best_background: float
    """The same at the shift where it is highest: far above `background`, the shift is in doubt."""
    spread_px: float | None
    """How far the informative blocks lie from their common shift, weighted median, pixels of a frame whose
    longer side is 256; None where no block told."""
    blocks: int
    """Blocks of background that told the shift."""
    displaced_px: float | None
    """How far the whole background has moved, the upper quartile of its blocks, pixels of a frame whose
    longer side is 256; None where no block was found again."""
    phase_gap_s: float | None
    """How far the reference frame is in time from the wanted phase; None where the phase is from images."""


@dataclass(frozen=True, eq=False)
class Placed:
    """One frame of the target and what is laid over it."""

    frame: int
    """Of the target, from 0."""
    reference_frame: int
    """Of the reference, from 0: whose vessels are laid over it, or would have been."""
    table_px: tuple[float, float]
    """Shift by the table's positions in the two headers, (down, right) in pixels; 0 where unknown."""
    shift_px: tuple[float, float]
    """Shift that was estimated beyond it, (down, right) in pixels."""
    table_moved_mm: float | None
    """Length of `table_px` in mm on the detector; None where the scale or a table's position is unknown."""
    moved_mm: float | None
    """Length of `shift_px` in mm on the detector; None where the scale is unknown."""
    phase_by: PhaseBy
    """Where the phase is from."""
    confidence: Confidence
    """By what it was judged."""
    refused: FrameReason | None
    """Why nothing is laid over the frame; None where it is. `FRAME_REASONS` has the sentence."""
    layer: ContrastLayer | None
    """The vessels before the shift; None for a refused frame."""

    @property
    def depth(self) -> FloatImage | None:
        """T of `compose`, float32 (H, W), 0 outside the vessels; None for a refused frame. Drawn anew."""
        return None if self.layer is None else self.layer.depth_at(self.way_px)

    @property
    def vessels(self) -> Mask | None:
        """The vessels as a mask, bool (H, W); None for a refused frame. Drawn anew at each call."""
        return None if self.layer is None else self.layer.mask_at(self.way_px)

    @property
    def way_px(self) -> tuple[float, float]:
        """Both shifts together, (down, right) in pixels; also of a refused frame."""
        return self.table_px[0] + self.shift_px[0], self.table_px[1] + self.shift_px[1]


@dataclass(frozen=True)
class RunVerdict:
    """What became of a run as a whole."""

    frames: int
    """Frames that were looked at."""
    accepted: int
    """Frames with a roadmap."""
    refusals: Mapping[FrameReason, int]
    """Reason → refused frames; only reasons that occurred."""
    reasons: tuple[RunReason, ...]
    """Why the whole run is refused; empty where it is not. `RUN_REASONS` has the sentences."""
    engaged: float | None = None
    """Evidence that the catheter lies in the artery of the reference, above 0 where it is seen there; None
    where nothing was asked, or nobody could tell."""

    @property
    def refused(self) -> bool:
        """Whether nothing may be laid over any of its frames."""
        return bool(self.reasons)


@dataclass(frozen=True, eq=False)
class PlacedRun:
    """All frames of a target, matched with the whole run in view; iterating gives `Placed` frame by frame."""

    placed: tuple[Placed, ...]
    """In the order of time; of a refused run every frame is refused."""
    verdict: RunVerdict
    """Of the run."""

    def __iter__(self) -> Iterator[Placed]:
        return iter(self.placed)

    def __len__(self) -> int:
        return len(self.placed)


def compose(frame: FloatImage, depth: FloatImage, scale: Scale = "linear") -> FloatImage:
    """Lay vessels over a frame: y = x · exp(-T), or y = x - T where display values are logarithms.

    Parameters
    ----------
    frame, depth
        Display values in [0, 1] and T ≥ 0, both float32 (H, W).
    scale
        That of both runs.

    Returns
    -------
    float32 (H, W)
        In [0, 1]; where T is 0, bit for bit the frame.

    Raises
    ------
    ValueError
        Their shapes differ.
    """
    if frame.shape != depth.shape:
        raise ValueError(f"compose needs two equal shapes, got frame {frame.shape} and depth {depth.shape}")
    drawn = frame * np.exp(-depth) if scale == "linear" else np.maximum(frame - depth, 0)
    return np.asarray(np.where(depth > 0, drawn, frame), dtype=np.float32)
