"""Which frame of a derived cine belongs to which frame of its source, and when each is shown.

A *position* is a place on the one clock of a run: a frame of the source, or, without one, of the derived
cine. Everything counts from 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from casgan_dicom.player.runs import Run, made_of
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.elements import integer, several

At = tuple[int | None, ...]


def leading(run: Run) -> Cine:
    """The cine whose frames are the positions: the source where it is there."""
    cine = run.source or run.derived
    assert cine is not None, "a run has a cine"
    return cine


def derived_at(run: Run) -> At | None:
    """Frame of the derived cine at each position; None where one was not converted.

    None for the whole where the objects do not tell and their frames are not as many as those of the source.
    """
    if run.source is None or run.derived is None:
        return tuple(range(leading(run).frames))
    shown = list(_source_frames(run.derived, run.source))
    if len(shown) != run.derived.frames:
        same = run.derived.frames == run.source.frames
        return tuple(range(run.source.frames)) if same else None
    found: list[int | None] = [None] * run.source.frames
    for j, k in enumerate(shown):
        if 0 <= k < run.source.frames:
            found[k] = j
    return tuple(found)


def _source_frames(derived: Cine, source: Cine) -> Iterator[int]:
    """Frames of the source that a derived cine shows, one for each of its own."""
    starts = dict(
        zip(
            (instance.sop_instance_uid for instance in source.instances),
            accumulate((instance.frames for instance in source.instances), initial=0),
            strict=False,
        )
    )
    frames = {instance.sop_instance_uid: instance.frames for instance in source.instances}
    for header in derived.headers:
        for item in made_of(header):
            uid = str(item.get("ReferencedSOPInstanceUID"))
            if uid not in starts:
                continue
            numbers = [integer(number) for number in several(item.get("ReferencedFrameNumber"))]
            for number in numbers or range(1, frames[uid] + 1):
                yield starts[uid] + number - 1


def times_ms(cine: Cine) -> tuple[float, ...]:
    """When each frame is shown, the first at 0, and at last when the run is over."""
    timing = cine.timing
    steps = timing.vector_ms
    if steps is None or len(steps) != cine.frames:
        return tuple(k * timing.frame_time_ms for k in range(cine.frames + 1))
    return (*accumulate(steps), sum(steps) + timing.frame_time_ms)
