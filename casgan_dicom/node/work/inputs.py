"""What there is to convert in a job, before anything is: is all of it there, and is any of it new?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from casgan_dicom.errors import CasganError
from casgan_dicom.node.state.job_inputs import Inputs
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.source.copies import differences
from casgan_dicom.source.header import Head, read_head
from casgan_dicom.source.series import find_series

_SYNTAX = "TransferSyntaxUID (0002,0010)"
_PRIVATE = "private "


def gone(inputs: Inputs, faults: Sequence[str] = ()) -> dict[str, Any] | None:
    """The outcome of a job whose files are not all there; None where they are.

    `faults` say which files of other hosts cannot be had.
    """
    missing = sum(not path.is_file() for path in inputs.paths)
    if not missing:
        return None
    if faults:
        return {"state": "lacking", "reasons": [*faults, "send the series again"]}
    said = (
        f"{missing} of {len(inputs.paths)} files are gone from the spool{_why(inputs)}: send the series again"
    )
    return {"state": "lacking", "reasons": [said]}


def _why(inputs: Inputs) -> str:
    return f", {inputs.removed} of them by retention" if inputs.removed else ""


def without_repeats(inputs: Inputs) -> Inputs:
    """The inputs without what was converted before and came again with the same content.

    A whole cine goes by itself; single frames are one run, and go if none of them is new.
    """
    converted = {uid for made in inputs.superseded for uid in made.sources}
    known = [one for one in inputs.corrected if one.sop_uid in converted]
    same = {one.now for one in known if same_content(one.before, one.now)}
    if not same:
        return inputs
    new = {path for path in inputs.own if path not in same}
    run = inputs.stills if new & inputs.stills else frozenset()
    return replace(inputs, paths=tuple(path for path in inputs.paths if path in new | run))


def nothing_new(inputs: Inputs) -> dict[str, Any] | None:
    """The outcome of a job of which nothing is left to convert; None for any other."""
    if inputs.paths:
        return None
    said = "the same content as before, in another encoding or with other routing: nothing to do"
    return {"state": "done", "reasons": [said]}


def part_of_promised(inputs: Inputs) -> str:
    """What an object says that is made of fewer single frames than the headers promise; else empty."""
    if inputs.promised is None or inputs.there >= inputs.promised:
        return ""
    return f"part of a series: {inputs.there} of {inputs.promised} promised instances came"


def same_content(first: Path, second: Path) -> bool:
    """Whether two files hold the same instance as far as a conversion can tell.

    Private elements do not count: nothing here reads or keeps them. Streams of different compression are
    decoded and compared value by value. False where one of the files cannot be read.
    """
    heads = read_head(first), read_head(second)
    if not (isinstance(heads[0], Head) and isinstance(heads[1], Head)):
        return False
    try:
        found = [name for name in differences(heads[0], heads[1]) if not name.startswith(_PRIVATE)]
        return not found or (found == [_SYNTAX] and _same_frames(first, second))
    except (OSError, CasganError):
        return False


def _same_frames(first: Path, second: Path) -> bool:
    """Whether two files hold the same stored values. Raises CasganError where one cannot be decoded."""
    one, other = find_series([first]).cines[0], find_series([second]).cines[0]
    return all(
        a is not None and b is not None and a.shape == b.shape and bool((a == b).all())
        for a, b in zip_longest(iter_frames(one), iter_frames(other))
    )
