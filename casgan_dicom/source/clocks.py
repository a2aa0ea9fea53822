"""Moments that headers tell: which clock is read, and how it passes midnight. Microseconds.

A date (DA) and a time (TM), or both in one (DT), PS3.5 6.2. The time zone is left out: differences within a
run are all that is asked for. Where a header has no date or the same one on both sides of midnight, a clock
that falls from the end of a day to its beginning goes on in the next day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from pydicom.dataset import Dataset

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
_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2}(?:[.,]\d{1,6})?))?)?")
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
        (0008,0033) with its date: those that every header has and that are not the same in all. The one to go
        by is the first: it is the first of those that tell the instances apart, so not one that is the same
        over a run while another counts its frames.
    """
    found = []
    for date_keyword, time_keyword, source in _ELEMENTS:
        readings = [_reading(ds, date_keyword, time_keyword) for ds in headers]
        known = [reading for reading in readings if reading is not None]
        if len(known) == len(headers) and known:
            clock = _clock(source, known, numbers)
            found += [clock] if max(clock.times) > min(clock.times) else []
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
    if reading is None or reading[1] >= DAY_US:
        return None
    return Moment(*reading)


def times_in_order(texts: Sequence[str]) -> tuple[list[int | None], bool]:
    """The moments of dates and times (DT) that follow each other; None for a text without a time.

    The second is whether midnight was passed and the date did not tell.
    """
    readings = [_parsed(text[:8], text[8:]) for text in texts]
    one_day = len({reading[0] for reading in readings if reading}) == 1
    days, passed, before = 0, False, 0
    times: list[int | None] = []
    for reading in readings:
        if reading is None:
            times.append(None)
            continue
        if one_day and reading[1] < before - _HALF_DAY_US:
            days, passed = days + 1, True
        before = reading[1]
        times.append(((reading[0] or 0) + days) * DAY_US + before)
    return times, passed


def _clock(source: str, readings: Sequence[tuple[int | None, int]], numbers: Sequence[int | None]) -> Clock:
    """The clock of these days and times of day."""
    days = {day for day, _ in readings}
    if len(days) > 1 and None not in days:
        return Clock(source, tuple((day or 0) * DAY_US + time for day, time in readings))
    times = [time for _, time in readings]
    later = _after_midnight(times, numbers)
    if not later:
        return Clock(source, tuple(times))
    note = f"{source} passes midnight and its date does not tell: {sum(later)} frames are of the next day"
    return Clock(source, tuple(t + DAY_US * new for t, new in zip(times, later, strict=True)), (note,))


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


def _reading(ds: Dataset, date_keyword: str, time_keyword: str) -> tuple[int | None, int] | None:
    """Day and time of day of an element; None if there is no time that can be read."""
    time = str(ds.get(time_keyword) or "").strip()
    return _parsed(str(ds.get(date_keyword) or ""), time) if date_keyword else _parsed(time[:8], time[8:])


def _parsed(day: str, time: str) -> tuple[int | None, int] | None:
    """Days since the year 1, None where unknown, and microseconds of the day."""
    match = _TIME.match(time)
    if match is None:
        return None
    hours, minutes, rest = (float((part or "0").replace(",", ".")) for part in match.groups())
    passed = timedelta(hours=hours, minutes=minutes, seconds=rest)
    return _day_number(day), passed // timedelta(microseconds=1)


def _day_number(day: str) -> int | None:
    """Days since the year 1 of a DA; None where there is none."""
    match = _DATE.match(day.strip())
    try:
        return date(*(int(part) for part in match.groups())).toordinal() if match else None
    except ValueError:
        return None
