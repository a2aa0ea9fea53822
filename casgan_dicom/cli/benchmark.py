"""``casgan-dicom benchmark``: train every run of a plan on the same data, and measure them together."""

from __future__ import annotations

from pathlib import Path

import click

from casgan_dicom.cli.device import device_option
from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import need_extra, say, show_error, tell
from casgan_dicom.cli.train import show_trained
from casgan_dicom.model.evaluation.plan_files import plan_names


@click.command()
@option("--preset", default="desk", help=f"Plan of the runs: {', '.join(plan_names())}, or a .toml file.")
@option("--data", default="sim:1", metavar="SPEC", help="As for train.")
@option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    envvar="CASGAN_BENCHMARK_SET",
    help="Change one setting of every run; repeatable.",
)
@option("--jobs", type=click.IntRange(min=1), default=1, help="Runs that train at the same time.")
@device_option()
@option("--extractor", default="auto", metavar="SPEC", help="Of the distances between sets, as for evaluate.")
@option("--out", required=True, type=PATH, help="Its folder.")
def benchmark(  # noqa: PLR0913 - one parameter per option is how click calls
    *,
    preset: str,
    data: str,
    overrides: tuple[str, ...],
    jobs: int,
    device: str,
    extractor: str,
    out: Path,
) -> None:
    """Train all runs of a plan, then measure them.

    Each run is a folder of --out/runs, as `train` writes it. The same command again continues: finished runs
    stay, stopped ones are resumed. Ctrl-C and SIGTERM save and stop. When all are finished, the report of
    `evaluate --table all` is written to --out/report.
    """
    with need_extra("metrics"):
        from casgan_dicom.lab.benchmark import BenchmarkOptions, Reporter
        from casgan_dicom.lab.benchmark import benchmark as run_benchmark

    options = BenchmarkOptions(overrides, jobs, device, extractor)
    told = Reporter(say, show_trained, show_error)
    done = run_benchmark(preset, data=data, out=out, options=options, reporter=told)
    if done.report is None:
        tell(f"stopped with {len(done.left)} of {done.runs} runs to go; the same command continues")
    else:
        tell(f"report: {done.report}")
