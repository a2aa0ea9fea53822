"""A benchmark: which runs are trained on the same data, as a file says it before any score is known.

A plan is a TOML file::

    description = "…"
    scale = "desk"                  # optional: laid over every preset, scale-desk.toml
    set = ["optim.steps=2000"]      # optional: over that, for every run

    [evaluation]                    # optional: how the runs are measured, see evaluation/protocol.py
    runs = 30

    [[runs]]
    methods = ["cyclegan", "cut"]
    presets = ["paper"]
    seeds = [1, 2, 3]
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from casgan_dicom.config import read_table
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.evaluation.plan_files import plan_names, plan_text
from casgan_dicom.model.evaluation.protocol import Protocol
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.settings import TrainSettings

KEYS: Mapping[str, type] = {"description": str, "scale": str, "set": list, "evaluation": dict, "runs": list}
"""Keys of a plan, and what each holds."""
RUN_KEYS: Mapping[str, type] = {"methods": str, "presets": str, "seeds": int}
"""Keys of an entry of `runs`, each a list of these."""


@dataclass(frozen=True)
class PlannedRun:
    """One training run of a benchmark."""

    name: str
    """Name of its folder: METHOD-PRESET-sSEED."""
    settings: TrainSettings
    """Everything it is trained with."""


@dataclass(frozen=True)
class Plan:
    """What is trained, and how it is measured."""

    runs: tuple[PlannedRun, ...]
    """In the order of the file: of one entry, all methods with the first seed before the second."""
    protocol: Protocol
    """How the finished runs are measured on simulated data."""


def read_plan(plan: str, overrides: tuple[str, ...] = ()) -> Plan:
    """Read a plan by its name, or from a file that ends in ``.toml``.

    Parameters
    ----------
    plan
        "desk", "paper", "smoke" or the path of a file.
    overrides
        ``key=value`` for every run, over the plan's own.

    Raises
    ------
    ConfigError
        No such plan, an unknown key or a value of another kind, a method or preset that does not exist, or a
        run named twice.
    """
    table = _read(plan)
    if faults := _wrong_kinds(table):
        raise ConfigError(f"benchmark '{Path(plan).name}': {'; '.join(faults)}")
    reading = read_table(Protocol, table.get("evaluation", {}), "evaluation.")
    faults = list(reading.problems)
    common = (*table.get("set", ()), *overrides)
    faults += [
        f"'{one}': the plan says the seeds" for one in common if one.partition("=")[0].strip() == "seed"
    ]
    planned: list[PlannedRun] = []
    for entry in table.get("runs", []):
        for seed, method, preset in itertools.product(entry["seeds"], entry["methods"], entry["presets"]):
            settings = load_settings(method, preset, common, scale=table.get("scale"))
            planned.append(PlannedRun(f"{method}-{preset}-s{seed}", replace(settings, seed=seed)))
    names = [run.name for run in planned]
    faults += [f"run '{name}' is named twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if faults or not planned:
        raise ConfigError(f"benchmark '{Path(plan).name}': {'; '.join(faults) or 'names no runs'}")
    return Plan(tuple(planned), reading.settings)


def _wrong_kinds(table: Mapping[str, Any]) -> list[str]:
    """Unknown keys of a plan and of its entries, missing ones, and values of another kind."""
    faults = [f"unknown key '{key}'" for key in table if key not in KEYS]
    for key, kind in KEYS.items():
        if key in table and type(table[key]) is not kind:
            faults.append(f"{key} is {table[key]!r}, want {_KINDS[kind]}")
    if faults:
        return faults
    faults += [f"set has {one!r}, want KEY=VALUE" for one in table.get("set", []) if type(one) is not str]
    for entry in table.get("runs", []):
        if not isinstance(entry, Mapping):
            faults.append(f"runs has {entry!r}, want tables: [[runs]]")
            continue
        faults += [f"unknown key 'runs.{key}'" for key in entry if key not in RUN_KEYS]
        for key, kind in RUN_KEYS.items():
            found = entry.get(key)
            if not found:
                faults.append(f"runs wants '{key}'")
            elif type(found) is not list or any(type(one) is not kind for one in found):
                faults.append(f"runs.{key} is {found!r}, want a list of {_KINDS[kind]}")
    return faults


_KINDS: Mapping[type, str] = {str: "text", int: "whole numbers", list: "a list", dict: "a table"}
"""What a message calls a type."""


def _read(plan: str) -> dict[str, Any]:
    if plan in plan_names():
        text = plan_text(plan)
    elif plan.endswith(".toml") and Path(plan).is_file():
        text = Path(plan).read_text("utf-8")
    else:
        raise ConfigError(
            f"no benchmark '{plan}'", hint=f"known: {', '.join(plan_names())}, or the path of a .toml file"
        )
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"benchmark '{Path(plan).name}' is no TOML: {error}") from error
