"""How probable it is that a frame shows opacified vessels, from what changed in its run.

Two questions, each answered by a logistic of a few figures:

    P(rose)    has this look risen above the run's quiet state?       by `contrast_change.RISE`
    P(filled)  is the quiet state filled itself?                      by `contrast_change.SHAPE`
    P          = 1 - (1 - P(rose)) · (1 - P(filled))

The first is as good as certain; the second is not: a catheter, wires and ribs can be marked as much as a
small tree. It is asked once for a run, since its frames are no independent witnesses.

Where the numbers are from. `RISE_WEIGHTS` and `RISE_AT` are fitted on simulated runs, see
tests/bench/fit_contrast.py. The fit of `FILLED_WEIGHTS` (1.8, 0.7 and 0.9) was changed by hand to what is
known of 45 real runs: without contrast they have a cover of 0.85 % in the median, 2.2 % in the 90th and 4.9 %
in the 100th percentile, with it 3 to 8 %, so all weights are half as large again and `FILLED_AT` lies higher;
and what is marked without contrast is many short pieces there, which simulated runs hardly have, so length
counts for more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from casgan_dicom.conversion.contrast_change import Change

SURE = 0.9
"""Probability from which a mark is sure; below one less this, its absence is."""
RISE_WEIGHTS = np.array([1.8, 2.3, -1.9])
"""Of the columns of RISE."""
RISE_AT = 0.6
"""Their weighted sum at which a rise is as probable as none."""
FILLED_WEIGHTS = np.array([2.7, 1.5, 1.0])
"""Of the columns of SHAPE."""
FILLED_AT = -11.8
"""Their weighted sum at which a quiet state is as likely filled as not, in a run without any rise."""
USUAL_MOVING = -0.6
"""The last column of SHAPE where it is not known."""
EMPTIER = 0.8
"""By how much, per logarithm that a run's cover rose, the state before is less likely to be filled."""
MOST_RISE = 2.0
"""The rise up to which that counts."""

Float = npt.NDArray[np.float64]
Reason = Literal["no picture", "quiet", "rose", "filled throughout", "unsure"]
"""Why a frame is judged as it is: it shows no picture; it is as the quiet state of its run, which looks
empty; it rose above that; that state itself looks filled; or neither vessels nor their absence is sure."""


@dataclass(frozen=True)
class Odds:
    """One look."""

    probability: float
    """That it shows opacified vessels, in [0, 1]."""
    reason: Reason
    """Why."""


def odds_of(change: Change) -> tuple[Odds, ...]:
    """Judge every look of a run."""
    rose = _logistic(change.rise @ RISE_WEIGHTS - RISE_AT)
    filled = _filled(change, 1 - rose)
    return tuple(_odds(float(one), filled) for one in rose)


def _filled(change: Change, quiet: Float) -> float:
    """Probability that the quiet state is filled; `quiet` says how far each look belongs to it, (T,)."""
    shape = np.where(np.isnan(change.shape), USUAL_MOVING, change.shape)
    shows = float(np.average(shape @ FILLED_WEIGHTS, weights=quiet + 1e-6))
    rise = float(np.clip(change.rise[:, 0].max(), 0, MOST_RISE))
    return float(_logistic(shows - FILLED_AT - EMPTIER * rise))


def _odds(rose: float, filled: float) -> Odds:
    probability = 1 - (1 - rose) * (1 - filled)
    if 1 - SURE < probability < SURE:
        return Odds(probability, "unsure")
    if probability <= 1 - SURE:
        return Odds(probability, "quiet")
    return Odds(probability, "rose" if rose >= filled else "filled throughout")


def _logistic(odds: Float | float) -> Float:
    """Log odds as a probability."""
    return np.asarray(1 / (1 + np.exp(-np.asarray(odds, dtype=np.float64))))
