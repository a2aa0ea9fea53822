"""Which single frames that look alike make a run, and in which order.

Instances that ``grouping.py`` holds for alike may be of several acquisitions. Acquisition Number (0020,0012)
tells them apart; without it, a clock that is the same over a run does where the other one leaps, or a leap
that no cine has. The finest clock orders the frames of a run, Instance Number (0020,0013) those that it does
not tell apart; what the two do not agree on is said.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Callable, Hashable, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from pydicom.dataset import Dataset

from casgan_dicom.source.clocks import Clock, clocks_of
from casgan_dicom.source.elements import plain

NOT_RISING = "their times do not increase"
PLANES = "each moment is there more than once, as in two planes that no element tells apart"
_NUMBER = "InstanceNumber (0020,0013)"
_ACQUISITION = "AcquisitionNumber (0020,0012)"
_OWN_NUMBERS = 0.75
"""From this share of different Acquisition Numbers they count frames, not runs."""
_SECOND_US = 10**6
_LEAP = (10, 10**6)
"""So many usual steps, and so many microseconds, part two runs where another clock changes as well."""
_LONG_LEAP = (20, 10**7)
"""The same where nothing else speaks of two runs."""


@dataclass(frozen=True)
class Run:
    """Single frames of one acquisition."""

    members: tuple[int, ...]
    """Which of the instances, in order."""
    times: tuple[int, ...]
    """When each was taken in microseconds, not decreasing; empty for so many stills."""
    source: str
    """Where the times were read; for stills, why they are no run."""
    apart: tuple[str, ...] = ()
    """The elements by which other instances are no part of it."""
    notes: tuple[str, ...] = ()
    """What was odd, one sentence each."""


def runs_in(headers: Sequence[Dataset], taken: Set[int]) -> list[Run]:
    """Tell the runs among single frames that look alike.

    Parameters
    ----------
    headers
        Headers of the instances, in an order that depends on their content only.
    taken
        Every Instance Number (0020,0013) of the series: numbers beyond those are missing.

    Returns
    -------
    list of Run
        Every instance is in exactly one.
    """
    parts = _parted(range(len(headers)), lambda k: plain(headers[k].get("AcquisitionNumber")))
    own = [value for value in (plain(ds.get("AcquisitionNumber")) for ds in headers) if value is not None]
    if len(set(own)) < 2 or len(parts) > _OWN_NUMBERS * len(headers):
        parts = [list(range(len(headers)))]
    apart = (_ACQUISITION,) if len(parts) > 1 else ()
    runs = []
    for part in parts:
        numbers = [_number(headers[k]) for k in part]
        clocks = clocks_of([headers[k] for k in part], numbers)
        pieces = _by_leaps(clocks) if clocks else [(list(range(len(part))), ())]
        for piece, names in pieces:
            members = [part[k] for k in piece]
            runs.append(_run([headers[k] for k in members], members, (*apart, *names), taken))
    return runs


def _run(headers: Sequence[Dataset], members: Sequence[int], apart: tuple[str, ...], taken: Set[int]) -> Run:
    """The instances of one acquisition in their order."""
    numbers = [_number(ds) for ds in headers]
    clocks = clocks_of(headers, numbers)
    if not clocks:
        return Run(tuple(members), (), NOT_RISING, apart)
    times = clocks[0].times
    shared = Counter(zip(times, numbers, strict=True))
    fine = any(time % _SECOND_US for time in times)  # whole seconds hold several frames of one plane
    doubled = min(Counter(times).values()) > 1 and (fine or min(shared.values()) > 1)
    if doubled and None not in numbers:
        return Run(tuple(members), (), PLANES, apart)
    order = sorted(range(len(headers)), key=lambda k: (times[k], place(headers[k])))
    notes = [*clocks[0].notes, *_number_notes([numbers[k] for k in order], taken)]
    if alike := sum(count for count in shared.values() if count > 1):
        notes.append(f"{alike} frames share time and {_NUMBER} with another: their order cannot be told")
    in_order = tuple(times[k] for k in order)
    fallen = sum(a is not None and b is not None and a > b for a, b in pairwise(numbers[k] for k in order))
    if fallen:
        notes.append(f"{_NUMBER} goes back {fallen} times in the order of {clocks[0].source}, which is used")
    return Run(tuple(members[k] for k in order), in_order, clocks[0].source, apart, tuple(notes))


def _by_leaps(clocks: Sequence[Clock]) -> list[tuple[list[int], tuple[str, ...]]]:
    """Parts between which the first clock leaps, and the elements that tell them apart."""
    times, slower = clocks[0].times, clocks[1:]
    order = sorted(range(len(times)), key=lambda k: times[k])
    steps = [times[b] - times[a] for a, b in pairwise(order)]
    usual = statistics.median([step for step in steps if step > 0])
    if len(set(times)) <= len(times) / 2:  # no clock of frames: one of seconds at best
        usual = min(usual, _SECOND_US)
    parts, names = [[order[0]]], dict[str, None]()
    for (a, b), step in zip(pairwise(order), steps, strict=True):
        changed = [clock.source for clock in slower if clock.times[a] != clock.times[b]]
        few, least = _LEAP if changed else _LONG_LEAP
        if step > few * usual and step >= least:
            parts.append([])
            names.update(dict.fromkeys([*changed, clocks[0].source]))
        parts[-1].append(b)
    return [(sorted(part), tuple(names)) for part in parts]


def _number_notes(numbers: Sequence[int | None], taken: Set[int]) -> list[str]:
    """What is odd about the Instance Numbers of a run."""
    known = [number for number in numbers if number is not None]
    notes = []
    if len(known) < len(numbers):
        notes.append(f"{_NUMBER} is absent in {len(numbers) - len(known)} of {len(numbers)} frames")
    if repeated := len(known) - len(set(known)):
        notes.append(f"{_NUMBER} is that of another frame in {repeated} of {len(numbers)} frames")
    rising = sorted(set(known))
    even = len({b - a for a, b in pairwise(rising)}) == 1  # every second one is of the other plane
    if rising and not even:
        inside = sum(rising[0] <= number <= rising[-1] for number in taken)
        if missing := rising[-1] - rising[0] + 1 - inside:
            notes.append(f"{_NUMBER} leaves out {missing} numbers: frames may be missing")
    return notes


def _parted(places: Sequence[int], key: Callable[[int], Hashable]) -> list[list[int]]:
    """The places by what they have in common."""
    parts: dict[Hashable, list[int]] = {}
    for k in places:
        parts.setdefault(key(k), []).append(k)
    return list(parts.values())


def _number(ds: Dataset) -> int | None:
    """Instance Number (0020,0013); None where there is none."""
    value = ds.get("InstanceNumber")
    return int(value) if isinstance(value, int) else None


def place(ds: Dataset) -> tuple[int, tuple[int, ...], str]:
    """Sort key: Instance Number (0020,0013), then SOP Instance UID, its numbers by their size."""
    uid = str(ds.SOPInstanceUID)
    return _number(ds) or 0, tuple(int(part) for part in re.findall(r"\d{1,64}", uid)), uid
