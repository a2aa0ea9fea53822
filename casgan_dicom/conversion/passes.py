"""What every pass over a cine does: show frames batch by batch, and look for contrast."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from casgan_dicom.conversion.ahead import ahead
from casgan_dicom.conversion.opacification import ContrastCheck, Opacification, look_every, looks_in_turn
from casgan_dicom.conversion.run_frames import RunFrames
from casgan_dicom.conversion.task import Mask, Progress, Stage, Step, Task

if TYPE_CHECKING:
    from casgan_dicom.model.data.normalisation import Levels
    from casgan_dicom.model.generator import Generator

MOST_PIXELS = 2**21
"""Of a batch, 8 frames of 512²: several arrays of that size are in memory at once."""

Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """Frames that go through the networks together."""

    numbers: tuple[int, ...]
    """Their places in the source, from 0."""
    shown: Float
    """Their display values, (T, H, W)."""


def batches(run: RunFrames, numbers: Sequence[int], size: int) -> Iterator[Batch]:
    """Frames of a run by their numbers, stacked by `size`, fewer where they are large or none are left."""
    size = max(1, min(size, MOST_PIXELS // run.pixels))
    for first in range(0, len(numbers), size):
        some = tuple(numbers[first : first + size])
        yield Batch(some, np.stack(list(run.shown(some))))


def telling(task: Task, stage: Stage, frames: int, progress: Progress) -> Callable[[int], None]:
    """Tells how far a pass over so many frames has come, each time that some more are done."""
    uid, done = task.cine.instances[0].sop_instance_uid, 0

    def tell(more: int) -> None:
        nonlocal done
        done = min(frames, done + more)
        progress(Step(uid, stage, done, frames, task.cines))

    return tell


def visible_throughout(task: Task) -> Mask:
    """Where every frame of the run shows a picture, bool (H, W)."""
    visible: Mask = visible_in(task, (0,))[0]
    for k in range(1, task.cine.frames):
        visible &= task.display.visible(k)
    return visible


def visible_in(task: Task, numbers: Sequence[int]) -> Mask:
    """Where frames show a picture and no shutter covers it, bool (T, H, W)."""
    visible = np.stack([task.display.visible(k) for k in numbers])
    return visible if task.picture is None else visible & task.picture


def look_for_contrast(
    task: Task, run: RunFrames, generator: Generator, levels: Levels, progress: Progress
) -> Opacification:
    """The second pass, over as many frames as tell whether contrast comes, and when it comes and goes."""
    frames = task.cine.frames
    rate = task.cine.timing.cine_rate if frames > 1 else None
    check = ContrastCheck(look_every(rate, frames), rate)
    tell = telling(task, "check", frames, progress)

    def take(turn: Sequence[int]) -> None:
        some = batches(run, [k * check.every for k in turn], generator.batch)
        looks = ((batch, generator.vessels(batch.shown, levels)) for batch in some)
        for batch, vessels in ahead(looks, lambda look: tell(len(look[0].numbers) * check.every)):
            numbers = [k // check.every for k in batch.numbers]
            check.add(batch.shown, vessels, visible_in(task, batch.numbers), numbers)

    first, others = looks_in_turn(-(-frames // check.every))
    take(first)
    if others and not check.quiet:
        take(others)
    tell(frames)
    return check.result(frames)
