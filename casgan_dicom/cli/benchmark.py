"""``casgan-dicom benchmark``: train every run of a plan on the same data, and measure them together."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

import click

from casgan_dicom.cli.evaluate import choose_extractor, measure
from casgan_dicom.cli.output import make_folder, say, show_error
from casgan_dicom.cli.train import run_training
from casgan_dicom.cli.training_data import load_domains, parse_data
from casgan_dicom.errors import CasganError, ConfigError
from casgan_dicom.model.benchmark import PlannedRun, plan_names, read_plan
from casgan_dicom.model.data import CropSampler
from casgan_dicom.model.devices import choose_device, use_threads
from casgan_dicom.model.distributed import World
from casgan_dicom.model.evaluation.report import write_report
from casgan_dicom.model.evaluation.subjects import find_subjects
from casgan_dicom.model.run_folder import CONFIG_NAME
from casgan_dicom.model.segment import save_unet, train_segmentor
from casgan_dicom.model.settings import TrainSettings

FAILED, STOPPED = 1, 75
"""Exit codes of a run's process: an error that it has told, and a signal after which it can go on."""


@dataclass(frozen=True)
class Bench:
    """What all runs share."""

    out: Path
    """Folder of the benchmark."""
    data: str
    """SPEC of the training data."""
    device: str
    """Where they train."""
    threads: int
    """Threads of each process."""

    def folder(self, run: PlannedRun) -> Path:
        """Run folder of a run."""
        return self.out / "runs" / run.name

    def finished(self, run: PlannedRun) -> bool:
        """Whether a run has its bundle, which is written last."""
        return (self.folder(run) / "bundle" / "config.json").is_file()


@click.command()
@click.option(
    "--preset",
    default="desk",
    show_default=True,
    show_envvar=True,
    help=f"Plan of the runs: {', '.join(plan_names())}, or a .toml file.",
)
@click.option(
    "--data", default="sim:1", show_default=True, show_envvar=True, metavar="SPEC", help="As for train."
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    envvar="CASGAN_BENCHMARK_SET",
    show_envvar=True,
    help="Change one setting of every run; repeatable.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    show_envvar=True,
    help="Runs that train at the same time.",
)
@click.option(
    "--device", default="auto", show_default=True, show_envvar=True, help="auto, cpu, cuda or cuda:N."
)
@click.option(
    "--extractor",
    default="auto",
    show_default=True,
    show_envvar=True,
    metavar="SPEC",
    help="Of the distances between sets, as for evaluate.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), show_envvar=True, help="Its folder.")
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
    plan, spec = read_plan(preset, overrides), parse_data(data)
    chosen = choose_extractor(extractor)
    bench = Bench(out.resolve(), data, choose_device(device), max(1, (os.cpu_count() or 1) // jobs))
    make_folder(bench.out)
    segmentor = _shared_segmentor(bench, plan.runs[0])
    runs = [replace(run, settings=_with_segmentor(run, segmentor)) for run in plan.runs]
    if failed := _train_all(runs, bench, jobs):
        raise ConfigError(f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}")
    if left := [run.name for run in runs if not bench.finished(run)]:
        click.echo(f"stopped with {len(left)} of {len(runs)} runs to go; the same command continues")
        return
    subjects = find_subjects([bench.folder(run) for run in runs])
    report = measure(subjects, spec, plan.protocol, judges=bench.out / "judges", extractor=chosen)
    write_report(report, bench.out / "report")
    click.echo(f"report: {bench.out / 'report'}")


def _with_segmentor(run: PlannedRun, segmentor: Path) -> TrainSettings:
    return replace(run.settings, segmentor=replace(run.settings.segmentor, path=str(segmentor)))


def _shared_segmentor(bench: Bench, run: PlannedRun) -> Path:
    """Train the segmentor that all runs share, or find that of an earlier start; returns its file."""
    path = bench.out / "segmentor.safetensors"
    if not path.is_file():
        s, frames = run.settings, load_domains(parse_data(bench.data), run.settings)
        sampler = CropSampler(frames.x, frames.y, s.data, s.normalisation, frames.labelled)
        save_unet(train_segmentor(run.settings, sampler, bench.device, say), path)
    return path


def _train_all(runs: Sequence[PlannedRun], bench: Bench, jobs: int) -> list[str]:
    """Train what is not finished, up to `jobs` at once; returns the names of the runs that failed."""
    waiting = [run for run in runs if not bench.finished(run)]
    running: dict[str, SpawnProcess] = {}
    failed: list[str] = []
    with _signals_passed_on(running) as stop:
        while running or (waiting and not stop):
            while waiting and not stop and len(running) < jobs:
                run = waiting.pop(0)
                say(f"{run.name}: {len(waiting)} more are waiting")
                process = multiprocessing.get_context("spawn").Process(target=_train_one, args=(run, bench))
                process.start()
                running[run.name] = process
            for name, process in list(running.items()):
                if process.exitcode is not None:
                    del running[name]
                    if process.exitcode not in (0, STOPPED, -signal.SIGTERM):
                        failed.append(name)
            time.sleep(0.2)
    return failed


@contextmanager
def _signals_passed_on(running: dict[str, SpawnProcess]) -> Iterator[list[int]]:
    """Tell the runs of SIGINT and SIGTERM; yields the signals that came."""
    came: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        for process in list(running.values()):
            process.terminate()

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _train_one(run: PlannedRun, bench: Bench) -> None:
    """Train one run in a process of its own, which ends with an exit code that says how it went."""
    use_threads(bench.threads)
    folder, data = bench.folder(run), parse_data(bench.data)
    resume = (folder / CONFIG_NAME).is_file()
    try:
        finished = run_training(run.settings, data, folder, world=World(device=bench.device), resume=resume)
    except CasganError as error:
        show_error(error)
        raise SystemExit(FAILED) from error
    raise SystemExit(0 if finished else STOPPED)
