"""Which frames of a run already show opacified vessels, and how probable that is.

A run is looked at several times a second (`look_every`); one that shows nothing in a third of these looks,
spread over it, is not looked at more closely (`looks_in_turn`). Of each look little is kept
(`contrast_looks.py`); at the end the run is compared with its own quiet state (`contrast_change.py`) and
every look gets a probability and a reason (`contrast_odds.py`). Frames between two looks follow the look that
is more likely to show contrast. How much the segmentor marks says little by itself: ribs, wires, electrodes,
the border of the heart and the catheter are marked, too, in real runs up to 4.9 % of the picture.

What this cannot tell: a run that is filled throughout from one in which as much is marked and moves; such a
run is marked as unsure. Wash-out ends where the segmentor no longer sees vessels; a reader may see a trace
of agent a little longer or shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import numpy.typing as npt

from casgan_dicom.conversion.contrast_change import change_of
from casgan_dicom.conversion.contrast_looks import Look, look_at
from casgan_dicom.conversion.contrast_odds import SURE, Odds, Reason, odds_of

LOOKS_PER_SECOND = 7.5
"""Frames per second that are looked at: contrast comes and goes over many frames."""
MOST_FRAMES_PER_SECOND = 120.0
"""No X-ray run is faster; a header that says so is not believed."""
MOST_LOOKS = 512
"""Looks that are kept, at most; of a longer run fewer frames a second are looked at."""
FIRST_OF = 3
"""Of so many looks one is taken first."""
SHORT = 8
"""Looks of a run up to which all are taken at once."""
SHOWN = 0.5
"""Probability from which a frame counts as one that shows contrast."""


@dataclass(frozen=True)
class Opacification:
    """What was found out about a run, one entry per frame, in the order of the frames."""

    opacified: tuple[bool, ...]
    """Whether the frame is taken for one that already shows opacified vessels: probability 0.5 or more."""
    probability: tuple[float, ...]
    """That it does, in [0, 1]."""
    cover: tuple[float, ...]
    """Share of the visible pixels that the segmentor takes for vessel, in [0, 1]: as measured, catheter and
    all; interpolated for a frame that was not looked at."""
    reason: tuple[Reason, ...]
    """Why it is judged so."""

    @property
    def sure(self) -> tuple[bool, ...]:
        """Whether the frame shows them for sure."""
        return tuple(one >= SURE for one in self.probability)


class ContrastCheck:
    """Looks at frames of a run, batch by batch, and judges the run at the end.

    Parameters
    ----------
    every
        Which frames it is shown: the first and every so many after it.
    frame_rate
        Frames of the run per second, all of them; None for unknown.
    """

    def __init__(self, every: int = 1, frame_rate: float | None = None) -> None:
        if every < 1:
            raise ValueError(f"every is {every}, want 1 or more")
        self.every = every
        self._per_second = frame_rate / every if _believed(frame_rate) else None
        self._looks: dict[int, Look] = {}

    def add(
        self,
        frames: npt.NDArray[np.float32],
        vessels: npt.NDArray[np.float32],
        visible: npt.NDArray[np.bool_],
        numbers: Sequence[int] | None = None,
    ) -> None:
        """Take some frames of those that are looked at.

        Parameters
        ----------
        frames
            Display values in [0, 1], float32 (T, H, W).
        vessels
            Vessel probability of each in [0, 1], float32 (T, H, W), as from `Generator.vessels`.
        visible
            False behind a shutter, bool (T, H, W) or (H, W). A frame without a visible pixel has no cover.
        numbers
            Which looks they are, from 0; None: those that follow the ones taken.

        Raises
        ------
        ValueError
            `vessels` or `frames` have another shape or hold values outside [0, 1], or `visible` does not fit.
        """
        shape = vessels.shape
        if vessels.ndim != 3 or frames.shape != shape or visible.shape not in (shape, shape[1:]):
            raise ValueError(
                f"frames and vessels need one shape (T, H, W) and visible the same or (H, W), got "
                f"{frames.shape}, {shape} and {visible.shape}"
            )
        for name, values in (("frames", frames), ("vessels", vessels)):
            if values.size and not (values.min() >= 0 and values.max() <= 1):
                raise ValueError(f"{name} need values in [0, 1], got {values.min()} to {values.max()}")
        numbers = range(len(self._looks), len(self._looks) + len(frames)) if numbers is None else numbers
        looks = map(look_at, frames, vessels, np.broadcast_to(visible, shape))
        self._looks.update(zip(numbers, looks, strict=True))

    @property
    def quiet(self) -> bool:
        """Whether none of the looks taken shows contrast, for sure."""
        return all(one.probability <= 1 - SURE for one in self._odds(sorted(self._looks)))

    def result(self, frames: int | None = None) -> Opacification:
        """Judge the frames taken as one run.

        Parameters
        ----------
        frames
            Length of the run; None where each frame was looked at.

        Returns
        -------
        Opacification
            A frame that was not looked at is judged as the look before or after it, the nearest on each side,
            that is more likely to show contrast.

        Raises
        ------
        ValueError
            A run of that length has other frames to look at than were taken, all or the first of them.
        """
        taken = sorted(self._looks)
        frames = len(taken) if frames is None else frames
        wanted = -(-frames // self.every)
        if taken not in (list(range(wanted)), list(looks_in_turn(wanted)[0])):
            raise ValueError(
                f"{len(taken)} frames taken, {frames} with step {self.every} have {wanted} to look at"
            )
        found = self._odds(taken)
        places = np.arange(frames) / self.every
        before = np.maximum(np.searchsorted(taken, places, side="right") - 1, 0)
        after = np.minimum(np.searchsorted(taken, places), len(taken) - 1)
        near = zip(before, after, strict=True)
        odds = [max(found[a], found[b], key=lambda one: one.probability) for a, b in near]
        cover = np.interp(places, taken, [self._looks[k].cover for k in taken]) if taken else ()
        return Opacification(
            opacified=tuple(one.probability >= SHOWN for one in odds),
            probability=tuple(one.probability for one in odds),
            cover=tuple(float(value) for value in cover),
            reason=tuple(one.reason for one in odds),
        )

    def _odds(self, taken: Sequence[int]) -> tuple[Odds, ...]:
        """Of looks by rising numbers; one without a picture shows nothing, and says nothing of the others."""
        looks = [self._looks[k] for k in taken]
        apart = taken[1] - taken[0] if len(taken) > 1 else 1
        rate = None if self._per_second is None else self._per_second / apart
        seen = [look for look in looks if look.visible]
        told = iter(odds_of(change_of(seen, rate)) if seen else ())
        return tuple(next(told) if look.visible else Odds(0.0, "no picture") for look in looks)


def looks_in_turn(looks: int) -> tuple[range, tuple[int, ...]]:
    """Which looks at a run are taken first, and which others only if those are not all quiet.

    The last is among the first: an injection may begin just before a run ends.
    """
    first = range(looks) if looks <= SHORT else range((looks - 1) % FIRST_OF, looks, FIRST_OF)
    return first, tuple(k for k in range(looks) if k not in first)


def look_every(frame_rate: float | None, frames: int = 1) -> int:
    """Every how many frames of a run are enough to find an injection, 1 or more.

    `frame_rate` in frames per second; None, or what is no rate, for unknown: then each frame is looked at. Of
    a run of very many `frames` no more than `MOST_LOOKS` are looked at, so that memory does not grow with it.
    """
    fewest = max(1, -(-frames // MOST_LOOKS))
    if not _believed(frame_rate) or frame_rate < LOOKS_PER_SECOND:
        return fewest
    return max(fewest, int(frame_rate / LOOKS_PER_SECOND + 0.01))  # 66.667 ms means 15 frames a second


def _believed(frame_rate: float | None) -> TypeGuard[float]:
    """Whether a run can have so many frames per second."""
    return frame_rate is not None and 0 < frame_rate <= MOST_FRAMES_PER_SECOND
