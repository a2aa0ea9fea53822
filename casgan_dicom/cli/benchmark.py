"""``casgan-dicom benchmark``: train every run of a plan on the same data, and measure them together."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.context import SpawnProcess
from pathlib import Path

import click

from casgan_dicom.cli.device import device_option
from casgan_dicom.cli.evaluate import choose_extractor, measure
from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import make_folder, say, show_error
from casgan_dicom.cli.train import run_training, with_segmentor
from casgan_dicom.errors import CasganError, ConfigError
from casgan_dicom.lab.training_data import DataSpec, load_domains, parse_data
from casgan_dicom.model.benchmark import Plan, PlannedRun, plan_names, read_plan
from casgan_dicom.model.devices import choose_device, use_threads
from casgan_dicom.model.distributed import World
from casgan_dicom.model.evaluation.evaluate import Instruments
from casgan_dicom.model.evaluation.report import write_report
from casgan_dicom.model.evaluation.subjects import find_subjects
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.metrics.extractors import Extractor
from casgan_dicom.model.run_folder import CONFIG_NAME, check_run_folder
from casgan_dicom.model.sampler import CropSampler
from casgan_dicom.model.segment import check_lesson, save_unet, train_segmentor, write_lesson
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.shelf import SEGMENTOR_NAME
from casgan_dicom.model.signals import on_stop_signal
from casgan_dicom.model.trainer import check_weights

FAILED, STOPPED = 1, 75
"""Exit codes of a run's process: an error that it has told, and a signal after which it can go on."""


@dataclass(frozen=True)
class Bench:
    """What all runs share."""

    out: Path
    """Folder of the benchmark."""
    data: DataSpec
    """The training data."""
    device: str
    """Where they train."""
    threads: int
    """Threads of each process."""

    def folder(self, run: PlannedRun) -> Path:
        """Run folder of a run."""
        return self.out / "runs" / run.name

    @property
    def segmentor(self) -> Path:
        """The segmentor that is trained for all runs."""
        return self.out / SEGMENTOR_NAME

    def begun(self, run: PlannedRun) -> bool:
        """Whether a run has been started before."""
        return (self.folder(run) / CONFIG_NAME).is_file()

    def finished(self, run: PlannedRun) -> bool:
        """Whether a run has its bundle, which is written last."""
        return (self.folder(run) / "bundle" / "config.json").is_file()


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
    *, preset: str, data: str, overrides: tuple[str, ...], jobs: int, device: str, extractor: str, out: Path
) -> None:
    """Train all runs of a plan, then measure them.

    Each run is a folder of --out/runs, as `train` writes it. The same command again continues: finished runs
    stay, stopped ones are resumed. Ctrl-C and SIGTERM save and stop. When all are finished, the report of
    `evaluate --table all` is written to --out/report.
    """
    plan, spec = read_plan(preset, overrides), parse_data(data)
    _check(plan, spec, choose_extractor(extractor, "cpu"))  # a GPU is training's until all are finished
    bench = Bench(out.resolve(), spec, choose_device(device), max(1, (os.cpu_count() or 1) // jobs))
    make_folder(bench.out)
    planned = with_segmentor(
        plan.runs[0].settings, spec
    )  # all runs share one: given, shipped or trained here
    segmentor = replace(planned.segmentor, path=planned.segmentor.path or str(bench.segmentor))
    runs = [replace(run, settings=replace(run.settings, segmentor=segmentor)) for run in plan.runs]
    for run in filter(bench.begun, runs):  # by an earlier start: with the same settings, or not at all
        check_run_folder(bench.folder(run), run.settings, spec.description, resume=True)
    if not planned.segmentor.path:
        _train_shared_segmentor(planned, bench)
    if failed := _train_all(runs, bench, jobs):
        raise ConfigError(
            f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}",
            hint="`casgan-dicom evaluate` measures those that are finished",
        )
    if left := [run.name for run in runs if not bench.finished(run)]:
        click.echo(f"stopped with {len(left)} of {len(runs)} runs to go; the same command continues")
        return
    subjects = find_subjects([bench.folder(run) for run in runs])
    instruments = Instruments(choose_extractor(extractor, bench.device), bench.device, say)
    report = measure(subjects, spec, plan.protocol, judges=bench.out / "judges", instruments=instruments)
    write_report(report, bench.out / "report")
    click.echo(f"report: {bench.out / 'report'}")


def _check(plan: Plan, spec: DataSpec, extractor: Extractor | None) -> None:
    """Refuse before hours of training what its end could not measure; raises ConfigError with every fault."""
    faults: list[str] = []
    for run in plan.runs:
        check_weights(run.settings)
    if len({run.settings.segmentor for run in plan.runs}) > 1:
        faults.append("the runs differ in [segmentor], and all share one")
    if spec.simulated is None:
        paired = [run.name for run in plan.runs if method_class(run.settings.method).needs_pairs]
        faults += [f"{name} learns from pairs, which only sim:SEED has" for name in paired]
        if any(run.settings.data.held_out == 0 for run in plan.runs):
            faults.append("data.held_out is 0: runs would be measured on the frames that they trained on")
        if extractor is None:
            faults.append(
                "frames from folders have no known vessels, and without an extractor no score at all"
            )
    if faults:
        hint = (
            "--set data.held_out=0.2 keeps about a fifth of the patients; a plan of your own leaves runs out"
        )
        raise ConfigError("; ".join(faults), hint=hint)


def _train_shared_segmentor(planned: TrainSettings, bench: Bench) -> None:
    """Train the segmentor of all runs, unless an earlier start did."""
    if bench.segmentor.is_file():
        check_lesson(bench.segmentor, planned, bench.data.description)
        return
    write_lesson(bench.segmentor, planned, bench.data.description)
    frames = load_domains(bench.data, planned, say)
    sampler = CropSampler(frames.x, frames.y, planned.data, planned.normalisation, frames.labelled)
    save_unet(train_segmentor(planned, sampler, bench.device, say), bench.segmentor)


def _train_all(runs: Sequence[PlannedRun], bench: Bench, jobs: int) -> list[str]:
    """Train what is not finished, up to `jobs` at once; returns the names of the runs that failed."""
    waiting = [run for run in runs if not bench.finished(run)]
    running: dict[str, SpawnProcess] = {}
    failed: list[str] = []
    stopping = threading.Event()

    def stop() -> None:
        stopping.set()
        waiting.clear()
        for process in list(running.values()):
            process.terminate()

    with on_stop_signal(stop):
        while running or waiting:
            while waiting and len(running) < jobs:
                run = waiting.pop(0)
                say(f"{run.name}: {len(waiting)} more are waiting")
                process = multiprocessing.get_context("spawn").Process(target=_train_one, args=(run, bench))
                process.start()
                running[run.name] = process
                if stopping.is_set():  # since the line before: `stop` did not see this one
                    process.terminate()
            for name, process in list(running.items()):
                if process.exitcode is not None:
                    del running[name]
                    if process.exitcode not in (0, STOPPED, -signal.SIGTERM):
                        failed.append(name)
            time.sleep(0.2)
    return failed


def _train_one(run: PlannedRun, bench: Bench) -> None:
    """Train one run in a process of its own, which ends with an exit code that says how it went."""
    use_threads(bench.threads)
    folder, world = bench.folder(run), World(device=bench.device)
    try:
        finished = run_training(run.settings, bench.data, folder, world=world, resume=bench.begun(run))
    except CasganError as error:
        show_error(error)
        raise SystemExit(FAILED) from error
    raise SystemExit(0 if finished else STOPPED)
