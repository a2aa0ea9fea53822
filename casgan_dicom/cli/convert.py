"""``casgan-dicom convert``: folders or files in, derived series and a report out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from casgan_dicom.cli.device import device_option
from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import EXIT_CODES, json_option, say, show_json, tell
from casgan_dicom.conversion.artery import Artery
from casgan_dicom.conversion.reference_choice import ReferenceChoice, Refused
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE

if TYPE_CHECKING:
    from casgan_dicom.conversion.plan import Plan
    from casgan_dicom.conversion.report import ConvertReport, Output, Skipped
    from casgan_dicom.conversion.task import Progress as OnStep
    from casgan_dicom.conversion.task import Step
    from casgan_dicom.model.generator import EngineName
    from casgan_dicom.pixels.compress import Compression, CompressionName


@click.command("convert", epilog=EXIT_CODES)
@click.argument("series", nargs=-1, required=True, type=PATH)
@option(
    "-o", "--out", type=PATH, default=Path("derived"), help="Folder of the output; made if it is not there."
)
@option("--bundle", help="Name of a shipped bundle, or folder of any.  [default: atlas; see `weights info`]")
@device_option()
@option(
    "--engine",
    type=click.Choice(["auto", "torch", "openvino"]),
    default="auto",
    help="What runs the networks.",
)
@option(
    "--frames",
    default="all",
    metavar="all|non-contrast|A-B",
    help="Which frames of each cine, counted from 1; non-contrast: those without opacified vessels.",
)
@option(
    "--bits", type=click.Choice(["8", "12", "16"]), default="8", help="Bits stored; sources of 8 bits give 8."
)
@option("--single-frame", is_flag=True, help="Write each frame as an object of its own.")
@option(
    "--compress",
    type=click.Choice(["none", "rle", "jpegls", "j2k"]),
    default="none",
    help="Lossless compression.",
)
@option("--lossy", type=click.Choice(["jpeg"]), help="Compression with loss; needs --quality.")
@option("--quality", type=click.IntRange(1, 100), help="Of --lossy jpeg.")
@option(
    "--artery",
    type=click.Choice(get_args(Artery)),
    default="auto",
    help="Coronary artery that a bundle with an atlas draws; auto: by the picture.",
)
@option(
    "--view",
    default="auto",
    metavar="auto|ANGLES",
    help="View that it draws in, as 'LAO30 CRA20', RAO30 or -30,20; auto: by header and picture.",
)
@option(
    "--injection",
    default="none",
    metavar="none|START[,LENGTH]",
    help="Seconds after the first frame at which contrast arrives in what it draws, and for how long it "
    "flows (3 s) before it washes out; none: filled throughout.",
)
@option(
    "--reference",
    multiple=True,
    type=PATH,
    metavar="RUN|auto",
    help="Invent nothing: lay the patient's own vessels of this earlier filled run over every frame; files "
    "or a folder. auto: of the nearest earlier run that fits. Experimental. Repeatable.",
)
@option(
    "--in",
    "search",
    envvar="CASGAN_CONVERT_IN",
    multiple=True,
    type=PATH,
    help="Folder in which --reference auto looks, beside SERIES. Repeatable.",
)
@option(
    "--no-roadmap",
    type=click.Choice(get_args(Refused)),
    help="What becomes of a frame over which --reference can lay nothing: the untouched input, marked NO "
    "ROADMAP (mark), or left out (omit).  [default: mark]",
)
@option("--maps", is_flag=True, help="Write attention map and vessel mask as a second series.")
@option("--seg", is_flag=True, help="Write the vessel mask as DICOM Segmentation.")
@option("--sr", is_flag=True, help="Write the quality record as a structured report.")
@option("--preview", is_flag=True, help="Write a contact sheet, OUT/<series uid>.png.")
@option("--no-banner", is_flag=True, help="Burn no warning into the frames.")
@json_option("CONVERT", "the report")
@option("--dry-run", is_flag=True, help="Say what would be converted; write nothing.")
@option(
    "--force",
    is_flag=True,
    help="Convert declared contrast, DSA, secondary captures and foreign pictures too; replace a different "
    "derived object.",
)
@click.pass_context
def convert(  # noqa: PLR0913  # one parameter per option is how click calls
    ctx: click.Context,
    *,
    series: tuple[Path, ...],
    out: Path,
    bundle: str | None,
    device: str,
    engine: EngineName,
    frames: str,
    bits: str,
    single_frame: bool,
    compress: CompressionName,
    lossy: CompressionName | None,
    quality: int | None,
    artery: Artery,
    view: str,
    injection: str,
    reference: tuple[Path, ...],
    search: tuple[Path, ...],
    no_roadmap: Refused | None,
    maps: bool,
    seg: bool,
    sr: bool,
    preview: bool,
    no_banner: bool,
    as_json: bool,
    dry_run: bool,
    force: bool,
) -> None:
    """Make synthetic angiograms of the X-ray cine series in SERIES (files or folders).

    Writes one multi-frame object for each cine, OUT/<series uid>/<sop uid>.dcm, and OUT/report.json; maps,
    segmentation and report are series of their own. The input is only read.
    """
    from casgan_dicom.conversion.options import ConvertOptions, FrameChoice, InjectionChoice, ViewChoice

    try:
        options = ConvertOptions(
            banner=not no_banner,
            preview=preview,
            force=force,
            frames=FrameChoice(frames),
            bits=int(bits),  # type: ignore[arg-type]  # one of the three choices
            single_frames=single_frame,
            compression=_compression(compress, lossy, quality),
            artery=artery,
            view=ViewChoice(view),
            injection=InjectionChoice(injection),
            reference=_reference(reference, search, no_roadmap),
            maps=maps,
            seg=seg,
            sr=sr,
        )
    except ConfigError as error:
        raise click.UsageError(error.message) from error
    if dry_run:
        from casgan_dicom.conversion.plan import plan_conversion

        plan = plan_conversion(series, options, out)
        _show_plan(plan, as_json=as_json)
        ctx.exit(3 if not plan.cines else 4 if plan.skipped else 0)
    from casgan_dicom.conversion.convert import loader_of
    from casgan_dicom.conversion.pipeline import convert_series
    from casgan_dicom.memory import give_back_memory

    give_back_memory()
    load = loader_of(bundle or DEFAULT_BUNDLE, device, engine)
    with _progress() as on_step:
        report = convert_series(series, load, options, out, progress=on_step)
    if as_json:
        show_json(report.as_json())
    else:
        _show_report(report)
    ctx.exit(report.exit_code)


def _reference(
    runs: tuple[Path, ...], search: tuple[Path, ...], refused: Refused | None
) -> ReferenceChoice | None:
    """The earlier run that was asked for. Raises UsageError where the options do not go together."""
    automatic = runs == (Path("auto"),)
    if not runs and (search or refused):
        raise click.UsageError(f"{'--in' if search else '--no-roadmap'} is of --reference")
    if search and not automatic:
        raise click.UsageError("--in is of --reference auto")
    if not runs:
        return None
    return ReferenceChoice(() if automatic else runs, search, refused or "mark")


def _compression(
    lossless: CompressionName, lossy: CompressionName | None, quality: int | None
) -> Compression:
    """The compression that was asked for. Raises UsageError where the options do not go together."""
    from casgan_dicom.pixels.compress import Compression

    if lossy and lossless != "none":
        raise click.UsageError(f"--compress {lossless} and --lossy {lossy} exclude each other")
    if lossy and quality is None:
        raise click.UsageError(f"--lossy {lossy} needs --quality, from 1 to 100")
    if quality is not None and not lossy:
        raise click.UsageError("--quality is of --lossy jpeg")
    return Compression(lossy or lossless, quality)


@contextmanager
def _progress() -> Iterator[OnStep]:
    """A bar on stderr for each cine, where stderr is a terminal; from the first step on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from casgan_dicom.conversion.task import silent

    console = Console(stderr=True)
    if not console.is_terminal:
        yield silent
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=console, transient=True)
    tasks: dict[tuple[str, str], int] = {}
    with ExitStack() as shown:

        def on_step(step: Step) -> None:
            if not tasks:
                shown.enter_context(bars)
            key = (step.source_instance_uid, step.stage)
            if key not in tasks:
                number = len({uid for uid, _ in [*tasks, key]})
                name = f"cine {number} of {step.cines}: {step.stage}"
                tasks[key] = bars.add_task(name, total=step.frames)
            bars.update(tasks[key], completed=step.done)  # type: ignore[arg-type]  # rich's TaskID is an int

        yield on_step


def _show_report(report: ConvertReport) -> None:
    """What was done: a table and the paths on stdout, reasons and warnings on stderr."""
    from rich.console import Console
    from rich.table import Table

    if report.outputs:
        table = Table(box=None, pad_edge=False)
        for name in ("result", "frames", "size", "bits", "ms/frame", "attention", "untouched", "seconds"):
            table.add_column(name, justify="left" if name == "result" else "right")
        for output in report.outputs:
            attention = "-" if output.mean_attention is None else f"{output.mean_attention:.4f}"
            table.add_row(
                output.status,
                str(output.frames),
                f"{output.columns}×{output.rows}",
                str(output.bits),
                f"{output.frame_time_ms:g}" if output.frames > 1 else "-",
                attention,
                f"{100 * output.untouched_share:.1f} %",
                f"{output.seconds.total:.1f}",
            )
        Console().print(table)
    for output in report.outputs:
        _show_paths(output)
        if output.preview is not None:
            tell(str(output.preview))
    for output in report.outputs:
        drawn = output.roadmap or output.plan
        if drawn is not None and not (output.plan and output.plan.refused):  # which is among the warnings
            say(f"casgan-dicom: {output.source_series_uid}: {drawn.clause()}")
    about = [f"{output.source_series_uid}: {said}" for output in report.outputs for said in output.warnings]
    _show_warnings(about, report.warnings)
    _show_skipped(report.skipped)
    if report.model is not None:
        model = report.model
        say(
            f"casgan-dicom: model {model.name} {model.version}, {model.engine} on {model.device}; "
            f"{len(report.outputs)} converted, {len(report.skipped)} skipped"
        )


def _show_paths(output: Output) -> None:
    """Where the objects are: one path each, but for single frames only their folder."""
    for folder in dict.fromkeys(one.path.parent for one in output.objects if one.kind == "frame"):
        tell(str(folder))
    for one in output.objects:
        if one.kind != "frame":
            tell(str(one.path))


def _show_plan(plan: Plan, *, as_json: bool) -> None:
    """What would be done."""
    if as_json:
        would = [
            {
                "source_series_uid": cine.series_uid,
                "source_instances": [instance.sop_instance_uid for instance in cine.instances],
                "frames": cine.frames,
                "rows": cine.rows,
                "columns": cine.columns,
                "frame_time_ms": cine.timing.frame_time_ms,
                "references": [candidate.facts.series_uid for candidate in references],
                "warnings": list(notes),
            }
            for cine, notes, references in zip(plan.cines, plan.notes, plan.references, strict=True)
        ]
        from casgan_dicom.conversion.report import ConvertReport

        skipped = ConvertReport(outputs=(), skipped=plan.skipped, warnings=plan.warnings).as_json()
        show_json({"would_convert": would, "skipped": skipped["skipped"], "warnings": skipped["warnings"]})
        return
    if plan.cines:
        say("casgan-dicom: whether frames show a heart is judged by their pixels, in the conversion only")
    for cine, references in zip(plan.cines, plan.references, strict=True):
        size = f"{cine.frames} frames, {cine.columns}×{cine.rows}, {cine.timing.frame_time_ms:g} ms/frame"
        over = f"  vessels of {references[0].facts.series_uid}" if references else ""
        tell(f"would convert  {cine.series_uid}  {size}{over}")
    _show_skipped(plan.skipped)
    noted = zip(plan.cines, plan.notes, strict=True)
    about = [f"{cine.series_uid}: {said}" for cine, notes in noted for said in notes]
    _show_warnings(about, plan.warnings)


def _show_skipped(skipped: tuple[Skipped, ...]) -> None:
    for cine in skipped:
        name = cine.source_series_uid or str(cine.path)
        say(f"casgan-dicom: skipped {name}: {'; '.join(cine.reasons)}")
        if cine.forceable:
            say("  try: --force converts it all the same")


def _show_warnings(about: Sequence[str], said: Sequence[str]) -> None:
    """What is odd about series, each sentence once for a series, and what concerns none of them."""
    for warning in (*dict.fromkeys(about), *said):
        say(f"casgan-dicom: {warning}")
