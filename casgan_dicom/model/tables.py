"""Training settings from nested tables, checked, and back.

An unknown key is an error that names the nearest known one. The method says which table is its own, so this
stands above `methods`, and the dataclasses themselves below.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.settings import Options, TrainSettings


def settings_from_dict(table: Mapping[str, Any]) -> TrainSettings:
    """Build settings from nested mappings; raises ConfigError that lists every fault."""
    faults: list[str] = []
    rest = dict(table)
    cls = method_class(str(rest.get("method", TrainSettings.method)))
    own = rest.pop(cls.table, {}) if cls.table else {}
    if isinstance(own, Mapping):
        options = typing.cast(Options, _build(cls.options_type, own, f"{cls.table}.", faults))
    else:
        faults.append(f"{cls.table} is {own!r}, want a table")
        options = cls.options_type()
    tables = [cls.table] if cls.table else []
    settings = typing.cast(TrainSettings, _build(TrainSettings, rest, "", faults, tables))
    if not faults:
        settings = dataclasses.replace(settings, own=options)
        faults += _out_of_range(settings) + [f"{cls.table}.{fault}" for fault in options.faults()]
    if faults:
        raise ConfigError("; ".join(faults), hint="`casgan-dicom train --list` names the presets")
    return settings


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
    **dict.fromkeys(("segmentor.steps", "data.frame_size", "data.whole_steps", "data.cue"), 0),
    "checkpoint_minutes": 0,
    **dict.fromkeys(("optim.decay_steps", "optim.pool", "seed", "optim.lr", "optim.weight_decay"), 0),
    "data.split_seed": 0,
    **dict.fromkeys(("optim.step_every", "optim.accumulate"), 1),
}
"""Smallest value that means anything."""
_ABOVE_ZERO = ("segmentor.lr", "net.init_gain", "optim.step_gamma")


def _out_of_range(settings: TrainSettings) -> list[str]:
    """Every value of the right type that means nothing."""
    faults: list[str] = []
    for key, low in _AT_LEAST.items():
        if not (value := _get(settings, key)) >= low:
            faults.append(f"{key} is {value:g}, want at least {low:g}")
    for key in _ABOVE_ZERO:
        if not (value := _get(settings, key)) > 0:
            faults.append(f"{key} is {value:g}, want more than 0")
    optim, levels = settings.optim, settings.normalisation
    if optim.schedule == "linear" and optim.decay_steps > optim.steps:
        faults.append(f"optim.decay_steps is {optim.decay_steps}, want 0 to optim.steps ({optim.steps})")
    if optim.batch % optim.accumulate:
        faults.append(
            f"optim.accumulate is {optim.accumulate}, want a divisor of optim.batch ({optim.batch})"
        )
    if not 0 <= settings.data.held_out < 1:
        faults.append(f"data.held_out is {settings.data.held_out:g}, want 0 to 1, 1 excluded")
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


def _get(settings: TrainSettings, key: str) -> float:
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    return float(value)


def _build(
    cls: type, table: Mapping[str, Any], prefix: str, faults: list[str], others: Sequence[str] = ()
) -> object:
    """Fill a dataclass; `others` are keys that belong here too, for the hint of an unknown one."""
    hints = {key: hint for key, hint in typing.get_type_hints(cls).items() if hint is not Options}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in hints:
            names = [*hints, *others]
            close = difflib.get_close_matches(key, names, n=1)
            known = f"did you mean '{prefix}{close[0]}'?" if close else f"known: {', '.join(names)}"
            faults.append(f"unknown key '{prefix}{key}' ({known})")
        elif dataclasses.is_dataclass(hints[key]) and isinstance(value, Mapping):
            values[key] = _build(typing.cast(type, hints[key]), value, f"{prefix}{key}.", faults)
        else:
            values[key] = _checked(hints[key], value, prefix + key, faults)
    return cls(**values)


def _checked(hint: Any, value: Any, key: str, faults: list[str]) -> Any:  # noqa: ANN401 - TOML has any type
    """Return `value` in the hinted type, or note a fault."""
    origin = typing.get_origin(hint)
    wanted = typing.get_args(hint)
    if origin is Literal:
        if value not in wanted:
            faults.append(f"{key} is {value!r}, want one of {', '.join(map(repr, wanted))}")
    elif origin is tuple and Ellipsis in wanted:
        choices = typing.get_args(wanted[0])
        if isinstance(value, list | tuple) and all(
            v in choices if choices else isinstance(v, str) for v in value
        ):
            return tuple(value)
        faults.append(f"{key} is {value!r}, want a list of {' | '.join(choices) or 'names'}")
    elif origin is tuple:
        if isinstance(value, list | tuple) and len(value) == len(wanted) and all(map(_is_number, value)):
            return tuple(float(v) for v in value)
        faults.append(f"{key} is {value!r}, want {len(wanted)} numbers")
    elif origin is not None:
        if not isinstance(value, Mapping) or not all(map(_is_number, value.values())):
            faults.append(f"{key} is {value!r}, want a table of numbers")
    elif dataclasses.is_dataclass(hint):
        faults.append(f"{key} is {value!r}, want a table")
    elif hint is float and _is_number(value):
        return float(value)
    elif type(value) is not hint:
        faults.append(f"{key} is {value!r}, want {hint.__name__}")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
