"""Frames in, synthetic frames out: three streamed passes over a cine, in memory that does not grow with it.

The first pass measures the levels of the whole run, so that the first frame is scaled like the last, and
keeps the few frames that a generator wants to see before it plans what it draws. The second looks for frames
that already show contrast, in the whole run, since one frame alone does not tell. The plan is made then. The
third pass runs the generator on the chosen frames and spools what it makes to files.

Three promises about the output are kept here, in stored values: where attention is below 1/512 and where a
shutter covers the picture, the output is the displayed input; the banner is the last thing written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from casgan_dicom.conversion.domain_check import DomainCheck, turn_away
from casgan_dicom.conversion.opacification import ContrastCheck, Opacification, look_every
from casgan_dicom.conversion.options import Artery, FrameChoice, InjectionChoice, ViewChoice
from casgan_dicom.conversion.picture_area import ALL_BLACK, PictureArea
from casgan_dicom.conversion.preview import ContactSheet
from casgan_dicom.conversion.run_context import run_context
from casgan_dicom.conversion.run_sample import RunSample
from casgan_dicom.derived.domain_record import DomainRecord
from casgan_dicom.derived.quality import FrameQuality
from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.banner import Banner
from casgan_dicom.pixels.decode import StoredFrame, iter_frames
from casgan_dicom.pixels.display import Display, to_stored
from casgan_dicom.pixels.framefile import FrameFile, FrameWriter
from casgan_dicom.pixels.self_check import Decoding, SelfCheck
from casgan_dicom.pixels.stored_values import Clamped
from casgan_dicom.source.cine import Cine

if TYPE_CHECKING:
    from casgan_dicom.model.atlas.plan import RunPlan
    from casgan_dicom.model.data.normalisation import Levels
    from casgan_dicom.model.generator import Generator, Synthesis

UNTOUCHED_BELOW = 1 / 512
"""Attention below which the output is the input: half a level of 8 bits, which no display can show."""
VESSEL_ABOVE = 0.5
"""Probability from which a pixel counts as vessel."""

Float = npt.NDArray[np.float32]
Stored = npt.NDArray[np.unsignedinteger[Any]]
Mask = npt.NDArray[np.bool_]
Stage = Literal["measure", "check", "generate"]


@dataclass(frozen=True)
class Step:
    """How far a cine has come."""

    source_instance_uid: str
    """SOP Instance UID (0008,0018) of the source, the first where there are several."""
    stage: Stage
    """Which of the three passes."""
    done: int
    """Frames behind us in this pass."""
    frames: int
    """Frames of this pass."""
    cines: int
    """Cines that are converted in the same call, this one among them."""


Progress = Callable[[Step], None]


@dataclass(frozen=True)
class Task:
    """One cine and how it is to be treated."""

    cine: Cine
    """The source."""
    display: Display
    """Its stored values to display values, and its shutters."""
    banner: Banner | None
    """What is burned in; None for nothing."""
    choice: FrameChoice = field(default_factory=FrameChoice)
    """Which frames are converted."""
    artery: Artery = "auto"
    """Which coronary artery is drawn, by a generator that plans."""
    view: ViewChoice = field(default_factory=ViewChoice)
    """From where the run was taken, for such a generator."""
    injection: InjectionChoice = field(default_factory=InjectionChoice)
    """When contrast arrives and for how long it flows, for such a generator."""
    bits: int = 8
    """Bits Stored (0028,0101) of the output."""
    sheet: bool = False
    """Whether a contact sheet is wanted."""
    picture: Mask | None = None
    """Where the run has a picture, bool (H, W); None before all frames were seen."""
    cines: int = 1
    """Cines that are converted in the same call, for who looks on."""
    force: bool = False
    """Whether a run that is foreign to the bundle is converted all the same."""


@dataclass(frozen=True)
class Spools:
    """Empty files, open for reading and writing, for what is made frame by frame."""

    frames: BinaryIO
    """For the synthetic frames."""
    attention: BinaryIO | None = None
    """For the attention maps; None if they are not wanted."""
    vessels: BinaryIO | None = None
    """For the vessel masks; None if they are not wanted."""


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
    """Vessels of each synthetic frame, 0 or 255; None if not wanted."""
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
    notes: tuple[str, ...] = ()
    """What only the decoded values tell."""

    @property
    def mean_attention(self) -> float | None:
        """Mean of the attention map over all pixels of all frames; None for a method without one."""
        known = [each.mean_attention for each in self.quality if each.mean_attention is not None]
        return sum(known) / len(known) if known else None


@dataclass(frozen=True)
class _Frame:
    """One frame on its way out."""

    k: int
    """Its place in the source, from 0."""
    before: Stored
    """The displayed input, in stored values."""
    after: Stored
    """The output, composed but not marked."""
    attention: Float | None
    """Where the generator drew."""
    vessels: Float
    """Probability of vessel in the output."""
    out_of_range: float
    """Share of pixels that were clipped to what can be displayed."""


class _Making:
    """The third pass: composes frames, marks them, measures them, and spools them."""

    def __init__(
        self,
        task: Task,
        spools: Spools,
        chosen: tuple[int, ...],
        contrast: Opacification,
        domain: DomainRecord,
    ) -> None:
        cine = task.cine
        self.task = task
        self._contrast, self._domain = contrast, domain
        self.frames = FrameWriter(spools.frames, cine.rows, cine.columns, task.bits)
        self.attention = _writer(spools.attention, cine)
        self.vessels = _writer(spools.vessels, cine)
        self.quality: list[FrameQuality] = []
        self.untouched = 0.0
        self.with_attention = False
        self.sheet = ContactSheet(tuple(k + 1 for k in chosen), domain.short) if task.sheet else None
        self._bare = np.ones((cine.rows, cine.columns), dtype=np.bool_)
        if task.banner is not None:
            self._bare &= ~task.banner.mask(self._bare.shape)

    def take(self, frame: _Frame) -> None:
        """Measure a frame, mark it, and spool it with its maps."""
        visible = self.task.display.visible(frame.k)
        vessels = (frame.vessels >= VESSEL_ABOVE) & visible
        attention = frame.attention
        self.quality.append(
            FrameQuality(
                frame=frame.k + 1,
                mean_attention=None if attention is None else float(attention.mean(dtype=np.float64)),
                vessel_cover=float(vessels.sum() / max(1, visible.sum())),
                out_of_range=frame.out_of_range,
                opacified=self._contrast.opacified[frame.k],
                opacified_probability=self._contrast.probability[frame.k],
                source_cover=self._contrast.cover[frame.k],
                domain_score=self._domain.of_frame(frame.k + 1),
            )
        )
        self.untouched += float(np.mean(frame.before[self._bare] == frame.after[self._bare]))
        if self.task.banner is not None:
            self.task.banner.burn(frame.after, 2**self.task.bits - 1)
        if self.sheet is not None:
            before, after = _byte(frame.before, self.task.bits), _byte(frame.after, self.task.bits)
            self.sheet.offer(len(self.quality) - 1, before, after, attention)
        self.frames.write(frame.after)
        if self.attention is not None and attention is not None:
            self.with_attention = True
            self.attention.write(to_stored(attention))
        if self.vessels is not None:
            self.vessels.write(np.where(vessels, np.uint8(255), np.uint8(0)))


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
        A frame cannot be decoded, two decoders differ about one, the passes differ in their number, or the
        generator returned NaN or another size. The spools then hold rubbish.
    ForeignError
        The run is of another kind than the bundle was trained on, and not forced; nothing is in the spools.
    SeriesError
        No frame is left of the choice, or the cine has fewer frames.
    """
    started = perf_counter()
    sample, area = RunSample(generator.sampled(task.cine.frames)), PictureArea()
    clamped, check, kind = Clamped(), SelfCheck(task.cine), DomainCheck(task.cine)
    decoded = check.passing(iter_frames(task.cine, clamped))
    shown = kind.passing(area.passing(_displayed(task, progress, decoded)))
    levels = generator.measure(sample.passing(shown))
    turn_away(domain := kind.result(generator), force=task.force)
    task = replace(task, picture=area.mask())
    measured = perf_counter()
    found = _look_for_contrast(task, generator, levels, progress)
    decoding = check.result()
    checked = perf_counter()
    chosen = task.choice.pick(found.opacified, found.sure)
    plan = _plan(task, generator, sample, found.opacified)
    planned = perf_counter()
    making = _Making(task, spools, chosen, found, domain)
    generating = _generate(making, generator, _Drawn(chosen, levels, plan), progress)
    return Synthesized(
        frames=making.frames.finish(),
        attention=making.attention.finish() if making.attention and making.with_attention else None,
        vessels=making.vessels.finish() if making.vessels else None,
        chosen=chosen,
        quality=tuple(making.quality),
        opacification=found,
        untouched_share=making.untouched / len(chosen),
        seconds=PassSeconds(measured - started, checked - measured, planned - checked, generating),
        decoding=decoding,
        domain=domain,
        sheet=making.sheet,
        plan=plan,
        notes=(*clamped.notes(int(task.cine.header.BitsStored)), *_blank(task, chosen)),
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


def _look_for_contrast(task: Task, generator: Generator, levels: Levels, progress: Progress) -> Opacification:
    """The second pass, over as many frames as tell when contrast comes and goes."""
    frames = task.cine.frames
    rate = task.cine.timing.cine_rate if frames > 1 else None
    check = ContrastCheck(look_every(rate, frames), rate)
    looked_at = ((k, shown) for k, shown in enumerate(_displayed(task, None)) if k % check.every == 0)
    for batch in _batches(looked_at, generator.batch):
        check.add(batch.shown, generator.vessels(batch.shown, levels), _visible(task, batch.numbers))
        progress(_step(task, "check", batch.numbers[-1] + 1, frames))
    return check.result(frames)


def _plan(task: Task, generator: Generator, sample: RunSample, opacified: Sequence[bool]) -> RunPlan | None:
    """What is drawn over the run; None where nothing is planned."""
    if not sample.numbers:
        return None
    frames, numbers = sample.without(opacified)
    context = run_context(task.cine, task.display, task.artery, task.view, task.injection)
    return generator.plan(frames, numbers, sample.scaled(context))


@dataclass(frozen=True)
class _Drawn:
    """What the third pass goes by."""

    chosen: tuple[int, ...]
    """The frames that are converted, from 0."""
    levels: Levels
    """Of the whole run."""
    plan: RunPlan | None
    """Of the whole run."""

    def __call__(self, generator: Generator, batch: _Batch) -> Synthesis:
        """Let the generator draw into some of the frames."""
        if self.plan is None:
            return generator(batch.shown, self.levels)
        return generator(batch.shown, self.levels, self.plan, batch.numbers)


def _generate(making: _Making, generator: Generator, drawn: _Drawn, progress: Progress) -> float:
    """The third pass; returns the seconds in the generator."""
    task, seconds, chosen = making.task, 0.0, drawn.chosen
    wanted, top = frozenset(chosen), np.float32(2**task.bits - 1)
    frames = islice(enumerate(_displayed(task, None)), chosen[-1] + 1)
    for batch in _batches(((k, frame) for k, frame in frames if k in wanted), generator.batch):
        started = perf_counter()
        made = drawn(generator, batch)
        seconds += perf_counter() - started
        inputs = to_stored(batch.shown, task.bits)
        visible = _visible(task, batch.numbers)
        outputs = keep_input(inputs, made, visible, task.bits)
        vessels = generator.vessels(outputs.astype(np.float32) / top, drawn.levels)
        for i, k in enumerate(batch.numbers):
            attention = None
            if made.attention is not None:  # behind a shutter the input was kept
                attention = np.where(visible[i], made.attention[i], np.float32(0))
            clipped = 0.0 if made.out_of_range is None else float(made.out_of_range[i])
            making.take(_Frame(k, inputs[i], outputs[i], attention, vessels[i], clipped))
        progress(_step(task, "generate", len(making.quality), len(chosen)))
    return seconds


def _step(task: Task, stage: Stage, done: int, frames: int) -> Step:
    return Step(task.cine.instances[0].sop_instance_uid, stage, done, frames, task.cines)


def _displayed(
    task: Task, progress: Progress | None, decoded: Iterable[StoredFrame] | None = None
) -> Iterator[Float]:
    """Display values of every frame, float32 (H, W), of a pass that decodes them where none is given."""
    for k, stored in enumerate(iter_frames(task.cine) if decoded is None else decoded):
        yield task.display.apply(k, stored)
        if progress is not None:
            progress(_step(task, "measure", k + 1, task.cine.frames))


def _visible(task: Task, numbers: Sequence[int]) -> Mask:
    """Where frames show a picture and no shutter covers it, bool (T, H, W)."""
    visible = np.stack([task.display.visible(k) for k in numbers])
    return visible if task.picture is None else visible & task.picture


def _blank(task: Task, numbers: Sequence[int]) -> tuple[str, ...]:
    """A sentence where the frames show no picture anywhere."""
    return () if any(_visible(task, (k,)).any() for k in numbers) else (ALL_BLACK,)


@dataclass(frozen=True)
class _Batch:
    """Frames that go through the networks together."""

    numbers: tuple[int, ...]
    """Their places in the source, from 0."""
    shown: Float
    """Their display values, (T, H, W)."""


def _batches(frames: Iterable[tuple[int, Float]], size: int) -> Iterator[_Batch]:
    """Numbered frames, stacked by `size`; the last batch is as long as what is left."""
    stream = iter(frames)
    while batch := list(islice(stream, max(1, size))):
        yield _Batch(tuple(k for k, _ in batch), np.stack([frame for _, frame in batch]))


def _byte(stored: Stored, bits: int) -> npt.NDArray[np.uint8]:
    """Stored values as those of 8 bits."""
    return (stored >> (bits - 8)).astype(np.uint8)


def _writer(spool: BinaryIO | None, cine: Cine) -> FrameWriter | None:
    return None if spool is None else FrameWriter(spool, cine.rows, cine.columns)
