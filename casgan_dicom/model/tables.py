"""Training settings from nested tables, checked, and back.

`casgan_dicom.config` reads the tables; here is which values of the right type mean nothing. The method says
which table is its own, so this stands above `methods`, and the dataclasses themselves below.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from casgan_dicom.config import Reading, config_error, read_table
from casgan_dicom.model.methods.base import Method
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.settings import Options, TrainSettings


def settings_from_dict(table: Mapping[str, Any]) -> TrainSettings:
    """Build settings from nested mappings; raises ConfigError that lists every fault."""
    cls = method_class(str(table.get("method", TrainSettings.method)))
    reading: Reading[Any] = read_table(_with_own_table(cls), table)
    faults = list(reading.problems)
    if not faults:
        values = dict(vars(reading.settings))
        own: Options = values.pop(cls.table) if cls.table else cls.options_type()
        settings = TrainSettings(**values, own=own)
        faults = _out_of_range(settings) + [f"{cls.table}.{fault}" for fault in own.faults()]
    if faults:
        raise config_error(faults, hint="`casgan-dicom train --list` names the presets")
    return settings


def _with_own_table(method: type[Method]) -> type:
    """What is read: TrainSettings with the method's own table, by its name, in the place of `own`."""
    hints = typing.get_type_hints(TrainSettings)
    read: list[Any] = [
        (one.name, hints[one.name], field(default=one.default, default_factory=one.default_factory))
        for one in dataclasses.fields(TrainSettings)
        if one.name != "own"
    ]
    if method.table:
        read.append((method.table, method.options_type, field(default_factory=method.options_type)))
    return dataclasses.make_dataclass("SettingsOfMethod", read, frozen=True)


def settings_to_dict(settings: TrainSettings) -> dict[str, Any]:
    """Give the nested mapping that `settings_from_dict` reads, as JSON returns it: lists, no tuples."""
    table = dataclasses.asdict(settings)
    own = table.pop("own")
    name = method_class(settings.method).table
    plain: dict[str, Any] = json.loads(json.dumps(table | ({name: own} if name else {})))
    return plain


_AT_LEAST: Mapping[str, float] = {
    **dict.fromkeys(("log_steps", "sample_steps", "net.ngf", "net.ndf", "net.n_blocks", "segmentor.base"), 1),
    **dict.fromkeys(("segmentor.batch", "data.runs", "data.frames_per_run", "optim.steps", "optim.batch"), 1),
    **dict.fromkeys(("segmentor.steps", "segmentor.runs", "data.frame_size", "data.whole_steps"), 0),
    "data.cue": 0,
    "checkpoint_minutes": 0,
    **dict.fromkeys(("optim.decay_steps", "optim.pool", "seed", "optim.lr", "optim.weight_decay"), 0),
    "data.split_seed": 0,
    **dict.fromkeys(("optim.step_every", "optim.accumulate"), 1),
}
"""Smallest value that means anything."""
_AT_MOST: Mapping[str, float] = {
    **dict.fromkeys(("net.ngf", "net.ndf", "segmentor.base"), 1024),
    "net.n_blocks": 256,
    **dict.fromkeys(("data.frame_size", "data.crop"), 4096),
}
"""Largest value of what decides how large networks are: settings come with bundles of others, too."""
_ABOVE_ZERO = ("segmentor.lr", "net.init_gain", "optim.step_gamma")


def _out_of_range(settings: TrainSettings) -> list[str]:
    """Every value of the right type that means nothing."""
    faults = _beyond_limits(settings)
    optim, levels = settings.optim, settings.normalisation
    if optim.schedule == "linear" and optim.decay_steps > optim.steps:
        faults.append(f"optim.decay_steps is {optim.decay_steps}, want 0 to optim.steps ({optim.steps})")
    if optim.batch % optim.accumulate:
        faults.append(
            f"optim.accumulate is {optim.accumulate}, want a divisor of optim.batch ({optim.batch})"
        )
    for key in ("data.held_out", "segmentor.empty"):
        if not 0 <= (share := _get(settings, key)) < 1:
            faults.append(f"{key} is {share:g}, want 0 to 1, 1 excluded")
    for name, decays in (("betas", optim.betas), ("ema", (optim.ema,))):
        if not all(0 <= decay < 1 for decay in decays):
            faults.append(f"optim.{name} is {', '.join(map(str, decays))}, want 0 to 1, 1 excluded")
    if (
        not 0 <= levels.low_percentile < levels.high_percentile <= 100
        or not -1 <= levels.low < levels.high <= 1
    ):
        faults.append(
            "normalisation wants 0 ≤ low_percentile < high_percentile ≤ 100 and -1 ≤ low < high ≤ 1"
        )
    faults += [
        f"weights.{name} is {w:g}, want at least 0" for name, w in settings.weights.items() if not w >= 0
    ]
    return faults


def _beyond_limits(settings: TrainSettings) -> list[str]:
    """Every number that is too small or too large for itself."""
    faults: list[str] = []
    for key, low in _AT_LEAST.items():
        if not (value := _get(settings, key)) >= low:
            faults.append(f"{key} is {value:g}, want at least {low:g}")
    for key, high in _AT_MOST.items():
        if not (value := _get(settings, key)) <= high:
            faults.append(f"{key} is {value:g}, want at most {high:g}")
    for key in _ABOVE_ZERO:
        if not (value := _get(settings, key)) > 0:
            faults.append(f"{key} is {value:g}, want more than 0")
    return faults


def _get(settings: TrainSettings, key: str) -> float:
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    return float(value)
