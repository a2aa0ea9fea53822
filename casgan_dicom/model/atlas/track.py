"""The beat by the catheter: its tip rides on the ostium, so its track shows the heart's clock.

Position of the tip = rest + stretch · contraction(t) · way + breath(t), all in pixels of GRID, where `way` is
what the posed ostium makes from end-diastole to end-systole and breath is a slow wave along the rows. Rate
and start of the beat are searched on a grid; the rest is linear and solved by least squares with Cauchy
weights, because a tip that was taken for something else lies anywhere. What the network says of the
contraction counts beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.motion import contraction

_RATES_BPM = np.arange(46.0, 131.0, 3.0)
_STARTS = np.arange(0.0, 1.0, 1 / 24)
_COMMON_BPM, _COMMON_SD = 75.0, 20.0
"""Rate of most patients: with few frames, twice or half of a rate fits alike."""
_SCALE_PX = 2.0
"""Distance from the track at which a tip begins to count as mistaken."""
_NOISE_PX = 1.0
_NETWORK_SD = 0.3
"""How far the network's contraction is from the true one."""
_BREATH_S = 4.0
_PRIOR_MEAN = np.array([0.0, 0.0, 1.0, 0.0, 0.0])
_PRIOR_PRECISION = np.array([1e-4, 1e-4, 1 / 0.2**2, 1 / 1.5**2, 1 / 1.5**2])
"""Of (rest column, rest row, stretch, breath sine, breath cosine): rest is free, breath within 1.5 pixels."""
_ROUNDS = 4


@dataclass(frozen=True)
class Track:
    """What T sampled frames show of the tip and the beat."""

    times_s: Array
    """(T,) after the first frame of the run."""
    tips: Array
    """(T, 2) column and row, pixels of GRID."""
    weight: Array
    """(T,) how sure each tip is, 0 to 1."""
    contraction: Array
    """(T,) as the network reads it, 0 to 1."""
    way: Array
    """(2,) of the ostium from end-diastole to end-systole, pixels."""


@dataclass(frozen=True)
class Rhythm:
    """A steady beat."""

    rate_bpm: float
    """Beats per minute."""
    start: float
    """Phase at time 0, in [0, 1)."""

    def contraction_at(self, times_s: Array) -> Array:
        """Contraction at any times of the run, the shape of `times_s`."""
        return contraction(self.start + times_s * self.rate_bpm / 60.0)


@dataclass(frozen=True)
class TrackFit:
    """What a contraction makes of a track."""

    breath: Array
    """(2,) sine and cosine amplitude along the rows, pixels."""
    tips: Array
    """(T, 2) where the tips should be."""
    gain: float
    """How much less is left unexplained than by a tip that only breathes, in squared standard deviations."""

    def breath_at(self, times_s: Array) -> Array:
        """Shift of the picture by breathing at any times, (N, 2) pixels."""
        turn = 2 * np.pi * times_s / _BREATH_S
        rows = self.breath[0] * np.sin(turn) + self.breath[1] * np.cos(turn)
        return np.stack([np.zeros_like(rows), rows], axis=-1)


def search_rhythm(track: Track) -> Rhythm:
    """Find rate and start of the beat that explain the tips and the network's contraction."""
    rate, start = _best(track, _RATES_BPM, _STARTS)
    rate, start = _best(track, rate + np.linspace(-2, 2, 9), start + np.linspace(-1, 1, 9) / 24)
    return Rhythm(rate, start % 1.0)


def fit_track(track: Track, contracted: Array) -> TrackFit:
    """Explain the tips by a known contraction (T,)."""
    solved, costs = _solve(track, np.stack([contracted, np.zeros_like(contracted)]))
    tips = (_design(track, contracted[None])[0] @ solved[0]).reshape(-1, 2)
    return TrackFit(solved[0, 3:], tips, float(costs[1] - costs[0]))


def _best(track: Track, rates: Array, starts: Array) -> tuple[float, float]:
    grid = np.stack(np.meshgrid(rates, starts, indexing="ij"), axis=-1).reshape(-1, 2)
    contracted = contraction(grid[:, 1:] + grid[:, :1] * track.times_s / 60.0)  # (B, T)
    _, costs = _solve(track, contracted)
    costs = costs + (((contracted - track.contraction) / _NETWORK_SD) ** 2).sum(axis=1)
    costs = costs + ((grid[:, 0] - _COMMON_BPM) / _COMMON_SD) ** 2
    rate, start = grid[int(costs.argmin())]
    return float(rate), float(start)


def _design(track: Track, contracted: Array) -> Array:
    """(B, 2T, 5): what each unknown does to the columns and rows of the tips, for B contractions (B, T)."""
    turn = 2 * np.pi * track.times_s / _BREATH_S
    design = np.zeros((*contracted.shape, 2, 5))
    design[..., 0, 0] = design[..., 1, 1] = 1.0
    design[..., 2] = contracted[..., None] * track.way
    design[..., 1, 3], design[..., 1, 4] = np.sin(turn), np.cos(turn)
    return design.reshape(len(contracted), -1, 5)


def _solve(track: Track, contracted: Array) -> tuple[Array, Array]:
    """Unknowns (B, 5) of B contractions (B, T), and what each leaves unexplained, (B,)."""
    design, target = _design(track, contracted), track.tips.ravel()
    weight = np.broadcast_to(track.weight, contracted.shape)
    for _ in range(_ROUNDS):
        weighted = design * np.repeat(weight, 2, axis=1)[..., None] / _NOISE_PX**2
        normal = weighted.transpose(0, 2, 1) @ design + np.diag(_PRIOR_PRECISION)
        wanted = weighted.transpose(0, 2, 1) @ target + _PRIOR_PRECISION * _PRIOR_MEAN
        solved = np.linalg.solve(normal, wanted[..., None])[..., 0]
        left = (target - (design @ solved[..., None])[..., 0]).reshape(*contracted.shape, 2)
        far = (left**2).sum(axis=-1) / _SCALE_PX**2
        weight = track.weight / (1 + far)
    misfit = (track.weight * _SCALE_PX**2 * np.log1p(far)).sum(axis=1) / _NOISE_PX**2
    return solved, misfit + (_PRIOR_PRECISION * (solved - _PRIOR_MEAN) ** 2)[:, 2:].sum(axis=1)
