"""What a trained bundle calls itself, and what it says of how it was made.

Neither is taken from a preset: its text tells of the bundle that was shipped, and of the data of that one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.bundle.shelf import passes_for_shipped
from casgan_dicom.model.data.frames import FrameSet
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.tables import settings_to_dict

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMED_AT_MOST = 12
"""How many changed settings a recipe names."""
_NO_RECIPE = (
    "method",
    "preset",
    "description",
    "name",
    "seed",
    "trackers",
    "segmentor.path",
    "segmentor.start",
    "net.start",
)
"""Settings that do not say how it was trained, and paths: what lay there is said of the data."""


def bundle_name(settings: TrainSettings, out: Path) -> str:
    """Name of the bundle of a run: the one that was asked for, else that of the run folder.

    Raises ConfigError for a name that is none, or that of a shipped bundle.
    """
    folder = re.sub(r"[^A-Za-z0-9._-]+", "-", out.resolve().name).lstrip("._-")[:64] or "run"
    name = settings.name or folder
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"name is '{name}', want 1 to 64 letters, digits, '.', '_' or '-', the first no sign",
            hint="--name tells derived objects what made them",
        )
    if passes_for_shipped(name):
        raise ConfigError(
            f"'{name}' is the name of a shipped bundle or looks like it, and another one may not pass for it",
            hint="choose another with --name; without it, the name is that of the run folder",
        )
    return name


def recipe_told(settings: TrainSettings) -> str:
    """How a bundle was trained, one sentence without its full stop, by its settings alone.

    A description that is not the preset's is the user's own, and stays.
    """
    preset = _preset_of(settings)
    if preset is not None and settings.description not in ("", preset.description):
        return settings.description
    before = settings if preset is None else preset
    changed = list(_changed(settings_to_dict(before), settings_to_dict(settings)))
    named = ", ".join(changed[:_NAMED_AT_MOST]) + (" …" if len(changed) > _NAMED_AT_MOST else "")
    return (
        f"{method_class(settings.method).title}, begun from preset '{settings.preset}'"
        f"{f' with other {named}' if changed else ''}: {settings.optim.steps} steps of "
        f"{settings.optim.batch}, frames of {settings.data.frame_size} px, crops of {settings.data.crop} px"
    )


def _preset_of(settings: TrainSettings) -> TrainSettings | None:
    """The settings that a run began with; None where its preset is not there any more."""
    name, _, scale = settings.preset.rpartition("-")
    for preset, scaled in ((settings.preset, None), (name, scale)):
        with suppress(ConfigError):
            return load_settings(settings.method, preset, scale=scaled)
    return None


def data_told(data: str, x: FrameSet, y: FrameSet) -> str:
    """The sentence about training data, with numbers of frames and series where they were read from files."""
    if not (x.series and y.series):
        return data
    counts = f"{_counted(x)} without contrast, {_counted(y)} with"
    return f"{data.removesuffix('.')}: {counts}."


def _counted(frames: FrameSet) -> str:
    return f"{len(frames)} frames of {frames.series} series"


def _changed(before: Mapping[str, Any], after: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Dotted keys of what differs."""
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            yield from _changed(old, value, f"{above}{key}.")
        elif value != old and f"{above}{key}" not in _NO_RECIPE:
            yield f"{above}{key}"
