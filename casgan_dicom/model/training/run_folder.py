"""The folder of a training run: whose it is, and whether a run may begin or go on there.

``config.json`` holds every setting and, under ``data_source``, the sentence about the training data: a run
that was resumed on other data would end in a bundle that says something false.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from casgan_dicom.disk import write_json
from casgan_dicom.errors import ConfigError, WeightsError
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.tables import settings_from_dict, settings_to_dict

CONFIG_NAME = "config.json"


def check_run_folder(out: Path, settings: TrainSettings, data: str, *, resume: bool) -> None:
    """Refuse a folder that holds another run.

    Raises
    ------
    ConfigError
        Not `resume`, and the folder holds a run.
    WeightsError
        `resume`, and there is none, or one of other settings or data.
    """
    config = out / CONFIG_NAME
    if not resume:
        if config.exists():
            raise ConfigError(
                f"'{out.name}' already holds a run",
                hint="continue it with --resume, or choose another --out",
            )
        return
    if not config.is_file():
        raise WeightsError(f"'{out.name}' holds no run to resume", hint="leave --resume out")
    found, found_data = _read_config(config)
    wanted = settings_to_dict(settings)
    wanted.pop("name")  # of the bundle: a run may be moved, and called otherwise
    differing = [key for key in wanted if key not in found or found[key] != wanted[key]]
    if found_data is not None and found_data != data:
        differing.append("--data")
    if differing:
        raise WeightsError(
            f"run '{out.name}' was trained with other settings: {', '.join(differing)}",
            hint="resume with the settings of its config.json, or choose another --out",
        )


def write_config(out: Path, settings: TrainSettings, data: str) -> None:
    """Write the settings and the sentence about the data."""
    write_json(out / CONFIG_NAME, {**settings_to_dict(settings), "data_source": data})


def _read_config(config: Path) -> tuple[dict[str, Any], str | None]:
    """Settings as JSON gives them, and the data, which runs of earlier versions do not tell."""
    try:
        table = dict(json.loads(config.read_text(encoding="utf-8")))
        data = table.pop("data_source", None)
        # Read as settings, so that a run of an earlier version has the default of every newer key.
        return settings_to_dict(settings_from_dict(table)), data
    except (OSError, ValueError, TypeError, ConfigError) as error:
        raise WeightsError(
            f"run '{config.parent.name}': {config.name} cannot be read ({error})",
            hint="begin again with another --out",
        ) from error
