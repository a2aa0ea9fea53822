"""What a training run is made of: frozen dataclasses, filled from nested tables and checked.

The field names are the keys of a preset's TOML, so a preset reads like this file. An unknown key is an error
that names the nearest known one.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.losses import GanKind
from casgan_dicom.model.methods.base import Options
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.networks.init import InitKind
from casgan_dicom.model.networks.resnet import Upsampling

Schedule = Literal["linear", "step", "constant"]
TrackerName = Literal["tensorboard", "wandb", "mlflow"]


@dataclass(frozen=True)
class NetSettings:
    """Sizes of the networks."""

    ngf: int = 64
    """Filters of the generator's first layer; latents have 4·ngf channels."""
    ndf: int = 64
    """Filters of a discriminator's first layer."""
    n_blocks: int = 4
    """Residual blocks of each encoder and each decoder; of the whole generator where it is one ResNet."""
    upsampling: Upsampling = "transpose"
    """"transpose" (CycleGAN) or "resize" (no checkerboard in short runs)."""
    init: InitKind = "normal"
    """How the first weights are drawn: "normal" (CycleGAN), "xavier" (CUT) or "kaiming" (UNIT)."""
    init_gain: float = 0.02
    """Standard deviation of the first weights ("normal") or a factor on it ("xavier")."""
    channels_last: bool = False
    """Keep images with their channels last in memory: faster on GPUs, slower on processors without bf16."""


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
    """A segmentor to load instead of training one: a safetensors file, or a bundle by its name or folder.
    Empty trains one, or takes that of the bundle "casgan" where frames from folders have no masks."""


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
    held_out: float = 0.0
    """Share of a folder's series or patients that training never sees, kept for evaluation; each is drawn by
    its name, so it is about that share, and one stays where it is when others come or go."""
    split_by: Literal["series", "patient"] = "patient"
    """What `held_out` counts, and what never stands on both sides."""
    split_seed: int = 1
    """Seed of which are held out; runs that are compared have the same, whatever their `seed`."""


@dataclass(frozen=True)
class OptimSettings:
    """Adam and its schedule."""

    lr: float = 2e-4
    """Learning rate."""
    weight_decay: float = 0.0
    """Weight decay of both sides' Adam, added to the gradient (UNIT and MUNIT: 1e-4)."""
    schedule: Schedule = "linear"
    """"linear": flat, then a line to 0 over `decay_steps`. "step": times `step_gamma` every `step_every`
    steps. "constant"."""
    step_every: int = 100_000
    """Steps between two falls of the rate (schedule "step" only)."""
    step_gamma: float = 0.5
    """Factor of each fall (schedule "step" only)."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's betas."""
    steps: int = 200_000
    """Optimiser steps altogether."""
    decay_steps: int = 100_000
    """Of these, the last ones during which the rate falls linearly to 0 (schedule "linear" only)."""
    batch: int = 1
    """Crops per step and domain, over all processes."""
    accumulate: int = 1
    """Parts that a step's batch is computed in, one after the other, to save memory."""
    compile: bool = False
    """Compile the networks with torch.compile: needs a C++ compiler, starts slowly, rounds differently."""
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
    trackers: tuple[TrackerName, ...] = ()
    """Where the rows of metrics.csv go besides: "tensorboard", "wandb", "mlflow"."""
    net: NetSettings = field(default_factory=NetSettings)
    segmentor: SegmentorSettings = field(default_factory=SegmentorSettings)
    data: DataSettings = field(default_factory=DataSettings)
    optim: OptimSettings = field(default_factory=OptimSettings)
    normalisation: NormalisationSettings = field(default_factory=NormalisationSettings)
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of each loss term by its name; 0 or absent: not computed.

    The method knows the names. A term that its switches leave out is not computed, whatever its weight.
    """
    own: Options = field(default_factory=Options)
    """What the method has for itself; its table is named by the method: [cas], [nce] …"""


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
