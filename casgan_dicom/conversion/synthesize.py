"""Frames in, synthetic frames out: three streamed passes over a cine, in memory that does not grow with it.

The first pass decodes (``run_frames.py`` keeps what the others read), measures the levels of the whole run,
so that the first frame is scaled like the last, and keeps the few frames that a generator wants to see before
it plans what it draws. The second looks for frames that already show contrast, in the whole run, since one
frame alone does not tell. The plan is made then, or, where an earlier run lends its vessels, every chosen
frame is matched with it (``laying.py``). The third pass draws into the chosen frames, by the generator or by
that match, and spools what it makes to files.

Three promises about the output are kept here, in stored values: where attention is below 1/512 and where a
shutter covers the picture, the output is the displayed input; the banner is the last thing written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from casgan_dicom.conversion.ahead import ahead
from casgan_dicom.conversion.domain_check import DomainCheck, turn_away
from casgan_dicom.conversion.laying import lay_over
from casgan_dicom.conversion.making import MadeFrame, Making, Seen
from casgan_dicom.conversion.opacification import Opacification
from casgan_dicom.conversion.passes import Batch, batches, look_for_contrast, telling, visible_in
from casgan_dicom.conversion.picture_area import ALL_BLACK, PictureArea
from casgan_dicom.conversion.preview import ContactSheet
from casgan_dicom.conversion.run_context import run_context
from casgan_dicom.conversion.run_frames import RunFrames
from casgan_dicom.conversion.run_sample import RunSample
from casgan_dicom.conversion.task import Progress, Spools, Task
from casgan_dicom.derived.domain_record import DomainRecord
from casgan_dicom.derived.quality import FrameQuality
from casgan_dicom.derived.roadmap_record import RoadmapRecord
from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.display import to_stored
from casgan_dicom.pixels.framefile import FrameFile
from casgan_dicom.pixels.self_check import Decoding, SelfCheck
from casgan_dicom.pixels.stored_values import Clamped

if TYPE_CHECKING:
    from casgan_dicom.model.atlas.plan import RunPlan
    from casgan_dicom.model.data.normalisation import Levels
    from casgan_dicom.model.generator import Generator, Synthesis

UNTOUCHED_BELOW = 1 / 512
"""Attention below which the output is the input: half a level of 8 bits, which no display can show."""

VESSEL_ABOVE = 0.5
"""Probability from which a pixel that the segmentor sees counts as vessel."""

Float = npt.NDArray[np.float32]
Stored = npt.NDArray[np.unsignedinteger[Any]]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PassSeconds:
    """Where the time went."""

    measure: float
    """First pass: decoding, and the levels of the whole run."""
    check: float
    """Second pass: decoding, and the search for contrast."""
    plan: float
    """The plan of what is drawn; next to nothing for a generator that makes none."""
    generate: float
    """The generator alone, in the third pass."""


@dataclass(frozen=True)
class Synthesized:
    """What the passes brought."""

    frames: FrameFile
    """The stored frames, in the spool that was passed in."""
    attention: FrameFile | None
    """Attention of each, 0 to 255; None if not wanted, or for a method without one."""
    vessels: FrameFile | None
    """Vessels of each synthetic frame, drawn or seen by the segmentor, 0 or 255; None if not wanted."""
    chosen: tuple[int, ...]
    """The source frames they were made of, from 0."""
    quality: tuple[FrameQuality, ...]
    """What was measured on each."""
    opacification: Opacification
    """Which frames of the whole source already show opacified vessels."""
    untouched_share: float
    """Share of pixels outside the banner that equal the displayed input."""
    seconds: PassSeconds
    """Where the time went."""
    decoding: Decoding
    """Who decoded the source, and whether a second decoder agrees."""
    domain: DomainRecord
    """Whether the run is of the kind that the bundle was trained on."""
    sheet: ContactSheet | None = None
    """Tiles, if they were wanted."""
    plan: RunPlan | None = None
    """What was drawn over the run; None for a generator that draws frame by frame."""
    roadmap: RoadmapRecord | None = None
    """What was laid over the run out of an earlier one; None where vessels are invented."""
    notes: tuple[str, ...] = ()
    """What only the decoded values tell."""

    @property
    def mean_attention(self) -> float | None:
        """Mean of the attention map over all pixels of all frames; None for a method without one."""
        known = [each.mean_attention for each in self.quality if each.mean_attention is not None]
        return sum(known) / len(known) if known else None


def synthesize(task: Task, generator: Generator, spools: Spools, progress: Progress) -> Synthesized:
    """Make the synthetic frames of one cine.

    Parameters
    ----------
    task
        The cine and how it is to be treated.
    generator
        Who makes the frames.
    spools
        Where they go; the frames are in there afterwards, at position 0.
    progress
        Called after each frame measured and each batch checked or generated.

    Raises
    ------
    PixelError
        A frame cannot be decoded, two decoders differ about one, or the generator returned NaN or another
        size. The spools then hold rubbish.
    ForeignError
        The run is of another kind than the bundle was trained on, and not forced; nothing is in the spools.
    SeriesError
        No frame is left of the choice, or the cine has fewer frames.
    """
    started = perf_counter()
    sample = RunSample(() if task.guide else generator.sampled(task.cine.frames))
    area, clamped, check, kind = PictureArea(), Clamped(), SelfCheck(task.cine), DomainCheck(task.cine)
    run = RunFrames(task.cine, task.display, spools.source)
    tell = telling(task, "measure", task.cine.frames, progress)
    decoded = run.decoded(check.passing(iter_frames(task.cine, clamped)))
    shown = ahead(decoded, lambda _: tell(1))
    levels = generator.measure(sample.passing(kind.passing(area.passing(shown))))
    turn_away(domain := kind.result(generator), force=task.force)
    task = replace(task, picture=area.mask())
    measured = perf_counter()
    found = look_for_contrast(task, run, generator, levels, progress)
    decoding = check.result()
    checked = perf_counter()
    chosen = task.choice.pick(found.opacified, found.sure)
    draw: Draw
    if task.guide is not None:
        draw = laid = lay_over(task, run, task.guide, chosen, progress)
        record, plan = laid.record, None
    else:
        plan = _plan(task, generator, sample, found.opacified)
        draw, record = _Drawn(chosen, levels, plan), None
    planned = perf_counter()
    making = Making(task, spools, draw.chosen, Seen(found, domain, record))
    generating = _generate(making, run, generator, levels, draw, progress)
    return Synthesized(
        frames=making.frames.finish(),
        attention=making.attention.finish() if making.attention and making.with_attention else None,
        vessels=making.vessels.finish() if making.vessels else None,
        chosen=draw.chosen,
        quality=tuple(making.quality),
        opacification=found,
        untouched_share=making.untouched / len(draw.chosen),
        seconds=PassSeconds(measured - started, checked - measured, planned - checked, generating),
        decoding=decoding,
        domain=domain,
        sheet=making.sheet,
        plan=plan,
        roadmap=record,
        notes=(*clamped.notes(int(task.cine.header.BitsStored)), *_blank(task, draw.chosen)),
    )


def keep_input(inputs: Stored, made: Synthesis, visible: Mask, bits: int = 8) -> Stored:
    """Stored output (T, H, W): what was made, but the input where nothing was meant to be drawn.

    `inputs` is the displayed input in stored values of so many bits, (T, H, W); `visible`, bool (T, H, W) or
    (H, W), is False behind a shutter. Raises PixelError if the generator made another size, or NaN.
    """
    if made.frames.shape != inputs.shape:
        raise PixelError(f"the generator made frames of shape {made.frames.shape} from {inputs.shape}")
    untouched = ~visible
    if made.attention is not None:
        untouched = untouched | (made.attention < UNTOUCHED_BELOW)
    return np.where(untouched, inputs, to_stored(made.frames, bits))


def _plan(task: Task, generator: Generator, sample: RunSample, opacified: Sequence[bool]) -> RunPlan | None:
    """What is drawn over the run; None where nothing is planned."""
    if not sample.numbers:
        return None
    frames, numbers = sample.without(opacified)
    context = run_context(task.cine, task.display, task.artery, task.view, task.injection)
    return generator.plan(frames, numbers, sample.scaled(context))


class Draw(Protocol):
    """What the third pass goes by."""

    @property
    def chosen(self) -> tuple[int, ...]:
        """The frames that are converted, from 0 and rising."""

    def __call__(self, generator: Generator, batch: Batch) -> Synthesis:
        """Draw into some of them."""


@dataclass(frozen=True)
class _Drawn:
    """Vessels as a generator makes them."""

    chosen: tuple[int, ...]
    """The frames that are converted, from 0."""
    levels: Levels
    """Of the whole run."""
    plan: RunPlan | None
    """Of the whole run."""

    def __call__(self, generator: Generator, batch: Batch) -> Synthesis:
        """Let the generator draw into some of the frames."""
        if self.plan is None:
            return generator(batch.shown, self.levels)
        return generator(batch.shown, self.levels, self.plan, batch.numbers)


def _generate(
    making: Making, run: RunFrames, generator: Generator, levels: Levels, draw: Draw, progress: Progress
) -> float:
    """The third pass; returns the seconds in the generator."""
    task, seconds = making.task, 0.0
    tell = telling(task, "generate", len(draw.chosen), progress)
    batched = _drawn(task, batches(run, draw.chosen, generator.batch), generator, levels, draw)
    for drawn in ahead(batched, lambda one: tell(len(one.numbers))):
        seconds += drawn.seconds
        for i, k in enumerate(drawn.numbers):
            attention = None
            if drawn.attention is not None:  # behind a shutter the input was kept
                attention = np.where(drawn.visible[i], drawn.attention[i], np.float32(0))
            clipped = 0.0 if drawn.out_of_range is None else float(drawn.out_of_range[i])
            making.take(MadeFrame(k, drawn.inputs[i], drawn.outputs[i], attention, drawn.vessels[i], clipped))
    return seconds


@dataclass(frozen=True, eq=False)
class _DrawnBatch:
    """Some frames of the output, composed."""

    numbers: tuple[int, ...]
    """Their places in the source, from 0."""
    attention: Float | None
    """Where it was drawn, (T, H, W), behind shutters, too; None for a method without one."""
    out_of_range: Float | None
    """Share of pixels of each frame, (T,), that were clipped; None if unknown."""
    inputs: Stored
    """The displayed input, in stored values, (T, H, W)."""
    outputs: Stored
    """The output, not marked yet, (T, H, W)."""
    visible: Mask
    """Where there is a picture, (T, H, W)."""
    vessels: Mask
    """Where there is a vessel in the output, (T, H, W)."""
    seconds: float
    """In the generator alone."""


def _drawn(
    task: Task, some: Iterable[Batch], generator: Generator, levels: Levels, draw: Draw
) -> Iterator[_DrawnBatch]:
    """The first half of the third pass: all that asks the generator."""
    for batch in some:
        yield _composed(task, batch, generator, levels, draw)


def _composed(task: Task, batch: Batch, generator: Generator, levels: Levels, draw: Draw) -> _DrawnBatch:
    """Draw into some frames, and find the vessels of what comes out."""
    started = perf_counter()
    made = draw(generator, batch)
    seconds = perf_counter() - started
    inputs = to_stored(batch.shown, task.bits)
    visible = visible_in(task, batch.numbers)
    outputs = keep_input(inputs, made, visible, task.bits)
    vessels = made.vessels
    if vessels is None:  # the method does not know what it draws
        top = np.float32(2**task.bits - 1)
        vessels = generator.vessels(outputs.astype(np.float32) / top, levels) >= VESSEL_ABOVE
    return _DrawnBatch(
        numbers=batch.numbers,
        attention=made.attention,
        out_of_range=made.out_of_range,
        inputs=inputs,
        outputs=outputs,
        visible=visible,
        vessels=vessels,
        seconds=seconds,
    )


def _blank(task: Task, numbers: Sequence[int]) -> tuple[str, ...]:
    """A sentence where the frames show no picture anywhere."""
    return () if any(visible_in(task, (k,)).any() for k in numbers) else (ALL_BLACK,)
