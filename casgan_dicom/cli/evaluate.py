"""``casgan-dicom evaluate``: the paired table of bundles on held-out simulated runs."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from casgan_dicom.cli.output import json_option, make_folder, need_extra, say
from casgan_dicom.cli.training_data import parse_data
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.infer import Generator
from casgan_dicom.model.pictures import save_page
from casgan_dicom.model.simulated_data import SimulatedRun
from casgan_dicom.model.vessel_metrics import VesselScores

with need_extra("metrics"):
    from casgan_dicom.model.evaluate import Drawn, Margin, Protocol, Report, markdown, paired_table

Frame = npt.NDArray[np.float32]

PICTURES = 6
"""Runs on the page of pictures."""


@click.command()
@click.argument("bundles", nargs=-1, required=True)
@click.option(
    "--data",
    default="sim:1",
    show_default=True,
    show_envvar=True,
    metavar="SPEC",
    help="sim:SEED[,ct=PATH].",
)
@click.option(
    "--runs",
    type=click.IntRange(min=2),
    default=30,
    show_default=True,
    show_envvar=True,
    help="Held-out runs to measure on.",
)
@click.option(
    "--cue",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    show_envvar=True,
    help="Trace of empty arteries, times the physical one.",
)
@click.option(
    "--training-runs",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    show_envvar=True,
    help="Runs that segmentor and oracle learn from.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=600,
    show_default=True,
    show_envvar=True,
    help="Training steps of the segmentor; the oracle takes twice as many.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    show_envvar=True,
    help="Folder for the report; made if it is not there.",
)
@json_option("EVALUATE", "the report")
def evaluate(  # noqa: PLR0913 - one parameter per option is how click calls
    *,
    bundles: tuple[str, ...],
    data: str,
    runs: int,
    cue: float,
    training_runs: int,
    steps: int,
    out: Path,
    as_json: bool,
) -> None:
    """Measure BUNDLES (names or folders) on simulated runs that no training saw.

    Writes table.md, report.json and pictures.png to --out. The segmentor that reads all rows and the oracle
    are trained first and kept there.
    """
    simulated = parse_data(data).simulated
    if simulated is None:
        raise ConfigError("evaluate needs the truth, so --data must be sim:SEED or sim:SEED,ct=PATH")
    generators = _load(bundles)
    make_folder(out)
    protocol = Protocol(runs=runs, cue=cue, training_runs=training_runs, steps=steps)
    report, shown = paired_table(generators, simulated, protocol, out, say)
    table = markdown(report)
    figures = json.dumps(report_figures(report), indent=2)
    (out / "table.md").write_text(table)
    (out / "report.json").write_text(figures + "\n")
    save_page(out / "pictures.png", _columns(shown))
    click.echo(figures if as_json else table.rstrip())


def _load(bundles: Sequence[str]) -> dict[str, Generator]:
    """Load bundles by the names of their rows; raises ConfigError where two have one name."""
    generators: dict[str, Generator] = {}
    for bundle in bundles:
        generator = Generator.load(bundle)
        if generator.info.name in generators:
            raise ConfigError(
                f"two bundles are named '{generator.info.name}', and a row has one name",
                hint="change `name` in one bundle's config.json",
            )
        generators[generator.info.name] = generator
    return generators


def report_figures(report: Report) -> dict[str, Any]:
    """Give the report as JSON values; an undefined score is null, an infinite one the string "inf"."""
    rows = [
        {
            "name": row.name,
            **_figures(row.scores),
            "recall_margin": _figures(row.recall_margin),
            "weights_sha256": row.weights_sha256,
        }
        for row in report.rows
    ]
    return dataclasses.asdict(report) | {"rows": rows}


def _figures(values: VesselScores | Margin) -> dict[str, float | str | None]:
    return {key: _figure(value) for key, value in dataclasses.asdict(values).items()}


def _figure(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return "inf" if math.isinf(value) else value


def _columns(shown: list[tuple[SimulatedRun, dict[str, Drawn]]]) -> dict[str, list[Frame]]:
    """One frame of each of the first runs: input, every row that draws, its attention, the truth."""
    columns: dict[str, list[Frame]] = {}
    for run, rows in shown[:PICTURES]:
        t = len(run.plain) // 2
        columns.setdefault("input", []).append(run.plain[t])
        for name, row in rows.items():
            if name in ("identity", "oracle"):
                continue
            columns.setdefault(name, []).append(row.frames[t])
            if row.attention is not None:
                columns.setdefault(f"attention of {name}", []).append(row.attention[t])
    return columns
