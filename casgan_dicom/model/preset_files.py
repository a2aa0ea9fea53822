"""Presets: TOML files METHOD-PRESET.toml that a run starts from, which may extend others and be changed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import Any

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.methods.registry import method_class, method_names, preset_folders
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.tables import settings_from_dict


def presets() -> list[tuple[str, str]]:
    """(method, preset) of every preset, by the order of the methods, then sorted."""
    methods = method_names()
    found: set[tuple[str, str]] = set()
    for name in {name for folder in preset_folders() for name in _toml_names(folder)}:
        # The longest that fits: "qs-attn-desk" is no preset "attn-desk" of a method "qs".
        owners = [method for method in methods if name.startswith(f"{method}-")]
        if owners:
            owner = max(owners, key=len)
            found.add((owner, name.removeprefix(f"{owner}-")))
    return sorted(found, key=lambda pair: (methods.index(pair[0]), pair[1]))


def load_settings(
    method: str, preset: str, overrides: Sequence[str] = (), *, scale: str | None = None
) -> TrainSettings:
    """Read the preset ``METHOD-PRESET`` and apply ``key=value`` overrides (dotted keys, TOML values).

    A preset may extend others, ``extends = ["cyclegan-paper", "scale-desk"]``: the later one wins, its own
    keys win over all. `scale` lays one more over the preset, ``scale-SCALE``.

    Raises
    ------
    ConfigError
        No such method or preset; an override that is no ``key=value``; every unknown key and wrong value at
        once.
    """
    method_class(method)
    known = [name for owner, name in presets() if owner == method]
    if preset not in known:
        raise ConfigError(
            f"no preset '{preset}' for method '{method}'", hint=f"known presets: {', '.join(known)}"
        )
    table = _read_preset(f"{method}-{preset}")
    if scale is not None:
        table = _merged(table, _read_preset(f"scale-{scale}"))
        table["description"] = f"{table.get('description', '')}; scaled down to '{scale}'"
        preset = f"{preset}-{scale}"
    table |= {"method": method, "preset": preset}
    for override in overrides:
        _set(table, override)
    return settings_from_dict(table)


def _toml_names(folder: Traversable) -> list[str]:
    return [file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")]


def _read_preset(name: str, below: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a preset with all it extends; raises ConfigError for one that is missing or extends itself."""
    if name in below:
        raise ConfigError(f"preset '{below[0]}' extends itself: {' → '.join([*below, name])}")
    file = next((f for folder in preset_folders() if (f := folder / f"{name}.toml").is_file()), None)
    if file is None:
        raise ConfigError(
            f"no preset file '{name}.toml'", hint="`casgan-dicom train --list` names the presets"
        )
    own = tomllib.loads(file.read_text(encoding="utf-8"))
    table: dict[str, Any] = {}
    for parent in own.pop("extends", []):
        table = _merged(table, _read_preset(parent, (*below, name)))
    return _merged(table, own)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one nested table over another."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def _set(table: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"'{override}' is no KEY=VALUE", hint="for example --set optim.steps=500")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    if key.strip() in ("method", "preset"):
        raise ConfigError(f"'{override}': {key.strip()} is chosen by its own option, --{key.strip()}")
    *parents, last = key.strip().split(".")
    for parent in parents:
        child = table.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"'{override}': '{parent}' is a value, not a table")
        table = child
    table[last] = value
