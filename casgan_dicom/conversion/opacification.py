"""Which frames of a run already show opacified vessels, from what the segmentor marks in each of them.

One number per frame is enough: its cover, the share of what is visible that the segmentor takes for vessel.
A filled coronary tree covers 2 to 5 %. Catheters, pacing leads and clips are marked too, up to 1.2 % in
simulated runs, but they are there in every frame, so the run tells by itself how much that is:

    rise = cover - min(lasting, LASTING_AT_MOST)      lasting = the cover that 95 % of the run's frames reach
    opacified: neighbouring frames of rise ≥ VISIBLE, of which one reaches max(CERTAIN, SHARE_OF_FULL · top)

The bound lets a run that is opacified from its first to its last frame keep most of its cover. The second
limit is for marks that come and go without being an injection: an exposure ramp, a lead that moves. No
frame is judged by a brightness, and none without its neighbours: a median of three frames comes first.
Contrast comes and goes over many frames, so not each of them need be looked at, see `look_every`.

What this cannot tell: wash-out ends where the segmentor no longer sees vessels, a reader may see a trace of
agent a little longer or shorter; and a tree that covers less than about 1.2 % in a run without a frame
before the injection looks like a catheter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MARKED = 0.5
"""Probability from which a pixel counts as vessel."""
LASTING_SHARE = 0.05
"""Share of frames that may have less than the lasting cover."""
LASTING_AT_MOST = 0.007
"""Most of the cover that is put down to catheter, wires and clips."""
VISIBLE = 0.0025
"""Rise from which vessels are visible at all: about a tenth of a filled tree."""
CERTAIN = 0.005
"""Rise that an opacified stretch of frames reaches somewhere."""
SHARE_OF_FULL = 0.2
"""Share of the run's highest rise that an opacified stretch reaches somewhere."""
LOOKS_PER_SECOND = 7.5
"""Frames per second that have to be looked at: half as many told 98.1 % of simulated frames right
instead of 98.5 %."""
MOST_FRAMES_PER_SECOND = 120.0
"""No X-ray run is faster; a header that says so is not believed."""


@dataclass(frozen=True)
class Opacification:
    """What was found out about a run, one entry per frame, in the order of the frames."""

    opacified: tuple[bool, ...]
    """Whether the frame already shows opacified vessels."""
    cover: tuple[float, ...]
    """Share of the visible pixels that the segmentor takes for vessel, in [0, 1]: as measured, catheter and
    all; interpolated for a frame that was not looked at."""


class ContrastCheck:
    """Collects the cover of a run's frames, batch by batch, one number each, and judges them at the end.

    Parameters
    ----------
    every
        Which frames it is shown: the first and every so many after it.
    """

    def __init__(self, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every is {every}, want 1 or more")
        self.every = every
        self._cover: list[float] = []

    def add(self, vessels: npt.NDArray[np.float32], visible: npt.NDArray[np.bool_]) -> None:
        """Take the next frames of those that are looked at.

        Parameters
        ----------
        vessels
            Vessel probability in [0, 1], float32 (T, H, W), as from `Generator.vessels`.
        visible
            False behind a shutter, bool (T, H, W) or (H, W). A frame without a visible pixel has no cover.

        Raises
        ------
        ValueError
            `vessels` has another shape or holds values outside [0, 1], or `visible` does not fit it.
        """
        if vessels.ndim != 3 or visible.shape not in (vessels.shape, vessels.shape[1:]):
            raise ValueError(
                f"vessels need shape (T, H, W) and visible the same or (H, W), got {vessels.shape} "
                f"and {visible.shape}"
            )
        if vessels.size and not (vessels.min() >= 0 and vessels.max() <= 1):
            raise ValueError(f"vessels need values in [0, 1], got {vessels.min()} to {vessels.max()}")
        seen = np.broadcast_to(visible, vessels.shape)
        marked = np.count_nonzero((vessels >= MARKED) & seen, axis=(1, 2))
        self._cover += (marked / np.maximum(np.count_nonzero(seen, axis=(1, 2)), 1)).tolist()

    def result(self, frames: int | None = None) -> Opacification:
        """Judge the frames taken as one run.

        Parameters
        ----------
        frames
            Length of the run; None where each frame was looked at.

        Returns
        -------
        Opacification
            A frame that was not looked at is opacified where a look before or after it, the nearest on each
            side, found contrast.

        Raises
        ------
        ValueError
            A run of that length has another number of frames to look at than were taken.
        """
        looks = len(self._cover)
        frames = looks if frames is None else frames
        wanted = -(-frames // self.every)
        if wanted != looks:
            raise ValueError(
                f"{looks} frames taken, {frames} with step {self.every} have {wanted} to look at"
            )
        found, last = judge(self._cover), looks - 1
        near = [(k // self.every, min(-(-k // self.every), last)) for k in range(frames)]
        cover = tuple(
            self._cover[a] + (self._cover[b] - self._cover[a]) * (k % self.every) / self.every
            for k, (a, b) in enumerate(near)
        )
        return Opacification(tuple(found[a] or found[b] for a, b in near), cover)


def look_every(frame_rate: float | None) -> int:
    """Every how many frames are enough to find an injection, 1 or more.

    `frame_rate` in frames per second; None, or what is no rate, for unknown: then each frame is looked at.
    """
    if frame_rate is None or not LOOKS_PER_SECOND <= frame_rate <= MOST_FRAMES_PER_SECOND:
        return 1
    return int(frame_rate / LOOKS_PER_SECOND + 0.01)  # a frame time of 66.667 ms means 15 frames a second


def judge(cover: Sequence[float]) -> tuple[bool, ...]:
    """Say which frames of one run are opacified.

    Parameters
    ----------
    cover
        Of each frame in the order of time, in [0, 1].

    Returns
    -------
    tuple of bool
        As long as `cover`. Nothing is opacified where no cover exceeds `CERTAIN`.
    """
    if not len(cover):
        return ()
    smooth = _median_of_three(np.asarray(cover, dtype=np.float64))
    lasting = np.quantile(smooth, LASTING_SHARE, method="lower")
    rise = smooth - min(float(lasting), LASTING_AT_MOST)
    certain = max(CERTAIN, SHARE_OF_FULL * float(rise.max()))
    opacified = np.zeros(len(rise), dtype=np.bool_)
    for start, stop in _stretches(rise >= VISIBLE):
        opacified[start:stop] = rise[start:stop].max() >= certain
    return tuple(opacified.tolist())


def _median_of_three(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Median of each value and its neighbours; the first and the last are their own neighbours."""
    padded = np.pad(values, 1, mode="edge")
    return np.asarray(np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0))


def _stretches(on: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First index and index after the last of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
