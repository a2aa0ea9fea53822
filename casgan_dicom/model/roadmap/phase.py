"""Which reference frame shows the heart in the phase of a target frame, by the ECG.

Systole and early filling take about the same time whatever the heart rate; a slower heart only rests longer.
So frames correspond by the time since the R wave, but for the little that systole follows the rate; in what a
longer beat has more the heart is held where the shorter one is 0.13 s before its next R wave, and from there
on the time counts back from the next R wave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from casgan_dicom.model.atlas.ecg import r_waves_told_apart

BEFORE_R_S = 0.13
"""From here to the next R wave the atrium contracts: this stretch is matched from its end."""
USUAL_BEAT_S = 0.85
"""Of a heart of which nothing is known."""
_EARLY = 0.8
"""Share of the usual length below which a beat came early."""


@dataclass(frozen=True)
class Wanted:
    """Where in one beat of the reference a target frame belongs."""

    beat: int
    """Number of that beat, from 0."""
    time_s: float
    """On the reference's clock."""
    told: bool
    """Whether the beat lies between two R waves that are known."""


@dataclass(frozen=True)
class Beat:
    """One beat of the reference."""

    begin_s: float
    """Its R wave."""
    end_s: float
    """The next one."""
    told: bool
    """Whether both are known; else one is counted by the usual length."""

    @property
    def length_s(self) -> float:
        """From R wave to R wave."""
        return self.end_s - self.begin_s


def beats_of(r_waves_s: Sequence[float], until_s: float) -> tuple[Beat, ...]:
    """The beats of a run.

    Parameters
    ----------
    r_waves_s
        At least two.
    until_s
        Time of its last frame.

    Returns
    -------
    tuple of Beat
        In the order of time. One is added in front of the first R wave and as many as needed after the last,
        of the median length.
    """
    waves = r_waves_told_apart(r_waves_s)
    usual = float(np.median(np.diff(waves))) if len(waves) > 1 else USUAL_BEAT_S
    bounds = [waves[0] - usual, *waves]
    while bounds[-1] < until_s:
        bounds.append(bounds[-1] + usual)
    last = len(waves)
    pairs = enumerate(pairwise(float(bound) for bound in bounds))
    return tuple(Beat(begin, end, 0 < at < last) for at, (begin, end) in pairs)


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


def wanted_times(time_s: float, target_r_s: Sequence[float], beats: Sequence[Beat]) -> tuple[Wanted, ...]:
    """Where a target frame belongs in the beats of the reference.

    Beats that came early are left out where there are others: their heart was hardly filled.
    """
    since, following = since_r(time_s, target_r_s)
    usual = usual_length(beats)
    since *= _systole_scale(target_r_s, usual)
    return tuple(
        Wanted(at, beat.begin_s + diastole_hold(since, following, beat.length_s), beat.told)
        for at, beat in enumerate(beats)
        if beat.length_s >= _EARLY * usual
    )


def usual_length(beats: Sequence[Beat]) -> float:
    """Median length of the beats that are told, in s; of all where none is."""
    told = [beat.length_s for beat in beats if beat.told]
    return float(np.median(told or [beat.length_s for beat in beats]))


def _systole_scale(target_r_s: Sequence[float], usual_s: float) -> float:
    """How much longer systole takes in the reference: as the root of the usual beats' lengths (Bazett).

    The single beat does not count: systole follows the heart rate over minutes.
    """
    waves = r_waves_told_apart(target_r_s)
    if len(waves) < 2:
        return 1.0
    return float(np.clip(np.sqrt(usual_s / np.median(np.diff(waves))), 0.7, 1.4))
