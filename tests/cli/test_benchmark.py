"""``casgan-dicom benchmark`` from the outside: it trains a plan, stops, goes on, and measures at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from casgan_dicom.cli import cli

SMOKE = Path(__file__).parents[2] / "casgan_dicom" / "model" / "benchmarks" / "smoke.toml"
PLAN = """
scale = "smoke"
set = ["optim.steps={steps}", "optim.decay_steps=0", "optim.amp=false", "segmentor.steps=2", "data.runs=1"]

[[runs]]
methods = [{methods}]
presets = ["paper"]
seeds = [1]
"""


def arguments(folder: Path) -> list[str]:
    """Of a benchmark of the plan in `folder`."""
    return [
        *("benchmark", "--preset", str(folder / "plan.toml")),
        *("--out", str(folder / "out"), "--jobs", "2"),
    ]


def refused(folder: Path, *more: str) -> Result:
    """Run in this process a benchmark that starts nothing."""
    environment = {"CASGAN_DATA": str(folder / "data")}
    return CliRunner().invoke(cli, [*arguments(folder), *more], env=environment, catch_exceptions=False)


@contextmanager
def started(folder: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Start a benchmark of the plan in `folder`, in a group of processes that does not outlive the test."""
    code = "from casgan_dicom.cli import main; main()"
    environment = {**os.environ, "CASGAN_DATA": str(folder / "data")}
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments(folder), *more],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def write_plan(folder: Path, methods: str, steps: int) -> None:
    (folder / "plan.toml").write_text(PLAN.format(methods=methods, steps=steps))


@pytest.mark.train
def test_a_terminated_benchmark_goes_on_and_keeps_what_is_finished(tmp_path: Path) -> None:
    write_plan(tmp_path, '"cyclegan", "unit"', steps=100_000)
    runs = [tmp_path / "out" / "runs" / name for name in ("cyclegan-paper-s1", "unit-paper-s1")]
    with started(tmp_path) as first:
        deadline = time.monotonic() + 180
        while not all((run / "metrics.csv").is_file() for run in runs):
            assert first.poll() is None, first.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)

        first.send_signal(signal.SIGTERM)
        stdout, _ = first.communicate(timeout=120)

    assert first.returncode == 0
    assert "stopped with 2 of 2 runs to go; the same command continues" in stdout
    assert all((run / "checkpoint.pt").is_file() for run in runs)


@pytest.mark.train
def test_a_run_that_fails_is_named_and_the_others_are_trained(tmp_path: Path) -> None:
    """Where its folder should be lies a file."""
    write_plan(tmp_path, '"unit", "cyclegan"', steps=2)
    (tmp_path / "out" / "runs").mkdir(parents=True)
    (tmp_path / "out" / "runs" / "unit-paper-s1").touch()

    with started(tmp_path) as done:
        _, stderr = done.communicate(timeout=180)

    assert done.returncode == 5, stderr
    assert "1 of 2 runs failed: unit-paper-s1" in stderr
    assert "cannot be written" in stderr
    assert "Traceback" not in stderr
    assert (tmp_path / "out" / "runs" / "cyclegan-paper-s1" / "bundle" / "config.json").is_file()
    assert not (tmp_path / "out" / "report").exists()


@pytest.mark.train
def test_the_smoke_plan_ends_with_both_tables_and_starts_nothing_twice(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_bytes(SMOKE.read_bytes())

    with started(tmp_path) as done:
        stdout, stderr = done.communicate(timeout=400)

    assert done.returncode == 0, stderr
    report = tmp_path / "out" / "report"
    assert f"report: {report}" in stdout
    table = (report / "table.md").read_text()
    for text in (
        "Table 1",
        "Table 2",
        "cyclegan-paper-smoke-s1",
        "mean of 2 seeds",
        "casgan-table2-8-smoke",
        "chance",
    ):
        assert text in table
    assert {file.name for file in report.iterdir()} == {
        "table.md",
        "table.csv",
        "report.json",
        "pictures.png",
    }
    bundles = sorted((tmp_path / "out" / "runs").glob("*/bundle/model.safetensors"))
    written = [bundle.stat().st_mtime_ns for bundle in bundles]
    assert len(written) == 4

    with started(tmp_path) as again:
        again.communicate(timeout=400)
    other = refused(tmp_path, "--set", "optim.lr=1.0")

    assert again.returncode == 0
    assert [bundle.stat().st_mtime_ns for bundle in bundles] == written
    assert other.exit_code == 5
    assert "run 'cyclegan-paper-s1' was trained with other settings: optim" in other.stderr

    shutil.rmtree(tmp_path / "out" / "runs")
    third = refused(tmp_path, "--set", "segmentor.steps=3")
    assert third.exit_code == 5
    assert "'segmentor.safetensors' in 'out' was trained otherwise: segmentor" in third.stderr


def test_runs_that_would_be_measured_on_their_training_frames_are_refused_before_they_start(
    tmp_path: Path,
) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
    write_plan(tmp_path, '"cyclegan", "oracle"', steps=2)

    done = refused(tmp_path, "--data", f"{tmp_path / 'x'},{tmp_path / 'y'}", "--extractor", "none")

    assert done.exit_code == 5
    for told in ("data.held_out is 0", "oracle-paper-s1 learns from pairs", "without an extractor no score"):
        assert told in done.stderr
    assert not (tmp_path / "out").exists()
