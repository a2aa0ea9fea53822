"""When a frame or a run is refused: thresholds on figures that the match itself gives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from casgan_dicom.model.roadmap.placed import Confidence, FrameReason, PhaseBy, RunReason, RunVerdict

LEAST_BACKGROUND = 0.5
"""Correlation of the backgrounds that a frame needs with an ECG."""
LEAST_BACKGROUND_ESTIMATED = 0.8
"""Without one."""
FARTHEST_PX = 8.0
"""Largest estimated shift, pixels of a 256 px frame."""
MOST_SPREAD_PX = 3.0
"""Largest disagreement of the blocks, pixels of a 256 px frame."""
LARGEST_GAP_S = 0.07
"""From the wanted phase to the reference frame."""
MOST_REFUSED = 0.6
"""Share of refused frames from which the whole run is refused."""


def refusal(confidence: Confidence, shift_px: tuple[float, float], phase_by: PhaseBy) -> FrameReason | None:
    """Why a frame is refused; None where it is not. `shift_px` in pixels of a 256 px frame."""
    if confidence.phase_gap_s is not None and confidence.phase_gap_s > LARGEST_GAP_S:
        return "gap"
    if confidence.background < LEAST_BACKGROUND:
        return "background"
    if phase_by == "images" and confidence.background < LEAST_BACKGROUND_ESTIMATED:
        return "phase"
    if float(np.hypot(*shift_px)) > FARTHEST_PX:
        return "moved"
    if confidence.spread_px is not None and confidence.spread_px > MOST_SPREAD_PX:
        return "blocks"
    return None


def run_verdict(frames: int, refusals: Mapping[FrameReason, int], phase_by: PhaseBy) -> RunVerdict:
    """What becomes of a run of which so many frames are refused."""
    refused = sum(refusals.values())
    reasons: list[RunReason] = []
    if frames and refused > MOST_REFUSED * frames:
        reasons.append("frames")
        if refusals.get("background", 0) > refused / 2:
            reasons.append("view")
        if phase_by == "images" and refusals.get("phase", 0) > refused / 2:
            reasons.append("ecg")
    return RunVerdict(frames, frames - refused, dict(refusals), tuple(reasons))
