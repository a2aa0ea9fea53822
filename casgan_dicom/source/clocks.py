"""Moments that headers tell: which clock is read, and how it passes midnight. Microseconds.

A date (DA) and a time (TM), or both in one (DT), PS3.5 6.2, however they are written. An offset from UTC
counts only where it changes: differences within a run are all that is asked for. Where a header has no date
or the same one on both sides of midnight, a clock that falls from the end of a day to its beginning goes on
in the next day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import numpy as np
from pydicom.dataset import Dataset

from casgan_dicom.source.written_times import legal_date, legal_datetime, legal_time

DAY_US = 24 * 3600 * 10**6
_HALF_DAY_US = DAY_US // 2
"""A fall by more than this is a new day: no run lasts so long."""
_SHORT_US = 3600 * 10**6
"""How long frames may take together for midnight to be seen in their times alone."""
_ELEMENTS = (
    ("", "AcquisitionDateTime", "AcquisitionDateTime (0008,002A)"),
    ("AcquisitionDate", "AcquisitionTime", "AcquisitionTime (0008,0032)"),
    ("ContentDate", "ContentTime", "ContentTime (0008,0033)"),
)
_DATETIME = re.compile(r"(\d{8})(\d{2,6}(?:\.\d+)?)?([+-]\d{4})?")
"""A legal DT with a whole date."""
_AS_FINE = 0.9
"""A clock that tells so large a share of the moments of the finest one apart is as good as that."""


@dataclass(frozen=True)
class Clock:
    """When each of some instances was taken, by one element of their headers."""

    source: str
    """The element, as `Keyword (gggg,eeee)`."""
    times: tuple[int, ...]
    """A time in microseconds for each, on a common axis."""
    notes: tuple[str, ...] = ()
    """What was odd about it, one sentence each."""


def clocks_of(headers: Sequence[Dataset], numbers: Sequence[int | None] = ()) -> list[Clock]:
    """Read every clock that all of some single-frame instances have.

    Parameters
    ----------
    headers
        Headers of the instances, in any order.
    numbers
        Instance Number (0020,0013) of each, None where unknown; they tell whether midnight was passed.

    Returns
    -------
    list of Clock
        From Acquisition DateTime (0008,002A), Acquisition Time (0008,0032) with its date and Content Time
        (0008,0033) with its date: those that are not the same in all, and that every header has, or all but a
        few whose numbers place them. The one to go
        by is the first: it is the first of those that tell the instances apart, so not one that is the same
        over a run while another counts its frames.
    """
    found, filled = [], []
    for date_keyword, time_keyword, source in _ELEMENTS:
        readings = [_reading(ds, date_keyword, time_keyword) for ds in headers]
        known = [reading for reading in readings if reading is not None]
        if len(known) == len(headers) and known:
            clock = _clock(source, known, numbers)
            found += [clock] if max(clock.times) > min(clock.times) else []
        elif 2 * len(known) > len(headers):
            filled += _with_gaps_filled(source, readings, numbers)
    found += filled
    finest = max((len(set(clock.times)) for clock in found), default=0)
    return sorted(found, key=lambda clock: len(set(clock.times)) < _AS_FINE * finest)


@dataclass(frozen=True)
class Moment:
    """When something was taken, by one element of one header."""

    day: int | None
    """Days since the year 1; None where the date is unknown."""
    time_us: int
    """Microseconds of the day."""

    @property
    def clock(self) -> str:
        """Hour and minute, as on a clock: ``10:42``."""
        minutes = self.time_us // 60_000_000
        return f"{minutes // 60:02d}:{minutes % 60:02d}"

    def seconds_after(self, other: Moment) -> float:
        """Seconds from another moment to this one, below 0 where it comes later.

        Where a date is unknown, the times of day alone tell: a fall by more than half a day is a new day.
        """
        passed = self.time_us - other.time_us
        if self.day is not None and other.day is not None:
            passed += (self.day - other.day) * DAY_US
        elif passed < -_HALF_DAY_US:
            passed += DAY_US
        return passed / 1e6


def moment_of(ds: Dataset, date_keyword: str, time_keyword: str) -> Moment | None:
    """When an instance was taken by these elements; None where they tell no time.

    A date and time in one (DT) has no keyword of a date beside it.
    """
    reading = _reading(ds, date_keyword, time_keyword)
    return None if reading is None or reading.time_us >= DAY_US else Moment(reading.day, reading.time_us)


def times_in_order(texts: Sequence[str]) -> tuple[list[int | None], bool]:
    """The moments of dates and times (DT) that follow each other; None for a text without a time.

    The second is whether midnight was passed and the date did not tell.
    """
    known = iter(_in_one_zone([reading for text in texts if (reading := _parsed(text))]))
    readings = [next(known) if _parsed(text) else None for text in texts]
    one_day = len({reading.day for reading in readings if reading}) == 1
    days, passed, before = 0, False, 0
    times: list[int | None] = []
    for reading in readings:
        if reading is None:
            times.append(None)
            continue
        if one_day and reading.time_us < before - _HALF_DAY_US:
            days, passed = days + 1, True
        before = reading.time_us
        times.append(((reading.day or 0) + days) * DAY_US + before)
    return times, passed


class _Reading(NamedTuple):
    """What one header tells."""

    day: int | None
    """Days since the year 1; None where unknown."""
    time_us: int
    """Microseconds of the day."""
    offset_us: int | None
    """From UTC; None where unknown."""


def _clock(source: str, readings: Sequence[_Reading], numbers: Sequence[int | None]) -> Clock:
    """The clock of these days and times of day."""
    readings = _in_one_zone(readings)
    days = [reading.day for reading in readings]
    times = [reading.time_us for reading in readings]
    later = _after_midnight(times, numbers)
    dated = len(set(days)) > 1 and None not in days
    stated = [(day or 0) * DAY_US + t for day, t in zip(days, times, strict=True)] if dated else times
    if not later:
        return Clock(source, tuple(stated))
    moved = [t + DAY_US * new for t, new in zip(times, later, strict=True)]
    if dated:
        in_order = [day or 0 for _, day in sorted(zip(moved, days, strict=True))]
        late = in_order == sorted(in_order) and in_order[-1] == in_order[0] + 1
        if not late or not _falls(moved, numbers) < _falls(stated, numbers):
            return Clock(source, tuple(stated))
    why = "its date changes at another frame" if dated else "its date does not tell"
    note = f"{source} passes midnight and {why}: {sum(later)} frames are of the next day"
    return Clock(source, tuple(moved), (note,))


def _in_one_zone(readings: Sequence[_Reading]) -> list[_Reading]:
    """The same in UTC, where the offset from it changes and all that is needed is known."""
    if len({reading.offset_us for reading in readings}) < 2:
        return list(readings)
    shifted = []
    for reading in readings:
        if reading.day is None or reading.offset_us is None:
            return list(readings)
        day, time_us = divmod(reading.day * DAY_US + reading.time_us - reading.offset_us, DAY_US)
        shifted.append(_Reading(day, time_us, 0))
    return shifted


def _with_gaps_filled(
    source: str, readings: Sequence[_Reading | None], numbers: Sequence[int | None]
) -> list[Clock]:
    """A clock that a few headers lack, where Instance Numbers rise with it; else none."""
    given = [number for number in numbers if number is not None]
    if not len(set(given)) == len(given) == len(readings):
        return []
    known = [(reading, n) for reading, n in zip(readings, given, strict=True) if reading is not None]
    clock = _clock(source, *zip(*known, strict=True))
    told = iter(clock.times)
    times = evenly_filled([None if reading is None else next(told) for reading in readings], given)
    some = f"{source} cannot be read in {len(given) - len(known)} of {len(given)} frames"
    notes = (*clock.notes, f"{some}: they are placed by InstanceNumber (0020,0013)")
    return [Clock(source, tuple(times), notes)] if times else []


def evenly_filled(times: Sequence[int | None], numbers: Sequence[int]) -> list[int]:
    """Times of which less than half are missing, in microseconds, filled in by the numbers of their frames.

    Between two known ones time passes evenly with the number; before and behind them all, by the usual step.
    Empty where too few are known or where they do not rise with the number.
    """
    known = sorted((n, time) for n, time in zip(numbers, times, strict=True) if time is not None)
    if 2 * len(known) <= len(times) or len(known) < 2 or any(a >= b for (_, a), (_, b) in pairwise(known)):
        return []
    step = median((b - a) / (n - m) for (m, a), (n, b) in pairwise(known))
    (first, start), (last, end) = known[0], known[-1]
    before, after = step * (first - min(numbers)), step * (max(numbers) - last)
    at = [min(numbers), *(n for n, _ in known), max(numbers)]
    passed = [-before, *(float(time - start) for _, time in known), end - start + after]
    return [start + round(float(one)) for one in np.interp(list(numbers), at, passed)]


def _after_midnight(times: Sequence[int], numbers: Sequence[int | None]) -> list[bool]:
    """Which of these times of day are of the next one; empty where midnight was not passed.

    Clock and numbers are weighed together: the numbers decide where they rise better with or without a new
    day, otherwise frames that are close together around midnight were taken around it.
    """
    ordered = sorted(times)
    gap, first_late = max(((b - a, b) for a, b in pairwise(ordered)), default=(0, 0))
    if gap <= _HALF_DAY_US:
        return []
    later = [time < first_late for time in times]
    moved = [time + DAY_US * new for time, new in zip(times, later, strict=True)]
    falls = _falls(times, numbers), _falls(moved, numbers)
    short = max(moved) - min(moved) <= _SHORT_US
    return later if falls[1] < falls[0] or (falls[1] == falls[0] and short) else []


def _falls(times: Sequence[int], numbers: Sequence[int | None]) -> int:
    """How often the clock goes back in the order of the numbers."""
    known = sorted((n, time) for n, time in zip(numbers, times, strict=False) if n is not None)
    return sum(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(known))


def _reading(ds: Dataset, date_keyword: str, time_keyword: str) -> _Reading | None:
    """Day and time of day of an element; None if there is no time that can be read."""
    text = str(ds.get(time_keyword) or "")
    if not date_keyword:
        return _parsed(text)
    return _told(legal_date(str(ds.get(date_keyword) or "")), legal_time(text), None)


def _parsed(text: str) -> _Reading | None:
    """Day, time of day and zone of a DT; None if there is no time that can be read."""
    match = _DATETIME.fullmatch(legal_datetime(text) or "")
    return _told(*match.groups()) if match else None


def _told(day: str | None, time: str | None, zone: str | None) -> _Reading | None:
    """What legal texts tell; None where there is no time."""
    if not time:
        return None
    seconds, _, fraction = time.partition(".")
    hours, minutes, rest = (int(seconds[at : at + 2] or 0) for at in (0, 2, 4))
    time_us = (3600 * hours + 60 * minutes + rest) * 10**6 + int(fraction.ljust(6, "0"))
    offset = None
    if zone:
        minutes_off = 60 * int(zone[1:3]) + int(zone[3:])
        offset = (-1 if zone[0] == "-" else 1) * minutes_off * 60 * 10**6
    number = date(int(day[:4]), int(day[4:6]), int(day[6:])).toordinal() if day else None
    return _Reading(number, time_us, offset)
