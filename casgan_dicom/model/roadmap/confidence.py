"""When a frame or a run is refused: thresholds on figures that the match itself gives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from casgan_dicom.model.roadmap.placed import Confidence, FrameReason, PhaseBy, RunReason, RunVerdict

LEAST_BACKGROUND = 0.35
"""Correlation of the backgrounds that a frame needs with an ECG."""
LEAST_BACKGROUND_ESTIMATED = 0.8
"""Without one."""
MOST_DOUBT = 0.15
"""By how much another shift may fit better."""
MOST_DISPLACED_PX = 3.0
"""How far a quarter of the background may have moved, pixels of a 256 px frame: more is no heart beat."""
FARTHEST_PX = 8.0
"""Largest estimated shift, pixels of a 256 px frame."""
MOST_SPREAD_PX = 3.0
"""Largest disagreement of the blocks, pixels of a 256 px frame."""
LARGEST_GAP_S = 0.07
"""From the wanted phase to the reference frame."""
MOST_REFUSED = 0.6
"""Share of refused frames from which the whole run is refused."""


def refusal(confidence: Confidence, shift_px: tuple[float, float], phase_by: PhaseBy) -> FrameReason | None:
    """Why a frame is refused, the first reason that holds; None where it is not.

    `shift_px` in pixels of a 256 px frame.
    """
    gap, spread = confidence.phase_gap_s or 0.0, confidence.spread_px or 0.0
    estimated = phase_by == "images"
    faults: tuple[tuple[FrameReason, bool], ...] = (
        ("gap", gap > LARGEST_GAP_S),
        ("background", confidence.background < LEAST_BACKGROUND),
        ("phase", estimated and confidence.background < LEAST_BACKGROUND_ESTIMATED),
        ("elsewhere", confidence.best_background - confidence.background > MOST_DOUBT),
        ("displaced", (confidence.displaced_px or 0.0) > MOST_DISPLACED_PX),
        ("moved", float(np.hypot(*shift_px)) > FARTHEST_PX),
        ("blocks", any(shift_px) and spread > MOST_SPREAD_PX),
    )
    return next((reason for reason, fault in faults if fault), None)


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
