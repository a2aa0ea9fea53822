"""Trackers: each is asked, with its own reader, for what a run told it."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.training import trackers
from casgan_dicom.model.training.trainer import Trainer
from tests.model.toys import tiny_sampler, tiny_settings
from tests.support.programs import find_program

STEPS = 3
SILENCERS = ("WANDB_ERROR_REPORTING", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK")
"""Variables that would hide what a tracker does by itself."""


def trained(out: Path, tracker: str) -> None:
    """Three steps, a row after each and a picture after the last."""
    optim = {"steps": STEPS, "decay_steps": 1}
    settings = tiny_settings({"optim": optim}, trackers=[tracker], sample_steps=STEPS)
    Trainer(settings, tiny_sampler(settings), out).run()


def column(out: Path, name: str) -> list[float]:
    lines = [line.split(",") for line in (out / "metrics.csv").read_text().splitlines()]
    return [float(row[lines[0].index(name)]) for row in lines[1:]]


@pytest.mark.train
def test_tensorboard_shows_every_row_and_the_samples(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    trained(tmp_path / "run", "tensorboard")

    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    for name in ("gan_y", "d_y", "lr_factor"):
        scalars = events.Scalars(name)
        assert [scalar.step for scalar in scalars] == [1, 2, 3]
        assert [s.value for s in scalars] == pytest.approx(column(tmp_path / "run", name), rel=1e-5)
    assert [image.step for image in events.Images("samples")] == [STEPS]


@pytest.mark.train
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")  # MLflow's own
def test_mlflow_holds_every_row_the_settings_and_the_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    trained(tmp_path / "run", "mlflow")

    client = MlflowClient(f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("casgan-dicom")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    metrics = client.get_metric_history(run.info.run_id, "gan_y")
    assert [metric.step for metric in metrics] == [1, 2, 3]
    assert [m.value for m in metrics] == pytest.approx(column(tmp_path / "run", "gan_y"), rel=1e-5)
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"config.json", "samples"}


@pytest.mark.train
def test_wandb_writes_an_offline_run_that_names_every_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")
    trained(tmp_path / "run", "wandb")

    (record,) = (tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb")
    written = record.read_bytes()
    for name in ("gan_y", "d_y", "lr_factor"):
        assert name.encode() in written
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/files/media/images/*.png"))


@pytest.mark.train
def test_a_run_that_ends_in_an_error_still_closes_its_trackers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows would otherwise stay in memory: TensorBoard writes them out every two minutes."""
    closed: list[str] = []
    close = trackers.TensorBoard.close

    def watched(self: trackers.TensorBoard) -> None:
        close(self)
        closed.append("TensorBoard")

    monkeypatch.setattr(trackers.TensorBoard, "close", watched)
    optim = {"steps": 50, "decay_steps": 0, "lr": 1e30}
    settings = tiny_settings({"optim": optim}, trackers=["tensorboard"])
    with pytest.raises(ConfigError, match="not finite"):
        Trainer(settings, tiny_sampler(settings), tmp_path / "run").run()
    assert closed == ["TensorBoard"]


@pytest.mark.train
def test_a_tracker_that_fails_is_left_out_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise ConnectionError("no server")

    monkeypatch.setattr(trackers.TensorBoard, "row", gone)
    trained(tmp_path / "run", "tensorboard")
    assert column(tmp_path / "run", "step") == [1, 2, 3]
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
    assert "TensorBoard left: ConnectionError: no server" in (tmp_path / "run" / "log.txt").read_text()


def test_a_tracker_that_is_not_installed_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(trackers, "find_spec", lambda name: None if name == "wandb" else found(name))
    with pytest.raises(ConfigError, match=r"tracker 'wandb' is not installed.*\[wandb\]"):
        trained(tmp_path / "run", "wandb")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["mlflow", "wandb", "tensorboard"])
def test_no_tracker_asks_for_any_host(tmp_path: Path, name: str) -> None:
    """Neither a server nor the address of one: every connect(2) of every process is traced."""
    script = tmp_path / "track.py"
    script.write_text(
        "import sys\nfrom dataclasses import replace\nfrom pathlib import Path\n"
        "from casgan_dicom.model.preset_files import load_settings\n"
        "from casgan_dicom.model.training.trackers import make_trackers\n"
        "settings = replace(load_settings('cut', 'smoke'), trackers=(sys.argv[1],))\n"
        "for tracker in make_trackers(Path(sys.argv[2]), settings):\n"
        "    tracker.row(1, {'a': 1.0})\n    tracker.close()\n"
    )
    trace, environment = tmp_path / "trace.txt", {k: v for k, v in os.environ.items() if k not in SILENCERS}
    tracer = [find_program("strace", "strace"), "-f", "-e", "trace=connect", "-o", str(trace)]

    subprocess.run(
        [*tracer, sys.executable, script, name, tmp_path], check=True, capture_output=True, env=environment
    )

    addresses = re.findall(r'inet_(?:addr\(|pton\(AF_INET6, )"([^"]+)"', trace.read_text())
    assert set(addresses) <= {"127.0.0.1", "::1"}
