"""``casgan-dicom evaluate``: what bundles draw on frames that no training saw, in the paper's tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.device import device_option
from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import json_option, need_extra, say, tell

if TYPE_CHECKING:
    from casgan_dicom.model.evaluation.tables import TableName


@click.command()
@click.argument("runs_or_bundles", metavar="RUN...", nargs=-1, required=True)
@option(
    "--mode",
    type=click.Choice(["bundles", "reference"]),
    default="bundles",
    help="reference: the patient's own vessels of an earlier run, on --runs pairs of simulated runs.",
)
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
    mode: str,
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

    With --mode reference the first RUN's segmentor finds the vessels of the earlier runs, and each that draws
    by a plan is measured on the same frames; table.md and report.json are written. --frames are those of each
    run; of the other options only --data, --runs and --device count.
    """
    with need_extra("metrics"):
        from casgan_dicom.lab.evaluate import EvaluateOptions
        from casgan_dicom.lab.evaluate import evaluate as evaluate_bundles
        from casgan_dicom.lab.evaluate_roadmap import evaluate_roadmap
        from casgan_dicom.model.evaluation.protocol import Protocol
        from casgan_dicom.model.evaluation.report import report_figures
        from casgan_dicom.model.evaluation.roadmap_report import PairProtocol

    if mode == "reference":
        pairs = PairProtocol(
            patients=runs, target_frames=frames, failing=runs, failing_both=max(1, runs // 3)
        )
        measured = evaluate_roadmap(
            runs_or_bundles, data=data, out=out, protocol=pairs, device=device, log=say
        )
        text = json.dumps(measured.figures(), indent=2) if as_json else (out / "table.md").read_text()
        click.echo(text.rstrip())
        return
    protocol = Protocol(
        runs=runs, frames_per_run=frames, cines=cines, cue=cue, training_runs=training_runs, steps=steps
    )
    options = EvaluateOptions(table, protocol, extractor, judges, device)
    report = evaluate_bundles(runs_or_bundles, data=data, out=out, options=options, log=say)
    text = json.dumps(report_figures(report), indent=2) if as_json else (out / "table.md").read_text()
    for line in text.rstrip().splitlines():
        tell(line)
