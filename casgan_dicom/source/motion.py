"""Whether the positioner turns or the table moves during a run, and what is said then.

A classic multi-frame object has increments for its frames (PS3.3 C.8.7.5, C.8.7.8), of which nobody can tell
whether they count from the first frame or from the one before; functional groups and single frames have a
position for each frame. Degrees and millimetres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from casgan_dicom.source.elements import numbers

ROTATION, STEPPING = "rotation", "stepping"
"""What a run is called whose positioner turns, and one whose table moves."""
STILL_DEGREES = 5.0
"""Up to this difference of angles over a run one view stands for all of its frames."""
SAID_DEGREES = 0.5
"""Up to this difference of angles the positioner stands still."""
_STILL_MM = 1.0
"""Up to this difference of positions the table stands still."""
_ANGLES = ("PositionerPrimaryAngle", "PositionerSecondaryAngle")
_TABLE_STEPS = ("TableVerticalIncrement", "TableLateralIncrement", "TableLongitudinalIncrement")
_TABLE_TOP = ("TableTopVerticalPosition", "TableTopLateralPosition", "TableTopLongitudinalPosition")
_NONE = "a rotation, for which no one view stands"


@dataclass(frozen=True)
class Motion:
    """What moves during a run."""

    kinds: tuple[str, ...] = ()
    """`ROTATION`, `STEPPING`, both or none."""
    notes: tuple[str, ...] = ()
    """By how much, one sentence each."""


def motion_by_steps(ds: Dataset, frames: int) -> Motion:
    """What moves in a classic multi-frame object of so many frames, by its increments."""
    turns = {word: _way(numbers(ds, f"{word}Increment"), frames) for word in _ANGLES}
    untold = _untold(ds, "PositionerMotion", [f"{word}Increment" for word in _ANGLES])
    steps = {word: _way(numbers(ds, word), frames) for word in _TABLE_STEPS}
    return _motion(turns, steps, untold, _untold(ds, "TableMotion", _TABLE_STEPS))


def motion_by_positions(views: Sequence[Dataset], tables: Sequence[Dataset]) -> Motion:
    """What moves over frames that each have a position.

    Parameters
    ----------
    views
        What holds the positioner's angles, for each frame; frames without them are passed over.
    tables
        What holds the positions of the table top, likewise.
    """
    turns = {word: _spread(views, word) for word in _ANGLES}
    steps = {word: _spread(tables, word) for word in _TABLE_TOP}
    return _motion(turns, steps)


def table_top(ds: Dataset) -> tuple[float, float, float] | None:
    """Vertical, lateral and longitudinal position of the table top in mm; None unless a header has all three.

    Table Top Vertical (300A,0128), Lateral (300A,012A) and Longitudinal Position (300A,0129).
    """
    found = [numbers(ds, keyword) for keyword in _TABLE_TOP]
    if any(len(values) != 1 for values in found):
        return None
    return found[0][0], found[1][0], found[2][0]


def table_tops(frames: Sequence[Dataset]) -> tuple[tuple[float, float, float], ...]:
    """Positions of the table top of each frame, where every frame has one."""
    known = [place for place in map(table_top, frames) if place is not None]
    return tuple(known) if len(known) == len(frames) else ()


def _motion(
    turns: Mapping[str, float],
    steps: Mapping[str, float],
    untold_turn: Sequence[str] = (),
    untold_step: Sequence[str] = (),
) -> Motion:
    """What ways in degrees and in mm mean, by their elements, and motions that nothing measures."""
    notes = [_turned(word, degrees) for word, degrees in turns.items() if degrees > SAID_DEGREES]
    notes += [f"{note}: {_NONE}" for note in untold_turn]
    moved = [
        f"the table moves by {mm:.0f} mm during the run ({word} {Tag(word)})"
        for word, mm in steps.items()
        if mm > _STILL_MM
    ]
    moved += untold_step
    rotates = bool(untold_turn) or max(turns.values()) > STILL_DEGREES
    kinds = (*((ROTATION,) if rotates else ()), *((STEPPING,) if moved else ()))
    return Motion(kinds, (*notes, *moved))


def _turned(word: str, degrees: float) -> str:
    given = _NONE if degrees > STILL_DEGREES else "the angles of the first frame are given"
    return f"{word} {Tag(word)} moves by {degrees:.0f} degrees during the run: {given}"


def _untold(ds: Dataset, keyword: str, increments: Sequence[str]) -> list[str]:
    """The sentence on a motion that is declared and not measured."""
    if ds.get(keyword) != "DYNAMIC" or any(numbers(ds, word) for word in increments):
        return []
    return [f"{keyword} {Tag(keyword)} is DYNAMIC and no increment tells how far"]


def _way(steps: Sequence[float], frames: int) -> float:
    """How far increments lead: one that is the same for each frame adds up, others are places on the way."""
    if len(steps) == 1:
        return abs(steps[0]) * max(frames - 1, 0)
    if not steps:
        return 0.0
    same = len(steps) > 2 and len(set(steps[1:])) == 1
    places = list(accumulate(steps)) if same else [0.0, *steps]
    return max(places) - min(places)


def _spread(frames: Sequence[Dataset], keyword: str) -> float:
    """Difference of the largest and the smallest value of an element."""
    found = [value[0] for ds in frames if len(value := numbers(ds, keyword)) == 1]
    return max(found) - min(found) if found else 0.0
