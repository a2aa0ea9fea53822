"""The processes of a benchmark, and what is refused before they start."""

from __future__ import annotations

import signal
import time
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.lab import benchmark
from casgan_dicom.lab.benchmark import Bench, BenchmarkOptions
from casgan_dicom.lab.training_data import parse_data
from casgan_dicom.model.evaluation.benchmark import PlannedRun
from casgan_dicom.model.settings import TrainSettings


def sleep(_run: PlannedRun, _bench: Bench) -> None:
    """Stand in for a training run that nobody stops."""
    time.sleep(60)


def test_a_stop_signal_reaches_a_run_that_is_just_being_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[SpawnProcess] = []
    start = SpawnProcess.start

    def start_and_signal(process: SpawnProcess) -> None:
        start(process)
        begun.append(process)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(SpawnProcess, "start", start_and_signal)
    monkeypatch.setattr(benchmark, "_train_one", sleep)
    runs = [PlannedRun(name, TrainSettings()) for name in ("one", "other")]

    failed = benchmark._train_all(runs, Bench(tmp_path, parse_data("sim:1"), "cpu", 1), jobs=1)

    assert failed == []
    assert [process.exitcode for process in begun] == [-signal.SIGTERM]


def test_one_text_is_no_tuple_of_settings() -> None:
    with pytest.raises(ConfigError, match=r"want a tuple: \('optim\.steps=2',\)"):
        BenchmarkOptions("optim.steps=2")  # type: ignore[arg-type]


def test_no_run_at_a_time_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 runs at the same time"):
        BenchmarkOptions(jobs=0)
