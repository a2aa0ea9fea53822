"""The one pipeline: files of a series in, an honest derived object out.

find → may we? → display values → generator → stored values → derived object → our own rules → its place

The command line and the node both call `convert_series`. Nothing here knows a terminal or a network; what the
generator is made of, and where it is kept, is the business of who passes the function that loads it.
"""

from __future__ import annotations

import io
import json
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, BinaryIO

from casgan_dicom import __version__
from casgan_dicom.conversion.contrast_notes import contrast_of
from casgan_dicom.conversion.domain_check import ForeignRunError
from casgan_dicom.conversion.forms import objects_of
from casgan_dicom.conversion.options import ConvertOptions, numbers_text
from casgan_dicom.conversion.output_folder import (
    OtherObjectError,
    Placed,
    deliver,
    spool_in,
)
from casgan_dicom.conversion.output_notes import asked_of, notes_on_output
from casgan_dicom.conversion.plan import Plan, bits_of, instances_of, plan_conversion, skip
from casgan_dicom.conversion.plan_record import record_of
from casgan_dicom.conversion.preview import ContactSheet
from casgan_dicom.conversion.reference_reading import Guide, read_reference, relayed
from casgan_dicom.conversion.reference_search import Candidate
from casgan_dicom.conversion.report import ConvertReport, Output, Seconds, Skipped
from casgan_dicom.conversion.synthesize import Synthesized, synthesize
from casgan_dicom.conversion.task import Progress, Spools, Task, silent
from casgan_dicom.derived.history import declared_lossless
from casgan_dicom.derived.marks import Derivation
from casgan_dicom.derived.provenance import ModelIdentity, Provenance, Superseded
from casgan_dicom.disk import write_output
from casgan_dicom.errors import OutputError, SeriesError
from casgan_dicom.pixels.banner import banner_for
from casgan_dicom.pixels.display import Display
from casgan_dicom.pixels.lossy import LossyHistory, lossy_history
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.run_facts import facts_of

if TYPE_CHECKING:
    from casgan_dicom.model.generator import Generator

Clock = Callable[[], datetime]
Loader = Callable[[], "Generator"]
"""Gives the generator: a new one, or one that is kept from call to call."""


def now() -> datetime:
    """The time, in the zone of this machine."""
    return datetime.now(UTC).astimezone()


def convert_series(
    paths: Sequence[Path],
    load: Loader,
    options: ConvertOptions,
    out_dir: Path,
    *,
    progress: Progress = silent,
    clock: Clock = now,
) -> ConvertReport:
    """Convert every cine in `paths` that may be converted.

    Parameters
    ----------
    paths
        Files or folders; only read.
    load
        Gives who makes the frames; called once, and only if the headers leave a cine to convert.
    options
        What the caller decides.
    out_dir
        Made if it is not there. Objects go to ``<series uid>/<sop uid>.dcm``, the report to ``report.json``,
        contact sheets to ``<series uid>.png``.
    progress
        Told of every step.
    clock
        Tells the time, with its zone.

    Returns
    -------
    ConvertReport
        A cine that cannot be converted is skipped with its reasons; the others are not affected.

    Raises
    ------
    SeriesError
        There is no DICOM file at all.
    OutputError
        The output cannot be written, or would be written into the input.
    CasganError
        Whatever `load` raises; nothing is written then.
    """
    plan = plan_conversion(paths, options, out_dir)
    if plan.cines:
        return _convert_plan(plan, load(), options, out_dir, progress=progress, clock=clock)
    report = _report(plan, [], plan.skipped, None, clock)
    _write_report(report, out_dir)
    return report


def _convert_plan(
    plan: Plan,
    generator: Generator,
    options: ConvertOptions,
    out_dir: Path,
    *,
    progress: Progress,
    clock: Clock,
) -> ConvertReport:
    """Convert the cines of a plan, which holds at least one."""
    outputs: list[Output] = []
    skipped = list(plan.skipped)
    crowded = _crowded_series(plan.cines)
    try:
        for cine, notes, references in zip(plan.cines, plan.notes, plan.references, strict=True):
            run = _Run(
                cine=cine,
                notes=notes,
                references=references,
                cines=len(plan.cines),
                generator=generator,
                options=options,
                out_dir=out_dir,
                crowded=cine.series_uid in crowded,
            )
            try:
                outputs.append(_convert_cine(run, progress, clock))
            except ForeignRunError as error:
                skipped.append(skip(cine, [error.message], forceable=True, domain=error.record))
            except (SeriesError, OtherObjectError) as error:
                reasons = [error.message] + ([error.hint] if error.hint else [])
                skipped.append(skip(cine, reasons, forceable=isinstance(error, OtherObjectError)))
    except BaseException:  # a full disk, Ctrl-C: what is done is done, and its report must not be lost
        if outputs:
            with suppress(OutputError):
                _write_report(_report(plan, outputs, skipped, generator, clock), out_dir)
        raise
    report = _report(plan, outputs, skipped, generator, clock)
    _write_report(report, out_dir)
    return report


def _report(
    plan: Plan,
    outputs: Sequence[Output],
    skipped: Sequence[Skipped],
    generator: Generator | None,
    clock: Clock,
) -> ConvertReport:
    return ConvertReport(
        outputs=tuple(outputs),
        skipped=tuple(skipped),
        warnings=plan.warnings,
        model=None if generator is None else _identity(generator),
        version=__version__,
        created=clock().isoformat(timespec="seconds"),
    )


def _write_report(report: ConvertReport, out_dir: Path) -> None:
    """Replace ``report.json``: one of an earlier run would speak of other files."""
    write_output(out_dir / "report.json", json.dumps(report.as_json(), indent=2).encode() + b"\n")


@dataclass(frozen=True)
class _Run:
    """One cine on its way."""

    cine: Cine
    notes: tuple[str, ...]
    """What the plan found odd about it."""
    references: tuple[Candidate, ...]
    """Earlier runs that may lend their vessels, the nearest first; none where a generator draws."""
    cines: int
    """How many are converted in this call."""
    generator: Generator
    options: ConvertOptions
    out_dir: Path
    crowded: bool
    """Whether its series holds other cines, which want contact sheets of their own."""


def _convert_cine(run: _Run, progress: Progress, clock: Clock) -> Output:
    """One cine from its files to its place."""
    started = perf_counter()
    options = run.options
    guide = _guide(run, progress)
    task = _task(run, guide)
    with ExitStack() as open_files:

        def new_spool() -> BinaryIO:
            return open_files.enter_context(spool_in(run.out_dir))

        spools = Spools(
            source=new_spool(),
            frames=new_spool(),
            attention=new_spool() if options.maps else None,
            vessels=new_spool() if options.maps or options.seg else None,
        )
        made = synthesize(task, run.generator, spools, progress)
        with warnings.catch_warnings():
            # pydicom quotes malformed values, which may be those of a patient
            warnings.simplefilter("ignore")
            derivation = Derivation(
                cine=run.cine,
                provenance=_provenance(run.generator, task, made, options),
                lossy=_lossy(run.cine, guide),
                created=clock(),
                chosen=made.chosen,
                reference=None if guide is None else guide.candidate.cine,
            )
            objects = objects_of(derivation, made, options, new_spool)
            placed = deliver(objects, run.out_dir, force=options.force)
    preview = None if made.sheet is None else _save_sheet(made.sheet, run, placed)
    return _output(run, task, _Result(made, derivation, placed, preview), perf_counter() - started)


def _guide(run: _Run, progress: Progress) -> Guide | None:
    """The first earlier run that lends its vessels; None where a generator draws.

    Raises SeriesError where all are refused, with every reason.
    """
    if run.options.reference is None:
        return None
    refused = []
    tell = relayed(progress, run.cine, run.cines)
    for candidate in run.references:
        try:
            with spool_in(run.out_dir) as spool:
                return read_reference(
                    candidate, facts_of(run.cine), run.generator, spool, tell, force=run.options.force
                )
        except SeriesError as error:
            refused.append(f"series {candidate.facts.series_uid}: {error.message}")
    raise SeriesError("; ".join(refused))


def _lossy(cine: Cine, guide: Guide | None) -> LossyHistory:
    """What the pixels have lost: those of the run, else the vessels laid over them."""
    own = lossy_history(cine)
    return own if own.lossy or guide is None else lossy_history(guide.candidate.cine)


def _task(run: _Run, guide: Guide | None) -> Task:
    """How one cine is to be treated."""
    cine, options = run.cine, run.options
    return Task(
        cine=cine,
        display=Display.of(cine),
        banner=banner_for(cine.rows, cine.columns) if options.banner else None,
        choice=options.frames,
        artery=options.artery,
        view=options.view,
        injection=options.injection,
        bits=bits_of(cine, options),
        sheet=options.preview,
        cines=run.cines,
        force=options.force,
        guide=guide,
        omits_refused=options.reference is not None and options.reference.refused == "omit",
    )


@dataclass(frozen=True)
class _Result:
    """What one cine became."""

    made: Synthesized
    derivation: Derivation
    placed: tuple[Placed, ...]
    preview: Path | None


def _output(run: _Run, task: Task, result: _Result, seconds: float) -> Output:
    """What the report says about one cine."""
    cine, made, derivation = run.cine, result.made, result.derivation
    shows = made.opacification.opacified
    return Output(
        objects=result.placed,
        source_series_uid=cine.series_uid,
        source_instances=instances_of(cine),
        source_frames=cine.frames,
        opacified=numbers_text([k for k, yes in enumerate(shows) if yes]),
        contrast=contrast_of(made.opacification),
        pixel_sha256=made.frames.sha256,
        frames=made.frames.frames,
        rows=made.frames.rows,
        columns=made.frames.columns,
        bits=made.frames.bits,
        frame_time_ms=derivation.timing.frame_time_ms,
        display=task.display.describe(),
        lossy=_lost(run, derivation),
        mean_attention=made.mean_attention,
        untouched_share=made.untouched_share,
        quality=made.quality,
        seconds=Seconds(**asdict(made.seconds), total=seconds),
        decoding=made.decoding,
        domain=made.domain,
        warnings=(*run.notes, *task.display.notes, *notes_on_output(run.options, made)),
        plan=derivation.provenance.plan,
        roadmap=derivation.provenance.roadmap,
        preview=result.preview,
    )


def _lost(run: _Run, derivation: Derivation) -> bool | None:
    """Whether source or output ever lost information to compression; None where the source does not say."""
    if derivation.lossy.lossy or run.options.compression.lossy_method is not None:
        return True
    return False if declared_lossless(run.cine.headers) else None


def _provenance(generator: Generator, task: Task, made: Synthesized, options: ConvertOptions) -> Provenance:
    """Who makes the frames, and how."""
    compression = options.compression
    asked = asked_of(options if made.plan is not None else ConvertOptions())
    model = _identity(generator)
    uids = {instance.sop_instance_uid for instance in task.cine.instances}
    superseded = tuple(one for one in options.superseded if uids.intersection(one.sources))
    return Provenance(
        model=model if made.roadmap is None else replace(model, method="roadmap"),
        display=task.display.describe(),
        banner=options.banner,
        bits=made.frames.bits,
        single_frames=options.single_frames,
        compression="" if compression.name == "none" else f"{compression.name}{compression.quality or ''}",
        frames="" if len(made.chosen) == task.cine.frames else numbers_text(made.chosen),
        revision=options.revision,
        supersedes=_series_before(options, superseded),
        superseded=superseded,
        part=options.part,
        decoding=made.decoding.clause(),
        domain=made.domain.clause(),
        plan=None if made.plan is None else record_of(made.plan),
        roadmap=made.roadmap,
        omits_refused=task.omits_refused,
        artery=asked["artery"],
        view=asked["view"],
        injection=asked["injection"],
    )


def _series_before(options: ConvertOptions, superseded: Sequence[Superseded]) -> str:
    """Series Instance UID that a cine supersedes: that of its own objects, as far as any are known."""
    if options.superseded:
        return superseded[0].series_uid if superseded else ""
    return options.supersedes


def _identity(generator: Generator) -> ModelIdentity:
    """Who makes the frames; header and report say the same."""
    info = generator.info
    return ModelIdentity(
        name=info.name,
        method=info.method,
        version=info.version,
        recipe=info.recipe,
        licence=info.licence,
        weights_sha256=info.weights_sha256,
        engine=generator.engine,
        device=generator.device,
    )


def _crowded_series(cines: Sequence[Cine]) -> set[str]:
    """UIDs of the series that give more than one cine."""
    counts = Counter(cine.series_uid for cine in cines)
    return {uid for uid, count in counts.items() if count > 1}


def _save_sheet(sheet: ContactSheet, run: _Run, placed: Sequence[Placed]) -> Path:
    """Write ``OUT/<series uid>.png``; with the SOP UID behind it where the series holds other objects."""
    first = placed[0].path
    alone = not run.crowded and set(first.parent.glob("*.dcm")) <= {one.path for one in placed}
    path = run.out_dir / f"{first.parent.name}{'' if alone else f'-{first.stem}'}.png"
    picture = io.BytesIO()
    sheet.save(picture)
    write_output(path, picture.getvalue())
    return path
