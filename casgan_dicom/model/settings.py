"""What a training run is made of: frozen dataclasses, filled from a TOML preset and ``--set key=value``.

The field names are the TOML keys, so a preset reads like this file. An unknown key is an error that
names the nearest known one.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.losses import GanKind
from casgan_dicom.model.networks.predictor import PredictorKind
from casgan_dicom.model.networks.resnet import Upsampling


@dataclass(frozen=True)
class NetSettings:
    """Sizes of the networks."""

    ngf: int = 64
    """Filters of the generator's first layer; latents have 4·ngf channels."""
    ndf: int = 64
    """Filters of a discriminator's first layer."""
    n_blocks: int = 4
    """Residual blocks of each encoder and each decoder."""
    upsampling: Upsampling = "transpose"
    """"transpose" (CycleGAN) or "resize" (no checkerboard in short runs)."""
    init_gain: float = 0.02
    """Standard deviation of the initial weights."""


@dataclass(frozen=True)
class CasSettings:
    """What belongs to CAS-GAN alone: the three ablation switches and the choices the paper leaves open."""

    drl: bool = True
    """Disentanglement representation learning: E_BG, E_Vess and the predictor M."""
    vsgg: bool = True
    """Vessel semantic-guided generator: attention and context instead of a plain decoder."""
    vsgl: bool = True
    """Vessel semantic-guided loss: an adversary on the segmentor's maps."""
    pred_stopgrad: bool = False
    """Do not let the prediction loss move its target E_Vess(y)."""
    cycle_noise: float = 0.01
    """Standard deviation of the noise on x_g before it is encoded again (against steganography)."""
    sem_temperature: float = 1.0
    """The segmentor's logits are divided by this before D_Sem sees them. Above 1 the map keeps a slope where
    nothing is drawn; at 1 a generator that once stops drawing gets no gradient back."""
    reject_input: bool = False
    """D_Y and D_Sem also learn that x itself is no angiogram, so drawing nothing is never a way out."""
    predictor: PredictorKind = "conv"
    """Form of M."""
    share_vess_trunk: bool = False
    """Attention and context decoder share their residual blocks."""


@dataclass(frozen=True)
class SegmentorSettings:
    """The U-Net that marks vessels: trained first, then frozen."""

    base: int = 64
    """Channels at full size."""
    steps: int = 2000
    """Optimiser steps; 0 with a `path` trains none."""
    batch: int = 16
    """Crops per step."""
    lr: float = 3e-4
    """Learning rate of AdamW."""
    path: str = ""
    """A segmentor's safetensors file to load instead of training one; empty trains."""


@dataclass(frozen=True)
class DataSettings:
    """Where crops come from."""

    runs: int = 200
    """Simulated runs per domain (sim: only)."""
    frames_per_run: int = 6
    """Frames rendered of each run (sim: only)."""
    frame_size: int = 286
    """Rows and columns of a frame before cropping, rendered or resized to; 0 keeps those of a folder's."""
    crop: int = 256
    """Rows and columns of a training crop."""
    whole_steps: int = 0
    """The last so many steps train on one whole frame each instead of crops: instance norm and the eye for
    the heart's place then meet what they will meet in use."""
    flip: bool = True
    """Mirror left and right with probability one half."""
    cue: float = 1.0
    """Trace of the arteries in non-contrast frames, as a multiple of the physical one (sim: only)."""


@dataclass(frozen=True)
class OptimSettings:
    """Adam and its schedule."""

    lr: float = 2e-4
    """Learning rate."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's betas."""
    steps: int = 200_000
    """Optimiser steps altogether."""
    decay_steps: int = 100_000
    """Of these, the last ones during which the rate falls linearly to 0."""
    batch: int = 1
    """Crops per step and domain."""
    amp: bool = True
    """bf16 autocast on the GPUs and processors that compute in it; float32 elsewhere."""
    ema: float = 0.0
    """Decay of the exponential moving average of the generator's weights; 0 keeps none."""
    pool: int = 50
    """Capacity of each image pool."""
    gan: GanKind = "lsgan"
    """Adversarial loss."""


@dataclass(frozen=True)
class NormalisationSettings:
    """How display values become network values: two percentiles of a whole series on two fixed values."""

    low_percentile: float = 10.0
    """This percentile of the series …"""
    high_percentile: float = 90.0
    """… and this one …"""
    low: float = -0.4
    """… become this network value …"""
    high: float = 0.4
    """… and this one; the room beyond is for vessels, which are darker than anything in the input."""


@dataclass(frozen=True)
class TrainSettings:
    """One training run."""

    method: str = "casgan"
    """Name of the method."""
    preset: str = "paper"
    """Name of the preset these settings started from."""
    description: str = ""
    """One sentence about the recipe, carried into bundle, card and derived objects."""
    seed: int = 1
    """Seed of weights, crops and noise."""
    checkpoint_minutes: float = 10.0
    """Time between checkpoints."""
    sample_steps: int = 500
    """Steps between sample pictures."""
    log_steps: int = 10
    """Steps between rows of metrics.csv; a row holds means over them."""
    net: NetSettings = field(default_factory=NetSettings)
    cas: CasSettings = field(default_factory=CasSettings)
    segmentor: SegmentorSettings = field(default_factory=SegmentorSettings)
    data: DataSettings = field(default_factory=DataSettings)
    optim: OptimSettings = field(default_factory=OptimSettings)
    normalisation: NormalisationSettings = field(default_factory=NormalisationSettings)
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of each loss term by its name; 0 or absent: not computed.

    The method knows the names. A term that its switches leave out is not computed, whatever its weight.
    """


def presets() -> list[str]:
    """Names of the shipped presets, sorted."""
    folder = resources.files("casgan_dicom.model") / "presets"
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def load_settings(method: str, preset: str, overrides: Sequence[str] = ()) -> TrainSettings:
    """Read the preset ``METHOD-PRESET`` and apply ``key=value`` overrides (dotted keys, TOML values).

    Raises
    ------
    ConfigError
        No such preset; an override that is no ``key=value``; every unknown key and wrong value at once.
    """
    name = f"{method}-{preset}"
    if name not in presets():
        raise ConfigError(
            f"no preset '{preset}' for method '{method}'", hint=f"known presets: {', '.join(presets())}"
        )
    text = (resources.files("casgan_dicom.model") / "presets" / f"{name}.toml").read_text()
    table = tomllib.loads(text) | {"method": method, "preset": preset}
    for override in overrides:
        _set(table, override)
    return settings_from_dict(table)


def settings_from_dict(table: Mapping[str, Any]) -> TrainSettings:
    """Build settings from nested mappings; raises ConfigError that lists every fault."""
    faults: list[str] = []
    settings = typing.cast(TrainSettings, _build(TrainSettings, table, "", faults))
    if not faults:
        faults += _out_of_range(settings)
    if faults:
        raise ConfigError("; ".join(faults), hint="`casgan-dicom train --list` names the presets")
    return settings


def settings_to_dict(settings: TrainSettings) -> dict[str, Any]:
    """Give the nested mapping that `settings_from_dict` reads; JSON-compatible."""
    return dataclasses.asdict(settings)


_AT_LEAST: Mapping[str, float] = {
    **dict.fromkeys(("log_steps", "sample_steps", "net.ngf", "net.ndf", "net.n_blocks", "segmentor.base"), 1),
    **dict.fromkeys(("segmentor.batch", "data.runs", "data.frames_per_run", "optim.steps", "optim.batch"), 1),
    **dict.fromkeys(("segmentor.steps", "data.frame_size", "data.whole_steps", "data.cue"), 0),
    "checkpoint_minutes": 0,
    **dict.fromkeys(("optim.decay_steps", "optim.pool", "cas.cycle_noise", "seed", "optim.lr"), 0),
}
"""Smallest value that means anything."""
_ABOVE_ZERO = ("segmentor.lr", "net.init_gain", "cas.sem_temperature")


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
    if optim.decay_steps > optim.steps:
        faults.append(f"optim.decay_steps is {optim.decay_steps}, want 0 to optim.steps ({optim.steps})")
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


def _build(cls: type, table: Mapping[str, Any], prefix: str, faults: list[str]) -> object:
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in hints:
            close = difflib.get_close_matches(key, hints, n=1)
            known = f"did you mean '{prefix}{close[0]}'?" if close else f"known: {', '.join(hints)}"
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
