"""What a training run is made of: frozen dataclasses.

The field names are the keys of a preset's TOML, so a preset reads like this file; `tables` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from casgan_dicom.model.networks.choices import InitKind, Upsampling

GanKind = Literal["lsgan", "vanilla"]
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
    start: str = ""
    """A bundle, by its name or folder, whose networks training goes on from; empty begins with random ones.
    It keeps those that translate; the optimiser begins anew."""


@dataclass(frozen=True)
class SegmentorSettings:
    """The U-Net that marks vessels: trained first, then frozen."""

    base: int = 64
    """Channels at full size."""
    steps: int = 2000
    """Optimiser steps; 0 with a `path` trains none."""
    batch: int = 16
    """Crops per step."""
    empty: float = 0.0
    """Share of them that are frames without contrast, whose vessels are none: from angiograms alone a network
    learns that there is always something to mark, and takes catheters and ribs for it."""
    runs: int = 0
    """Simulated runs of its own that it learns from, shown as other machines would, with vessels of any depth
    (sim: only); 0: it learns from the angiograms of the run, as they are."""
    lr: float = 3e-4
    """Learning rate of AdamW."""
    start: str = ""
    """A segmentor of this width to go on from: a safetensors file, or a bundle by its name or folder."""
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
class Options:
    """Settings that one method has for itself, its own table in a preset."""

    def faults(self) -> list[str]:
        """Say what is wrong with values of the right type that mean nothing: "key is V, want …" each."""
        return []


@dataclass(frozen=True)
class TrainSettings:
    """One training run."""

    method: str = "casgan"
    """Name of the method."""
    preset: str = "paper"
    """Name of the preset these settings started from."""
    description: str = ""
    """One sentence about the recipe. That of a preset tells of the bundle that was shipped; bundles of a run
    say what was done, or what the user has put here instead."""
    name: str = ""
    """Name of the bundle; empty: that of the run folder."""
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
