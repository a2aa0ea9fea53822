"""The beat by the ECG: from R waves to the phase of each frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from casgan_dicom.model.simulator.geometry import Array

_SHORTEST_S = 0.3
"""R waves closer than this are one: no heart beats above 200 per minute here."""
_GAP = 1.6
"""An interval this many times the median holds beats whose R waves were missed."""


def phase_by_r_waves(r_waves_s: Sequence[float], times_s: Array) -> Array | None:
    """Cardiac phase of each frame, 0 at an R wave; None where there are too few.

    Parameters
    ----------
    r_waves_s
        Times of the R waves on the clock of the frames, in any order; doubles are dropped, and a long gap
        is divided into beats of about the median length.
    times_s
        (N,) times of the frames.

    Returns
    -------
    float64 (N,) or None
        Beats since the first R wave, fraction included, running on at the median rate before the first and
        after the last; None with fewer than two R waves.
    """
    waves = r_waves_told_apart(r_waves_s)
    if len(waves) < 2:
        return None
    intervals = np.diff(waves)
    median = float(np.median(intervals))
    beats = np.where(intervals > _GAP * median, np.maximum(np.round(intervals / median), 1.0), 1.0)
    count = np.concatenate([[0.0], np.cumsum(beats)])
    inside = np.interp(times_s, waves, count)
    before = np.minimum(times_s - waves[0], 0.0) / median
    after = np.maximum(times_s - waves[-1], 0.0) / median
    return np.asarray(inside + before + after)


def rate_of(r_waves_s: Sequence[float]) -> float:
    """Beats per minute by the median interval of at least two R waves."""
    return float(60.0 / np.median(np.diff(r_waves_told_apart(r_waves_s))))


def r_waves_told_apart(r_waves_s: Sequence[float]) -> Array:
    """R waves in order, without doubles and what is no number, float64."""
    ordered = np.sort(np.asarray(r_waves_s, dtype=np.float64))
    kept: list[float] = []
    for wave in ordered[np.isfinite(ordered)]:
        if not kept or wave - kept[-1] >= _SHORTEST_S:
            kept.append(float(wave))
    return np.array(kept)
