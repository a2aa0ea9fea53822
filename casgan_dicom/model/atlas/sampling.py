"""Which frames of a run the networks look at."""

from __future__ import annotations

import numpy as np

MOST_SAMPLED = 16
"""Enough for every part of the beat and of the breath."""
_GOLDEN = (np.sqrt(5) - 1) / 2
_JITTER = 0.8
"""Range of a frame's shift, as a share of the gap between evenly spread ones."""


def sampled_frames(frames: int, most: int = MOST_SAMPLED) -> tuple[int, ...]:
    """Choose up to `most` frames of a run of `frames`, ascending, the first and the last among them.

    They are spread over the run at uneven gaps (multiples of the golden ratio): at even gaps of half a second
    a beat of 70 per minute and one of 50 look alike.
    """
    if frames <= most:
        return tuple(range(frames))
    even = np.linspace(0, frames - 1, most)
    shift = _JITTER * (np.mod(np.arange(most) * _GOLDEN, 1.0) - 0.5) * (even[1] - even[0])
    shift[[0, -1]] = 0.0
    return tuple(int(k) for k in np.unique(np.rint(even + shift)))
