"""Where the figures of a run go besides ``metrics.csv``: TensorBoard, Weights & Biases, MLflow.

Each is an extra of its own and imported only when a run asks for it (setting ``trackers``). All write to the
run folder or to where their own environment variables say; none is asked to send anything anywhere, and what
two of them tell their makers by themselves (how they are used, their errors) is turned off.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.settings import TrackerName, TrainSettings
from casgan_dicom.model.tables import settings_to_dict


class Tracker(Protocol):
    """Receives rows and pictures of one run."""

    def row(self, step: int, figures: Mapping[str, float]) -> None:
        """Take in the figures of metrics.csv after `step` steps."""

    def picture(self, step: int, path: Path) -> None:
        """Take in a grid of samples, a PNG file."""

    def close(self) -> None:
        """Finish writing."""


class TensorBoard:
    """Event files in ``RUN/tensorboard``."""

    def __init__(self, out: Path, settings: TrainSettings) -> None:  # noqa: ARG002 - one form for all
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an optional extra

        self._writer: Any = SummaryWriter(str(out / "tensorboard"))

    def row(self, step: int, figures: Mapping[str, float]) -> None:
        """Write scalars."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, path: Path) -> None:
        """Write an image."""
        with Image.open(path) as image:
            self._writer.add_image("samples", np.asarray(image.convert("L")), step, dataformats="HW")

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


class WeightsAndBiases:
    """A run of the project ``casgan-dicom`` in ``RUN/wandb``; offline unless WANDB_MODE says otherwise."""

    def __init__(self, out: Path, settings: TrainSettings) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb  # noqa: PLC0415 - an optional extra

        self._wandb: Any = wandb
        self._run: Any = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", "casgan-dicom"),
            name=out.name,
            dir=str(out),
            mode=os.environ.get("WANDB_MODE", "offline"),
            config=settings_to_dict(settings),
        )

    def row(self, step: int, figures: Mapping[str, float]) -> None:
        """Log scalars."""
        self._run.log(dict(figures), step=step)

    def picture(self, step: int, path: Path) -> None:
        """Log an image."""
        self._run.log({"samples": self._wandb.Image(str(path))}, step=step)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


class MlFlow:
    """A run of the experiment ``casgan-dicom`` in ``RUN/mlflow.db``, or where MLFLOW_TRACKING_URI says."""

    def __init__(self, out: Path, settings: TrainSettings) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import mlflow  # noqa: PLC0415 - an optional extra

        self._mlflow: Any = mlflow
        if "MLFLOW_TRACKING_URI" not in os.environ:
            mlflow.set_tracking_uri(f"sqlite:///{(out / 'mlflow.db').resolve()}")
            if mlflow.get_experiment_by_name("casgan-dicom") is None:
                mlflow.create_experiment("casgan-dicom", (out / "mlflow").resolve().as_uri())
        mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "casgan-dicom"))
        mlflow.start_run(run_name=out.name)
        mlflow.log_dict(settings_to_dict(settings), "config.json")

    def row(self, step: int, figures: Mapping[str, float]) -> None:
        """Log metrics."""
        self._mlflow.log_metrics(dict(figures), step=step)

    def picture(self, step: int, path: Path) -> None:
        """Log the file as an artifact."""
        del step
        self._mlflow.log_artifact(str(path), "samples")

    def close(self) -> None:
        """End the run."""
        self._mlflow.end_run()


_KINDS: dict[TrackerName, tuple[str, Callable[[Path, TrainSettings], Tracker]]] = {
    "tensorboard": ("tensorboard", TensorBoard),
    "wandb": ("wandb", WeightsAndBiases),
    "mlflow": ("mlflow", MlFlow),
}
"""Name of a tracker → the package that it needs, and how it is made."""


def missing_trackers(settings: TrainSettings) -> list[str]:
    """Say which of the trackers that are asked for cannot run."""
    return [
        f"tracker '{name}' is not installed, want the extra: pip install '.[{name}]'"
        for name in settings.trackers
        if find_spec(_KINDS[name][0]) is None
    ]


def make_trackers(out: Path, settings: TrainSettings) -> list[Tracker]:
    """Start every tracker that the settings name; raises ConfigError for one that is not installed."""
    if missing := missing_trackers(settings):
        raise ConfigError("; ".join(missing))
    return [_KINDS[name][1](out, settings) for name in settings.trackers]
