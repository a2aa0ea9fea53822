"""CUT and FastCUT, contrastive unpaired translation (Park, Efros, Zhang and Zhu, ECCV 2020).

===============  =========================================================================
symbol           meaning
===============  =========================================================================
x, y             non-contrast frame, angiogram; unpaired; network values in [-1, 1]
G                the one generator, y_g = G(x); its first half is also the encoder
F                an MLP for each tapped layer, features to points of length 1
D_Y              discriminator of angiograms
nce_x            PatchNCE of G(x) against x
nce_y            PatchNCE of G(y) against y: what is an angiogram already should stay
===============  =========================================================================

There is no way back and no cycle. The official total is gan + λ·(nce_x + nce_y) / 2, so the presets of CUT
give either NCE term 0.5. FastCUT has no nce_y, λ = 10, and paints half of its steps from the mirrored frame,
whose features are mirrored back before they are compared (flip equivariance).

``net.upsampling`` is not used: the antialiased generator has one way to double a map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.base import Losses, Method, Samples, own_options, painted
from casgan_dicom.model.methods.losses import adversarial
from casgan_dicom.model.methods.patchnce import PatchNce, SamplerKind, unknown_layers
from casgan_dicom.model.networks.antialias import (
    AntialiasedGenerator,
    AntialiasedPatchGAN,
    Features,
    tap_widths,
)
from casgan_dicom.model.networks.patch_features import PatchFeatures
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import Options, TrainSettings


@dataclass(frozen=True)
class ContrastOptions(Options):
    """The contrastive terms, of any method that has them."""

    layers: tuple[str, ...] = ("input", "down1", "down2", "block1", "block5")
    """Tapped layers of the generator: "input", "down1", "down2", "block1" … as many as net.n_blocks."""
    temperature: float = 0.07
    """τ of the softmax."""
    patches: int = 256
    """Patches of each layer and image; all of a layer that has fewer."""
    width: int = 256
    """Width of both layers of each MLP."""

    def faults(self) -> list[str]:
        """Values that mean nothing."""
        faults: list[str] = []
        if not self.layers or len(set(self.layers)) < len(self.layers):
            faults.append(
                f"layers is {', '.join(self.layers) or 'empty'}, want different names, at least one"
            )
        if not self.temperature > 0:
            faults.append(f"temperature is {self.temperature:g}, want more than 0")
        if self.patches < 2:
            faults.append(
                f"patches is {self.patches}, want at least 2: one alone has no other to differ from"
            )
        if self.width < 1:
            faults.append(f"width is {self.width}, want at least 1")
        return faults


@dataclass(frozen=True)
class NceOptions(ContrastOptions):
    """The contrastive terms of CUT."""

    flip_equivariance: bool = False
    """Paint half of the steps from the mirrored frame (FastCUT)."""


@dataclass(frozen=True)
class FastNceOptions(NceOptions):
    """The contrastive term of FastCUT."""

    flip_equivariance: bool = True
    """Paint half of the steps from the mirrored frame."""


@dataclass(frozen=True)
class Painting:
    """What one step draws."""

    y_g: Tensor
    """G(x), or G of the mirrored x."""
    mirrored: bool
    """Whether x was mirrored."""
    features: Features
    """Tapped features of what was painted from."""


class Cut(Method):
    """CUT; its image is drawn whole, without attention."""

    title: ClassVar[str] = "CUT (Park et al., ECCV 2020)"
    table: ClassVar[str] = "nce"
    options_type: ClassVar[type[Options]] = NceOptions
    deployed: ClassVar[tuple[str, ...]] = ("g_y",)
    terms: ClassVar[tuple[str, ...]] = ("gan_y", "nce_x", "nce_y")
    order: ClassVar[Literal["GD", "DG"]] = "DG"

    def __init__(self, settings: TrainSettings, segmentor: UNet) -> None:
        super().__init__(settings, segmentor)
        self.nce = nce_options(settings)
        samplers = {name: self.sampler(name) for name in self.nce.layers}
        self.contrast = PatchNce(samplers, self.nce.temperature, self.nce.patches)
        self._kept: Painting | None = None

    @classmethod
    def build_generators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """G and the MLPs; raises ConfigError for layers that a G of ``net.n_blocks`` lacks."""
        net = settings.net
        mlp = build_patch_features(settings, cls.table)
        return nn.ModuleDict({"g_y": AntialiasedGenerator(net.ngf, net.n_blocks), "nce_mlp": mlp})

    @classmethod
    def build_discriminators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """D_Y."""
        return nn.ModuleDict({"d_y": AntialiasedPatchGAN(settings.net.ndf)})

    @classmethod
    def predict_maps(
        cls,
        nets: nn.ModuleDict,
        settings: TrainSettings,  # noqa: ARG003 - of the interface
        x: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """y_g = G(x) and None."""
        return nets["g_y"](x)[0], None

    def sampler(self, layer: str) -> SamplerKind:  # noqa: ARG002 - a descendant looks at it
        """How the patches of a layer are chosen."""
        return "random"

    def paint(self, batch: Batch) -> None:
        """Draw G(x), or with flip equivariance half of the time G of the mirrored x."""
        mirrored = self.nce.flip_equivariance and bool(torch.rand(()) < 0.5)
        source = batch.x.flip(3) if mirrored else batch.x
        y_g, features = self.generators["g_y"](source, self.nce.layers)
        self._kept = Painting(y_g, mirrored, features)

    def generator_losses(self, batch: Batch, weights: Mapping[str, float]) -> Losses:
        """Every term whose weight is not 0."""
        p, d = self._painting(), self.discriminators
        terms: dict[str, Callable[[], Tensor]] = {
            "gan_y": lambda: adversarial(d["d_y"](p.y_g), real=True, kind=self.gan),
            "nce_x": lambda: self._nce(batch.x, p),
            "nce_y": lambda: self._nce(batch.y, self._identity(batch.y)),
        }
        return {name: term() for name, term in terms.items() if weights.get(name)}

    def discriminator_samples(self, batch: Batch) -> Samples:
        """(y, y_g) of the last `paint`."""
        return {"d_y": (batch.y, self._painting().y_g.detach())}

    def _painting(self) -> Painting:
        return painted(self._kept)

    def _identity(self, y: Tensor) -> Painting:
        """G(y), mirrored where G(x) is."""
        mirrored = self._painting().mirrored
        drawn, features = self.generators["g_y"](y.flip(3) if mirrored else y, self.nce.layers)
        return Painting(drawn, mirrored, features)

    def _nce(self, source: Tensor, painted: Painting) -> Tensor:
        """PatchNCE of what was painted against its source."""
        queries, keys = self._encode(painted.y_g), painted.features
        if painted.mirrored:
            queries = {name: h.flip(3) for name, h in queries.items()}
            keys = self._encode(source)
        return self.contrast(self._mlp, keys, queries)

    @property
    def _mlp(self) -> PatchFeatures:
        return cast(PatchFeatures, self.generators["nce_mlp"])

    def _encode(self, image: Tensor) -> Features:
        # Keys with their graph too: before torch 2.13 autocast may hand the weights of a pass without one on.
        features: Features = self.generators["g_y"](image, self.nce.layers, draw=False)[1]
        return features


class FastCut(Cut):
    """FastCUT: CUT without the identity term, more of the other, and flip equivariance."""

    title: ClassVar[str] = "FastCUT (Park et al., ECCV 2020)"
    options_type: ClassVar[type[Options]] = FastNceOptions


def nce_options(settings: TrainSettings) -> NceOptions:
    """The table of CUT or a descendant; raises TypeError for settings of another method."""
    return own_options(settings, NceOptions, "[nce]")


def contrast_options(settings: TrainSettings) -> ContrastOptions:
    """The method's own table; raises TypeError for settings of a method without contrastive terms."""
    return own_options(settings, ContrastOptions, "contrastive terms")


def build_patch_features(settings: TrainSettings, table: str) -> PatchFeatures:
    """F for the tapped layers; raises ConfigError for those that a G of ``net.n_blocks`` lacks."""
    nce, n_blocks = contrast_options(settings), settings.net.n_blocks
    widths = tap_widths(settings.net.ngf, n_blocks)
    if unknown := unknown_layers(nce.layers, widths):
        raise ConfigError(
            f"{table}.layers names {', '.join(unknown)},"
            f" which a generator with net.n_blocks = {n_blocks} lacks",
            hint=f"it has {', '.join(widths)}",
        )
    return PatchFeatures({name: widths[name] for name in nce.layers}, nce.width)
