"""Which reference frame shows the heart in the phase of a target frame, by the ECG.

Systole and early filling take about the same time whatever the heart rate; a slower heart only rests longer.
So frames correspond by the time since the R wave; in what a longer beat has more the heart is held where the
shorter one is 0.13 s before its next R wave, and from there on the time counts back from the next R wave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from casgan_dicom.model.atlas.ecg import r_waves_told_apart
from casgan_dicom.model.roadmap.run import Array

BEFORE_R_S = 0.13
"""From here to the next R wave the atrium contracts: this stretch is matched from its end."""
USUAL_BEAT_S = 0.85


@dataclass(frozen=True)
class Wanted:
    """Where in one beat of the reference a target frame belongs."""

    beat: int
    """Number of that beat, from 0."""
    time_s: float
    """On the reference's clock."""


def beats_of(r_waves_s: Sequence[float], until_s: float) -> Array:
    """The beats of a run.

    Parameters
    ----------
    r_waves_s
        At least two.
    until_s
        Time of its last frame.

    Returns
    -------
    float64 (B, 2)
        When each begins and ends, in s. One is added in front of the first R wave and as many as needed after
        the last, of the median length.
    """
    waves = r_waves_told_apart(r_waves_s)
    usual = float(np.median(np.diff(waves))) if len(waves) > 1 else USUAL_BEAT_S
    bounds = [waves[0] - usual, *waves]
    while bounds[-1] < until_s:
        bounds.append(bounds[-1] + usual)
    return np.stack([bounds[:-1], bounds[1:]], axis=1)


def since_r(time_s: float, r_waves_s: Sequence[float]) -> tuple[float, float | None]:
    """Time since the last R wave and to the next one, in s; None where no later one is known.

    Before the first R wave the last one is a beat of median length earlier. Raises ValueError without any.
    """
    waves = r_waves_told_apart(r_waves_s)
    if not len(waves):
        raise ValueError("no R wave is known, want one or more")
    usual = float(np.median(np.diff(waves))) if len(waves) > 1 else USUAL_BEAT_S
    at = int(np.searchsorted(waves, time_s, side="right"))
    last = waves[at - 1] if at else waves[0] - usual * np.ceil((waves[0] - time_s) / usual)
    following = float(waves[at] - time_s) if at < len(waves) else None
    return float(time_s - last), following


def diastole_hold(since_s: float, next_s: float | None, beat_s: float) -> float:
    """Time after the R wave in a beat of the reference for a time in a beat of the target.

    Parameters
    ----------
    since_s, next_s
        Time since the target's R wave, and to its next one; None where that is unknown.
    beat_s
        Length of the reference's beat.

    Returns
    -------
    float
        In [0, beat_s], never falling as `since_s` grows and `next_s` shrinks.
    """
    held = max(beat_s - BEFORE_R_S, 0.0)
    if next_s is not None and next_s <= BEFORE_R_S:
        return float(np.clip(beat_s - next_s, min(since_s, held), beat_s))
    return float(np.clip(since_s, 0.0, held))


def wanted_times(time_s: float, target_r_s: Sequence[float], reference_beats_s: Array) -> tuple[Wanted, ...]:
    """Where a target frame belongs in every beat (B, 2) of the reference."""
    since, following = since_r(time_s, target_r_s)
    return tuple(
        Wanted(beat, float(begin + diastole_hold(since, following, float(end - begin))))
        for beat, (begin, end) in enumerate(reference_beats_s)
    )
