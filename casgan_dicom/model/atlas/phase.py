"""Where in the beat each frame of a run is: by the ECG, else by the catheter, else by the picture alone.

The networks read some frames of a run; here all its frames get a contraction and a shift by breathing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from casgan_dicom.model.atlas.cues import Cues
from casgan_dicom.model.atlas.ecg import phase_by_r_waves, rate_of
from casgan_dicom.model.atlas.plan import PhaseSource
from casgan_dicom.model.atlas.track import Track, fit_track, search_rhythm
from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.motion import contraction

USUAL_FRAME_TIME_S = 1 / 15
"""Time between frames that is assumed where the header is silent."""
SURE_TIP = 0.3
"""From here a tip is believed: its mass near the peak, times the probability that there is one."""
_LEAST_TIPS = 5
_LEAST_GAIN = 6.0
"""How much better than a still heart a beat has to explain the tips: noise alone reaches half of it."""
_LEAST_EXPLAINED = 0.5
"""Share of the network's contraction that a steady beat has to explain to stand for it."""


@dataclass(frozen=True)
class Beat:
    """The heart's and the breath's way through the run of N frames, T of them sampled."""

    source: PhaseSource
    """Where it is from."""
    rate_bpm: float | None
    """Beats per minute; None where unknown."""
    contraction: Array
    """(N,) 0 to 1."""
    shift: Array
    """(N, 2) by breathing, whose mean over the sampled frames is 0, and by the table since the first of them;
    pixels of GRID."""
    tips: Array | None = None
    """(T, 2) the tips, mended by what they have in common; None where too few are sure."""


def sure_of_tip(cues: Cues) -> Array:
    """How sure the tip is in each sampled frame, (T,) 0 to 1."""
    return np.asarray(cues.tip_mass * (1 - cues.no_tip))


def read_beat(
    cues: Cues, sampled: Sequence[int], times_s: Array, r_waves_s: Sequence[float], way: Array
) -> Beat:
    """Give every frame of a run its place in the beat.

    Parameters
    ----------
    cues
        Readings of T frames.
    sampled
        Which frames of the run these are.
    times_s
        (N,) of all frames.
    r_waves_s
        On the same clock; empty where there is no ECG.
    way
        (2,) of the ostium from end-diastole to end-systole, pixels of GRID.
    """
    sure = sure_of_tip(cues)
    at = times_s[list(sampled)]
    weight = np.where(sure >= SURE_TIP, sure, 0.0)
    track = Track(at, cues.tip - cues.pan, weight, np.clip(cues.contraction, 0.0, 1.0), way)
    source, rate, contracted = _contraction(track, times_s, r_waves_s)
    table = np.stack([np.interp(times_s, at, cues.pan[:, k]) for k in (0, 1)], axis=1)
    if not _enough(track):
        return Beat(source, rate, contracted, table)
    fit = fit_track(track, np.interp(at, times_s, contracted))
    shift = table + fit.breath_at(times_s) - fit.breath_at(at).mean(axis=0)
    return Beat(source, rate, contracted, shift, fit.tips + cues.pan)


def _enough(track: Track) -> bool:
    return int((track.weight > 0).sum()) >= _LEAST_TIPS


def _contraction(
    track: Track, times_s: Array, r_waves_s: Sequence[float]
) -> tuple[PhaseSource, float | None, Array]:
    """The best source at hand, its beats per minute, and the contraction (N,) by it."""
    phase = phase_by_r_waves(r_waves_s, times_s)
    if phase is not None:
        return "R waves", rate_of(r_waves_s), contraction(phase)
    if _enough(track):
        rhythm = search_rhythm(track)
        if fit_track(track, rhythm.contraction_at(track.times_s)).gain >= _LEAST_GAIN:
            return "catheter tip", rhythm.rate_bpm, rhythm.contraction_at(times_s)
    rhythm = search_rhythm(replace(track, weight=np.zeros_like(track.weight)))
    left = track.contraction - rhythm.contraction_at(track.times_s)
    if (left**2).mean() <= (1 - _LEAST_EXPLAINED) * track.contraction.var():
        return "picture", rhythm.rate_bpm, rhythm.contraction_at(times_s)
    smooth = gaussian_filter1d(track.contraction, 1.0, mode="nearest")
    return "picture", None, np.interp(times_s, track.times_s, smooth)
