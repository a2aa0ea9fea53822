"""Office hours: when something may be done, by the clock on the wall. Pure; the moment is passed in.

One text names days, a span of the clock, or both: ``Sat-Sun``, ``18:00-07:00``, ``Mon-Fri 18:00-07:00``. A
span that ends before it begins goes over midnight and belongs to the day on which it begins. The clock is
that of a time zone: what it skips in spring is never open, and what it shows twice in autumn is open twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

WANTED = "days, a span of the clock or both, as 'Mon-Fri 18:00-07:00', 'Sat-Sun' or '18:00-07:00'"
"""What a text of hours has to be."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = "|".join(_DAYS)
_CLOCK = "[0-9]{2}:[0-9]{2}"
_FORM = re.compile(
    rf"(?:(?P<first>{_DAY})(?:-(?P<last>{_DAY}))?)?(?:(?:^|(?<=\w) )(?P<begin>{_CLOCK})-(?P<end>{_CLOCK}))?"
)
_OF_DAY, _OF_WEEK = 24 * 60, 7 * 24 * 60
"""Minutes."""
_STEP_SECONDS = 900
"""Clocks are set forward and back at full quarters of an hour, as seconds since 1970 count them."""


@dataclass(frozen=True)
class Span:
    """A time of the week."""

    begin: int
    """Minute of the week, from Monday, 0:00."""
    minutes: int
    """How long it lasts."""

    def holds(self, minute: int) -> bool:
        """Whether a minute of the week is in it."""
        return (minute - self.begin) % _OF_WEEK < self.minutes


def spans(text: str) -> tuple[Span, ...]:
    """The times that a text names; ValueError if it names none."""
    form = _FORM.fullmatch(text)
    if form is None or not text:
        raise ValueError(f"{text!r} is no {WANTED}")
    first = _DAYS.index(form["first"]) if form["first"] else 0
    last = _DAYS.index(form["last"] or form["first"]) if form["first"] else 6
    begin, end = (_minute(form["begin"]), _minute(form["end"])) if form["begin"] else (0, _OF_DAY)
    if begin in (_OF_DAY, end):
        raise ValueError(f"{text!r} is no {WANTED}")
    days = range(first, first + (last - first) % 7 + 1)
    return tuple(Span(day % 7 * _OF_DAY + begin, (end - begin) % _OF_DAY or _OF_DAY) for day in days)


def next_opening(hours: Sequence[str], zone: str, now: float) -> float:
    """When something may be done next: `now`, or the moment at which it may.

    Parameters
    ----------
    hours
        When it may; always, if there are none.
    zone
        Name of the time zone; empty for that of the machine.
    now
        Seconds since 1970.

    Returns
    -------
    float
        Seconds since 1970.
    """
    if not hours:
        return now
    return next(at for at, is_open in _changes(hours, zone, now) if is_open)


def open_seconds(hours: Sequence[str], zone: str, since: float, until: float) -> float:
    """How much of the time between two moments it was open."""
    if not hours:
        return until - since
    seconds = 0.0
    for (at, is_open), (end, _) in pairwise(_changes(hours, zone, since)):
        if at >= until:
            break
        seconds += (min(end, until) - at) if is_open else 0.0
    return seconds


def _changes(hours: Sequence[str], zone: str, at: float) -> Iterator[tuple[float, bool]]:
    """Moments from `at` on, and whether it is open from each to the next."""
    times = [span for text in hours for span in spans(text)]
    edges = {edge % _OF_WEEK for span in times for edge in (span.begin, span.begin + span.minutes)}
    while True:
        clock = _clock(zone, at)
        minute = clock.weekday() * _OF_DAY + clock.hour * 60 + clock.minute
        yield at, any(span.holds(minute) for span in times)
        minutes = min((edge - minute - 1) % _OF_WEEK + 1 for edge in edges)
        then = float(round(at + minutes * 60 - clock.second - clock.microsecond / 1e6))
        if _clock(zone, then).utcoffset() != clock.utcoffset():  # step by step over the change of the clock
            then = min(then, (at // _STEP_SECONDS + 1) * _STEP_SECONDS)
        at = then


def _clock(zone: str, at: float) -> datetime:
    """What the clock on the wall shows."""
    return datetime.fromtimestamp(at, ZoneInfo(zone)) if zone else datetime.fromtimestamp(at).astimezone()


def _minute(text: str) -> int:
    """A time of the clock in minutes, 24:00 included; ValueError if it is none."""
    hour, minute = int(text[:2]), int(text[3:])
    if minute > 59 or hour * 60 + minute > _OF_DAY:
        raise ValueError(f"{text!r} is no time of the clock")
    return hour * 60 + minute
