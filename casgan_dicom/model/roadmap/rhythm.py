"""Without an ECG: the most likely way of the target's frames through those of the reference.

Each target frame fits each reference frame more or less by its background. From one target frame to the next
the heart goes on by as much as it does in the reference over the same time: a step to a reference frame costs
the more, the less its vessels look like those that follow the last one. Where beats resemble each other, the
way may go on in another beat. What comes out is an estimate, and is called one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from casgan_dicom.model.roadmap.run import Array

_STEP_COST = 0.6
"""What a step to vessels that look wholly unlike costs, in units of correlation."""


def step_costs(likeness: Array, times_s: Array, step_s: float) -> Array:
    """Cost of every step between R reference frames.

    Parameters
    ----------
    likeness
        (R, R) correlation of the vessels of two reference frames at their best shift, 1 on the diagonal.
    times_s
        (R,) of the reference frames.
    step_s
        Time from one target frame to the next.

    Returns
    -------
    float64 (R, R)
        [from, to] ≥ 0; 0 to the frame that follows after `step_s`. Where the run ends before that, any step
        to what follows a frame of like vessels costs as little.
    """
    count = len(times_s)
    spacing = float(np.median(np.diff(times_s))) if count > 1 else step_s
    costs = np.full((count, count), _STEP_COST)
    for at in range(count):
        alike = np.flatnonzero(likeness[at] >= np.partition(likeness[at], -3)[-3:].min())
        for start in {at, *alike.tolist()}:
            behind = np.abs(times_s - (times_s[start] + step_s))
            after = int(behind.argmin())
            if behind[after] <= 0.75 * max(spacing, step_s):
                doubt = (1 - likeness[at, start]) if start != at else 0.0
                costs[at] = np.minimum(costs[at], _STEP_COST * (doubt + 1 - likeness[after]))
    return np.asarray(np.maximum(costs, 0.0))


@dataclass
class Way:
    """The way through the reference, frame after frame (Viterbi)."""

    costs: Array
    """(R, R) from `step_costs`."""
    reached: Array | None = None
    """(R,) least cost of a way that ends in each reference frame."""
    origins: list[Array] = field(default_factory=list)
    """Where each of them came from, one (R,) for every frame after the first."""

    def step(self, fit: Array) -> int:
        """Take the fit (R,) of the next target frame; the likeliest reference frame so far."""
        worth = fit - fit.mean()
        if self.reached is None:
            self.reached = -worth
        else:
            total = self.reached[:, None] + self.costs
            origin = total.argmin(axis=0)
            self.origins.append(origin)
            self.reached = total[origin, np.arange(len(origin))] - worth
        return int(self.reached.argmin())

    def whole(self) -> list[int]:
        """The likeliest reference frame of every target frame, all of them considered."""
        if self.reached is None:
            return []
        path = [int(self.reached.argmin())]
        for origin in reversed(self.origins):
            path.append(int(origin[path[-1]]))
        return path[::-1]
