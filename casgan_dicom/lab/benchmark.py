"""A benchmark: all runs of a plan are trained on the same data, each in its own process, and measured."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.context import SpawnProcess
from pathlib import Path

from casgan_dicom.disk import make_folder
from casgan_dicom.errors import CasganError, ConfigError
from casgan_dicom.lab.evaluate import choose_extractor, measure
from casgan_dicom.lab.progress import Log, silent
from casgan_dicom.lab.train import Trained, check_overrides, run_training, with_segmentor
from casgan_dicom.lab.training_data import Data, DataSpec, load_domains, parse_data
from casgan_dicom.model.bundle.shelf import SEGMENTOR_NAME, shipped_bundles
from casgan_dicom.model.data.sampler import CropSampler
from casgan_dicom.model.devices import choose_device, use_threads
from casgan_dicom.model.evaluation.benchmark import Plan, PlannedRun, read_plan
from casgan_dicom.model.evaluation.evaluate import Instruments
from casgan_dicom.model.evaluation.protocol import Protocol
from casgan_dicom.model.evaluation.report import write_report
from casgan_dicom.model.evaluation.subjects import find_subjects
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.metrics.extractors import Extractor
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.training.distributed import World
from casgan_dicom.model.training.run_folder import CONFIG_NAME, check_run_folder
from casgan_dicom.model.training.segmentor import check_lesson, save_unet, train_segmentor, write_lesson
from casgan_dicom.model.training.signals import on_stop_signal
from casgan_dicom.model.training.trainer import check_weights
from casgan_dicom.source.paths import OnePath, as_path

FAILED, STOPPED = 1, 75
"""Exit codes of a run's process: an error that it has told, and a signal after which it can go on."""


@dataclass(frozen=True)
class BenchmarkOptions:
    """How a plan is carried out."""

    overrides: tuple[str, ...] = ()
    """Settings to change in every run, each ``key=value``."""
    jobs: int = 1
    """Runs that train at the same time."""
    device: str = "auto"
    """Where they train, and where they are measured: "auto", "cpu", "cuda" or "cuda:N"."""
    extractor: str = "auto"
    """Of the distances between sets, as for `evaluate`."""

    def __post_init__(self) -> None:
        """Raise ConfigError where nothing would ever train, or one text stands for several settings."""
        check_overrides(self.overrides)
        if self.jobs < 1:
            raise ConfigError(f"{self.jobs} runs at the same time, want 1 or more")


@dataclass(frozen=True)
class Reporter:
    """Who is told what goes on: functions of modules, as the processes of the runs are given them too."""

    log: Log = silent
    """Receives a sentence at a time for a person to read."""
    trained: Callable[[Trained], None] = silent
    """Receives how a run ended, in its process."""
    failed: Callable[[CasganError], None] = silent
    """Receives what ended a run, in its process."""


NOBODY = Reporter()
"""Tells nothing."""


@dataclass(frozen=True)
class Benchmarked:
    """How a benchmark ended."""

    runs: int
    """Runs of the plan."""
    left: tuple[str, ...]
    """Names of those that a signal has stopped or left out."""
    report: Path | None
    """Folder of the report; None while runs are left."""


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
    reporter: Reporter = NOBODY
    """Who is told."""

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


def benchmark(
    plan: str = "desk",
    *,
    data: Data = "sim:1",
    out: OnePath,
    options: BenchmarkOptions | None = None,
    reporter: Reporter = NOBODY,
) -> Benchmarked:
    """Train all runs of a plan, then measure them.

    The same call again continues: finished runs stay, stopped ones are resumed. SIGINT and SIGTERM save and
    stop. Runs train in processes that are started anew: call it below ``if __name__ == "__main__"``.

    Parameters
    ----------
    plan
        A name of `plan_names`, or a .toml file.
    data
        As for `train`.
    out
        Folder of the benchmark: ``runs/``, the segmentor of all runs, ``judges/`` and ``report/``.
    options
        Changed settings, how many runs at once, device and extractor.
    reporter
        Who is told what goes on.

    Raises
    ------
    ConfigError
        No such plan, data or device, a plan whose end could not be measured, or runs that failed.
    WeightsError
        The folder holds runs, or a segmentor, of other settings or data.
    OutputError
        The folder cannot be written.
    """
    options = BenchmarkOptions() if options is None else options
    folder = as_path(out).resolve()
    read = read_plan(plan, options.overrides)
    spec = parse_data(data)
    # On the CPU: a GPU is training's until all are finished.
    _check(read, spec, choose_extractor(options.extractor, "cpu", reporter.log))
    threads = max(1, (os.cpu_count() or 1) // options.jobs)
    bench = Bench(folder, spec, choose_device(options.device), threads, reporter)
    make_folder(bench.out)
    runs = _prepare(read, bench)
    if failed := _train_all(runs, bench, options.jobs):
        raise ConfigError(
            f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}",
            hint="`casgan-dicom evaluate` measures those that are finished",
        )
    if left := tuple(run.name for run in runs if not bench.finished(run)):
        return Benchmarked(len(runs), left, None)
    return Benchmarked(len(runs), (), _measure_all(runs, bench, read.protocol, options.extractor))


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


def _prepare(plan: Plan, bench: Bench) -> list[PlannedRun]:
    """Give all runs one segmentor, train it if they need one, and refuse folders of other settings."""
    # All runs share one: given, shipped or trained here.
    planned = with_segmentor(plan.runs[0].settings, bench.data, bench.reporter.log)
    segmentor = replace(planned.segmentor, path=planned.segmentor.path or str(bench.segmentor))
    runs = [replace(run, settings=replace(run.settings, segmentor=segmentor)) for run in plan.runs]
    for run in filter(bench.begun, runs):  # by an earlier start: with the same settings, or not at all
        check_run_folder(bench.folder(run), run.settings, bench.data.description, resume=True)
    if not planned.segmentor.path:
        _train_shared_segmentor(planned, bench)
    return runs


def _measure_all(runs: Sequence[PlannedRun], bench: Bench, protocol: Protocol, extractor: str) -> Path:
    """Measure the finished runs and write the report; returns its folder."""
    log = bench.reporter.log
    subjects = find_subjects([bench.folder(run) for run in runs])
    instruments = Instruments(choose_extractor(extractor, bench.device, log), bench.device, log)
    report = measure(subjects, bench.data, protocol, judges=bench.out / "judges", instruments=instruments)
    write_report(report, bench.out / "report")
    return bench.out / "report"


def _train_shared_segmentor(planned: TrainSettings, bench: Bench) -> None:
    """Train the segmentor of all runs, unless an earlier start did."""
    if bench.segmentor.is_file():
        check_lesson(bench.segmentor, planned, bench.data.description)
        return
    write_lesson(bench.segmentor, planned, bench.data.description)
    frames = load_domains(bench.data, planned, bench.reporter.log)
    sampler = CropSampler(frames.x, frames.y, planned.data, planned.normalisation, frames.labelled)
    save_unet(train_segmentor(planned, sampler, bench.device, bench.reporter.log), bench.segmentor)


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
                bench.reporter.log(f"{run.name}: {len(waiting)} more are waiting")
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
        name = run.settings.name or f"{run.settings.method}-{run.settings.preset}"
        settings = replace(run.settings, name=f"{name}-own" if name in shipped_bundles() else name)
        trained = run_training(
            settings, bench.data, folder, world=world, resume=bench.begun(run), log=bench.reporter.log
        )
    except CasganError as error:
        bench.reporter.failed(error)
        raise SystemExit(FAILED) from error
    bench.reporter.trained(trained)
    raise SystemExit(0 if trained.finished else STOPPED)
