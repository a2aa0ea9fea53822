"""What the trainer asks of a method.

A method is one file: a subclass of `Method`, its own settings as a subclass of `Options`, and presets
``METHOD-PRESET.toml``. The trainer owns optimisers, image pools, weights of the terms and the loop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

import numpy.typing as npt
import torch
from torch import Tensor, nn

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.drawing import Drawer
from casgan_dicom.model.networks.attention import compose
from casgan_dicom.model.networks.init import init_weights
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import Options, TrainSettings

Losses = dict[str, Tensor]
Samples = dict[str, tuple[Tensor, Tensor]]
"""Name of a discriminator → (real, fake), detached."""

Arrays = Mapping[str, npt.NDArray[Any]]
"""Arrays by name, as one safetensors file holds them."""

OwnOptions = TypeVar("OwnOptions", bound=Options)
Kept = TypeVar("Kept")


def own_options(settings: TrainSettings, kind: type[OwnOptions], name: str) -> OwnOptions:
    """The method's own table, called `name`; raises TypeError for settings of another method."""
    if not isinstance(settings.own, kind):
        raise TypeError(f"settings of method '{settings.method}' hold no {name}")
    return settings.own


def painted(kept: Kept | None) -> Kept:
    """What `paint` kept of this step; raises RuntimeError before the first one."""
    if kept is None:
        raise RuntimeError("paint comes first")
    return kept


class Method(nn.Module, ABC):
    """Networks and losses of one paper.

    `order` says how a step goes. "GD": `paint`, `generator_losses`, the generators' optimiser, then the
    discriminators on what was painted. "DG": `paint`, the discriminators, then `generator_losses` with the
    discriminators just updated. Discriminators need no gradient while `generator_losses` runs.
    """

    title: ClassVar[str]
    """One line for lists and cards: name, authors, venue."""
    table: ClassVar[str] = ""
    """Name of the method's own table of settings; empty where it has none."""
    options_type: ClassVar[type[Options]] = Options
    """Type of that table."""
    deployed: ClassVar[tuple[str, ...]]
    """Names in `generators` that translation needs; a bundle holds these only."""
    terms: ClassVar[tuple[str, ...]]
    """Names of all loss terms of the generators, the keys of ``[weights]``."""
    order: ClassVar[Literal["GD", "DG"]] = "GD"
    """Which side steps first."""
    generator_steps: ClassVar[int] = 1
    """Optimiser steps of the generators on the same gradients."""
    discriminator_scale: ClassVar[float] = 0.5
    """A discriminator's loss is this times (real + fake)."""
    needs_pairs: ClassVar[bool] = False
    """Every batch must hold `twin` and `mask`."""
    posed: ClassVar[bool] = False
    """Learns from posed runs of the simulator (data/pose_sampler.py): every batch holds `truth`."""
    guided: ClassVar[bool] = False
    """Learns from guided pairs of the simulator (data/guided_sampler.py): every batch holds `truth`."""
    beyond_paper: ClassVar[bool] = False
    """Not among the paper's eight methods: an addition of this project."""

    extra_files: ClassVar[tuple[str, ...]] = ()
    """Files that a bundle holds beside its networks, each ``NAME.safetensors``; see `extra_arrays`."""

    generators: nn.ModuleDict
    """Networks on the generator's side, by name."""
    discriminators: nn.ModuleDict
    """Networks on the discriminator's side, by name; may be empty."""

    def __init__(self, settings: TrainSettings, segmentor: UNet) -> None:  # noqa: ARG002 - CAS-GAN takes it
        super().__init__()
        self.settings = settings
        self.gan = settings.optim.gan
        self.generators = self.build_generators(settings)
        self.discriminators = self.build_discriminators(settings)

    @classmethod
    @abstractmethod
    def build_generators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """Everything on the generator's side, untrained."""

    @classmethod
    @abstractmethod
    def build_discriminators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """Everything on the discriminator's side, untrained; empty without an adversary."""

    @classmethod
    @abstractmethod
    def predict_maps(
        cls, nets: nn.ModuleDict, settings: TrainSettings, x: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """What inference needs of the deployed networks for x (B, 1, H, W), H and W multiples of 4.

        Deterministic and traceable.

        Returns
        -------
        drawn
            The context C; without attention the whole image y_g.
        attention
            A in [0, 1]: the image is x ⊙ (1 - A) + C ⊙ A. None for a method without.
        """

    @classmethod
    def drawer(
        cls,
        nets: nn.ModuleDict,  # noqa: ARG003 - of the interface
        settings: TrainSettings,  # noqa: ARG003 - of the interface
        extra: Mapping[str, Arrays],  # noqa: ARG003 - of the interface
        device: str,  # noqa: ARG003 - of the interface
    ) -> Drawer | None:
        """Who draws over whole runs with the deployed networks and the arrays of `extra_files`, on a device.

        None, the usual case: each frame is drawn by itself, by `predict_maps`.
        """
        return None

    @classmethod
    def networks_text(cls, settings: TrainSettings) -> str:
        """The size of the networks, for the card of a bundle."""
        return f"ngf {settings.net.ngf}, net.n_blocks {settings.net.n_blocks}"

    def extra_arrays(self) -> Mapping[str, Arrays]:
        """What the `extra_files` of a bundle of this training hold, by their names."""
        return {}

    @abstractmethod
    def paint(self, batch: Batch) -> None:
        """Compute and keep every fake of this step, with gradients."""

    @abstractmethod
    def generator_losses(self, batch: Batch, weights: Mapping[str, float]) -> Losses:
        """Return the unweighted scalar of every term whose weight is not 0; the others are not computed."""

    @abstractmethod
    def discriminator_samples(self, batch: Batch) -> Samples:
        """Give real and fake of the last `paint` for every discriminator."""

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the first weights of both sides, as ``net.init`` says."""
        for side in (self.generators, self.discriminators):
            init_weights(side, self.settings.net.init, self.settings.net.init_gain, generator)

    def translate(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """y_g and the attention (None for a method without) of x."""
        drawn, attention = self.predict_maps(self.generators, self.settings, x)
        return (drawn if attention is None else compose(x, drawn, attention)), attention

    def shown(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """y_g and the attention of a batch, for the pictures of a training: those of x, usually."""
        return self.translate(batch.x)

    def diagnostics(self) -> Losses:
        """Figures to log beside the losses, of the last step: scalars, left on the device."""
        return {}
