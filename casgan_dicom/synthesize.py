"""Frames in, synthetic frames out: two streamed passes over a cine, in memory that does not grow with it.

The first pass measures the levels of the whole run, so that the first frame is scaled like the last. The
second runs the generator on batches and spools what it makes to a file.

Three promises about the output are kept here, in stored values: where attention is below 1/512 and where a
shutter covers the picture, the output is the displayed input; the banner is the last thing written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from casgan_dicom.banner import Banner
from casgan_dicom.decode import iter_frames
from casgan_dicom.derive import FramePixels
from casgan_dicom.errors import PixelError
from casgan_dicom.pixels import DisplayMapping, shutter_mask, to_stored
from casgan_dicom.preview import ContactSheet
from casgan_dicom.series import Cine

if TYPE_CHECKING:
    from casgan_dicom.model.infer import Generator, Synthesis

UNTOUCHED_BELOW = 1 / 512
"""Attention below which the output is the input: half a level of 8 bits, which no display can show."""

Float = npt.NDArray[np.float32]
Byte = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Step:
    """How far a cine has come."""

    source_instance_uid: str
    """SOP Instance UID (0008,0018) of the source, the first where there are several."""
    stage: Literal["measure", "generate"]
    """Which of the two passes."""
    done: int
    """Frames behind us in this pass."""
    frames: int
    """Frames of the cine."""


Progress = Callable[[Step], None]


@dataclass(frozen=True)
class Task:
    """One cine and how it is to be treated."""

    cine: Cine
    """The source."""
    mapping: DisplayMapping
    """Its stored values to display values."""
    banner: Banner | None
    """What is burned in; None for nothing."""
    sheet: ContactSheet | None
    """Who wants to see tiles; None for nobody."""


@dataclass(frozen=True)
class Synthesized:
    """What the two passes brought."""

    pixels: FramePixels
    """The stored frames, in the spool that was passed in."""
    mean_attention: float | None
    """Mean of the attention map over all pixels of all frames; None for a method without one."""
    untouched_share: float
    """Share of pixels outside the banner that equal the displayed input."""
    measure_seconds: float
    """Time of the first pass."""
    generate_seconds: float
    """Time in the generator."""


@dataclass
class _Tally:
    """Sums over the frames of a run."""

    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    frames: int = 0
    attention: float | None = None
    untouched: float = 0.0
    seconds: float = 0.0


def synthesize(task: Task, generator: Generator, spool: BinaryIO, progress: Progress) -> Synthesized:
    """Make the synthetic frames of one cine.

    Parameters
    ----------
    task
        The cine and how it is to be treated.
    generator
        Who makes the frames.
    spool
        An empty file, open for reading and writing; the frames are in it afterwards, at position 0.
    progress
        Called after each frame measured and each batch generated.

    Raises
    ------
    PixelError
        A frame cannot be decoded, the two passes differ in their number, or the generator returned NaN or
        another size. The spool then holds rubbish.
    """
    cine = task.cine
    started = perf_counter()
    levels = generator.measure(_displayed(task, progress))
    measured = perf_counter() - started
    visible = shutter_mask(cine.header, cine.rows, cine.columns)
    tally = _Tally()
    for shown in _batches(_displayed(task, None), max(1, generator.batch)):
        started = perf_counter()
        made = generator(shown, levels)
        tally.seconds += perf_counter() - started
        _spool(task, shown, made, visible, (spool, tally))
        progress(Step(cine.instances[0].sop_instance_uid, "generate", tally.frames, cine.frames))
    if tally.frames * cine.rows * cine.columns % 2:
        spool.write(b"\0")  # a value has an even length (PS3.5 7.1.1)
    spool.seek(0)
    pixels = FramePixels(spool, tally.frames, cine.rows, cine.columns, tally.digest.hexdigest())
    mean = None if tally.attention is None else tally.attention / tally.frames
    return Synthesized(pixels, mean, tally.untouched / tally.frames, measured, tally.seconds)


def keep_input(inputs: Byte, made: Synthesis, visible: Mask) -> Byte:
    """Stored output, uint8 (T, H, W): what was made, but the input where nothing was meant to be drawn.

    `inputs` is the displayed input in stored values, uint8 (T, H, W); `visible`, bool (H, W), is False behind
    a shutter. Raises PixelError if the generator made another size, or NaN.
    """
    if made.frames.shape != inputs.shape:
        raise PixelError(f"the generator made frames of shape {made.frames.shape} from {inputs.shape}")
    untouched = np.broadcast_to(~visible, inputs.shape)
    if made.attention is not None:
        untouched = untouched | (made.attention < UNTOUCHED_BELOW)
    return np.where(untouched, inputs, _bytes(made.frames))


def _spool(task: Task, shown: Float, made: Synthesis, visible: Mask, to: tuple[BinaryIO, _Tally]) -> None:
    """Compose a batch, mark it, count what it is, and write it."""
    spool, tally = to
    inputs = _bytes(shown)
    outputs = keep_input(inputs, made, visible)
    bare = np.ones(visible.shape, dtype=np.bool_)
    if task.banner is not None:
        bare &= ~task.banner.mask(visible.shape)
    for k, (before, after) in enumerate(zip(inputs, outputs, strict=True)):
        tally.untouched += float(np.mean(before[bare] == after[bare]))
        attention = None if made.attention is None else made.attention[k]
        if attention is not None:
            tally.attention = (tally.attention or 0.0) + float(attention.mean(dtype=np.float64))
        if task.banner is not None:
            task.banner.burn(after)
        if task.sheet is not None:
            task.sheet.offer(tally.frames, before, after, attention)
        tally.digest.update(after.tobytes())
        spool.write(after.tobytes())
        tally.frames += 1


def _bytes(display: Float) -> Byte:
    """Display values as stored values of 8 bits."""
    return to_stored(display).astype(np.uint8, copy=False)


def _displayed(task: Task, progress: Progress | None) -> Iterator[Float]:
    """Display values of every frame, float32 (H, W)."""
    cine = task.cine
    for k, stored in enumerate(iter_frames(cine), 1):
        yield task.mapping.apply(stored)
        if progress is not None:
            progress(Step(cine.instances[0].sop_instance_uid, "measure", k, cine.frames))


def _batches(frames: Iterable[Float], size: int) -> Iterator[Float]:
    """Frames stacked by `size`, the last batch as long as what is left."""
    stream = iter(frames)
    while batch := list(islice(stream, size)):
        yield np.stack(batch)
