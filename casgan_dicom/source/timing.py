"""When the frames of a run were taken, as far as its headers tell.

A multi-frame instance points at its timing with Frame Increment Pointer (0028,0009) (PS3.3 C.7.6.5, C.7.6.6);
single-frame instances carry the time of each frame (``clocks.py``). Milliseconds, unless a name says
otherwise.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag

from casgan_dicom.source.clocks import evenly_filled, times_in_order
from casgan_dicom.source.elements import several

DEFAULT_RATE_HZ = 15.0
"""Frames per second of a run whose header says nothing: the usual cine rate of coronary angiography."""
MIN_FRAME_TIME_MS = 1.0
"""No X-ray cine runs faster than 1000 frames per second; a header that says so is broken."""

FRAME_TIME = "FrameTime (0018,1063)"
FRAME_TIME_VECTOR = "FrameTimeVector (0018,1065)"

_RATES = (
    ("CineRate", "CineRate (0018,0040)"),
    ("RecommendedDisplayFrameRate", "RecommendedDisplayFrameRate (0008,2144)"),
)
_FLOAT_RATE = "RecommendedDisplayFrameRateInFloat"
_GAP = 1.5
"""Difference between two frames, in medians of it, above which frames are taken to be missing."""


@dataclass(frozen=True)
class FrameTiming:
    """When the frames of a cine were taken."""

    frame_time_ms: float
    """Time from one frame to the next; the median where it varies."""
    vector_ms: tuple[float, ...] | None
    """Time since the frame before, one per frame, the first 0; None for a constant rate."""
    source: str
    """Where the timing was read, as `Keyword (gggg,eeee)`, or what stands in for it."""
    notes: tuple[str, ...] = ()
    """What was odd about it, one sentence each."""

    @property
    def cine_rate(self) -> float:
        """Frames per second."""
        return 1000.0 / self.frame_time_ms

    def subset(self, indices: Sequence[int]) -> FrameTiming:
        """Give the timing of some of the frames, with the time that really passed between them.

        Parameters
        ----------
        indices
            At least one frame, from 0, each after the one before.

        Returns
        -------
        FrameTiming
            Of constant rate where the frames that are left are; a vector otherwise, so that a gap plays as
            long as it was.

        Raises
        ------
        ValueError
            `indices` is empty, does not increase, or leaves the run.
        """
        last = None if self.vector_ms is None else len(self.vector_ms) - 1
        rising = all(a < b for a, b in pairwise(indices))
        if not indices or not rising or indices[0] < 0 or (last is not None and indices[-1] > last):
            raise ValueError(f"{len(indices)} frame numbers do not rise within the run")
        steps = [self._passed_ms(a, b) for a, b in pairwise(indices)]
        if not steps:
            return replace(self, vector_ms=None)
        median = statistics.median(steps)
        vector = None if all(step == steps[0] for step in steps) else (0.0, *steps)
        return replace(self, frame_time_ms=median, vector_ms=vector)

    def _passed_ms(self, a: int, b: int) -> float:
        """Time from frame `a` to frame `b`."""
        return (b - a) * self.frame_time_ms if self.vector_ms is None else sum(self.vector_ms[a + 1 : b + 1])


def timing_of_instance(ds: Dataset, frames: int) -> FrameTiming:
    """Read the timing of one instance from its header.

    Parameters
    ----------
    ds
        Header of the instance.
    frames
        How many frames the instance has.

    Returns
    -------
    FrameTiming
        From Frame Time Vector (0018,1065) or Frame Time (0018,1063), whichever Frame Increment Pointer
        (0028,0009) names first, else from Cine Rate (0018,0040), else from Recommended Display Frame Rate
        (0008,2144) or its form In Float (0008,9459), else 15 frames per second with a note.

    Notes
    -----
    PS3.3 C.7.6.5.1.1 and C.7.6.5.1.2. A vector of the wrong length or with a time that does not pass is not
    used and noted.
    """
    notes: list[str] = []
    vector = _vector(ds, frames, notes)
    frame_time = _stated(ds, "FrameTime", FRAME_TIME, notes)
    if vector and (frame_time is None or _points_at_vector(ds)):
        return FrameTiming(statistics.median(vector[1:]), vector, FRAME_TIME_VECTOR, tuple(notes))
    if frame_time is not None:
        return FrameTiming(frame_time, None, FRAME_TIME, tuple(notes))
    for keyword, name in _RATES:
        if rate := _stated(ds, keyword, name, notes):
            return FrameTiming(1000.0 / rate, None, name, tuple(notes))
    if rate := _presented_rate(ds):
        return FrameTiming(1000.0 / rate, None, f"{_FLOAT_RATE} {Tag(_FLOAT_RATE)}", tuple(notes))
    if frames > 1:
        usable = " that can be used" if notes else ""
        notes.append(f"no timing in the header{usable}, {DEFAULT_RATE_HZ:g} frames per second assumed")
    return FrameTiming(1000.0 / DEFAULT_RATE_HZ, None, "default", tuple(notes))


def timing_of_frame_times(texts: Sequence[str], source: str) -> FrameTiming | None:
    """Work out the timing of a multi-frame instance that gives a date and time (DT) for each frame.

    Parameters
    ----------
    texts
        One for each frame, in the order of the frames.
    source
        Where they were read.

    Returns
    -------
    FrameTiming or None
        As `timing_of_moments`; None where most times are missing, or one goes back, or all are the same.
    """
    times, passed = times_in_order(texts)
    known = [time for time in times if time is not None]
    missing = len(times) - len(known)
    if missing:
        known = evenly_filled(times, range(len(times)))
    if len(known) < 2 or known[0] == known[-1] or any(a > b for a, b in pairwise(known)):
        return None
    timing = timing_of_moments(known, source)
    notes = [f"{source} passes midnight and its date does not tell: a day is added"] if passed else []
    if missing:
        notes.append(
            f"{source} cannot be read in {missing} of {len(times)} frames: it is taken to pass evenly"
        )
    return replace(timing, notes=(*timing.notes, *notes))


def timing_of_moments(times: Sequence[int], source: str) -> FrameTiming:
    """Work out the timing of a run of single frames from the times of its frames.

    Parameters
    ----------
    times
        At least two times in microseconds, not decreasing and not all the same.
    source
        Where they were read.

    Returns
    -------
    FrameTiming
        The median difference, or the mean where the clock was too coarse to tell most frames apart. Irregular
        times keep their vector; gaps and equal times are noted.
    """
    steps = [(b - a) / 1000.0 for a, b in pairwise(times)]
    equal = sum(step <= 0 for step in steps)
    step_ms = statistics.median(steps)
    notes = []
    if equal:
        notes.append(f"{equal} of {len(times)} frames have the {source} of the frame before")
        if step_ms <= 0:
            step_ms = statistics.fmean(steps)
        return FrameTiming(step_ms, None, source, tuple(notes))
    gaps = sum(step > _GAP * step_ms for step in steps)
    if gaps:
        notes.append(
            f"{gaps} gaps in {source}: more than {_GAP:g} × the usual {step_ms:.1f} ms between frames"
        )
    # Times are written with a resolution of 1 ms at worst, so a difference below that is no irregularity.
    regular = all(abs(step - step_ms) <= 1.0 for step in steps)
    vector = None if regular else (0.0, *steps)
    return FrameTiming(step_ms, vector, source, tuple(notes))


def _presented_rate(ds: Dataset) -> float | None:
    """The rate of the first frames that have one in Frame Display Sequence (0008,9458), PS3.3 C.8.19.7."""
    items = ds.get("FrameDisplaySequence")
    rates = [_positive(item.get(_FLOAT_RATE)) for item in items] if isinstance(items, Items) else []
    return next((rate for rate in rates if rate), None)


def _points_at_vector(ds: Dataset) -> bool:
    """Whether Frame Increment Pointer (0028,0009) names Frame Time Vector before Frame Time."""
    known = [Tag("FrameTime"), Tag("FrameTimeVector")]
    named = [pointer for pointer in several(ds.get("FrameIncrementPointer")) if pointer in known]
    return named[:1] == known[1:]


def _vector(ds: Dataset, frames: int, notes: list[str]) -> tuple[float, ...] | None:
    """Frame Time Vector (0018,1065) where it can be used; otherwise None, with a note if there was one."""
    value = ds.get("FrameTimeVector")
    if value is None or value == "":
        return None
    values = list(value) if isinstance(value, MultiValue) else [value]
    if len(values) != frames or frames < 2:
        notes.append(f"{FRAME_TIME_VECTOR} has {len(values)} values for {frames} frames and was not used")
        return None
    steps = [step for value in values[1:] if (step := _positive(value)) is not None]
    if len(steps) < frames - 1:
        notes.append(f"{FRAME_TIME_VECTOR} holds times that do not pass and was not used")
        return None
    return (0.0, *steps)


def _stated(ds: Dataset, keyword: str, name: str, notes: list[str]) -> float | None:
    """A time or a rate above 0; otherwise None, with a note if there was one."""
    value = ds.get(keyword)
    number = _positive(value)
    if number is None and value is not None and value != "":
        notes.append(f"{name} is no number above 0 and was not used")
    return number


def _positive(value: object) -> float | None:
    """The value as a positive number; None for anything else."""
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever the header holds; the next line judges
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
