"""R waves among the samples of an ECG. What stands out in its steepness is the QRS complex:

    e = mean of (dx/dt)² over 80 ms
    QRS: the highest e within 0.3 s, at least a fifth of the run's highest; R wave: its extreme

Samples are cut off at both ends of their range, so heights mean little; the first and the last tenth of a
second is left out, where a filter of the device rings.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LEAST_HZ = 100.0
"""Samples per second below which a QRS complex cannot be seen."""
_QRS_S, _APART_S, _EDGE_S = 0.08, 0.3, 0.1
_OF_HIGHEST = 0.2
_STANDS_OUT = 0.1
"""Share of the highest steepness that half of the samples may reach at most."""

Array = npt.NDArray[np.float64]


def r_waves(samples: Array, rate_hz: float) -> list[int]:
    """Places of the R waves among the samples (N,) of an ECG; none where nothing stands out as a QRS does."""
    width = max(1, round(_QRS_S * rate_hz))
    steep = np.convolve(np.gradient(samples) ** 2, np.ones(width) / width, "same")
    edge = round(_EDGE_S * rate_hz)
    steep[:edge] = steep[len(steep) - edge :] = 0
    highest = float(steep.max(initial=0))
    if not np.isfinite(steep).all() or highest <= 0 or np.median(steep) > _STANDS_OUT * highest:
        return []
    found: list[int] = []
    for place in np.argsort(-steep, kind="stable"):
        if steep[place] < _OF_HIGHEST * highest:
            break
        if all(abs(int(place) - other) >= _APART_S * rate_hz for other in found):
            found.append(int(place))
    return [_r_wave(samples, place, width) for place in sorted(found)]


def _r_wave(samples: Array, place: int, width: int) -> int:
    """The first sample that is farthest from the usual value around: it may be cut off there."""
    first = max(0, place - width)
    around = samples[max(0, place - 3 * width) : place + 3 * width]
    return first + int(np.abs(samples[first : place + width // 2] - np.median(around)).argmax())
