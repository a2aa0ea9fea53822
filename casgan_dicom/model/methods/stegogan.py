"""StegoGAN (Wu et al., CVPR 2024): CycleGAN for a target that holds what the source cannot tell.

===============  =========================================================================
symbol           meaning
===============  =========================================================================
x, y             non-contrast frame (the paper's A), angiogram (its B); network values
G_X              y → x_g, the latent l that a learned mask took out of its features, and where
G_Y              x → y; may be given a latent to put back
y_clean          G_Y(x): nothing put back
y_g              G_Y(x, l of y): the other frame's unmatchable content put in
w, w_g           where G_X took something out of y, of y_g; in [0, 1]
D_X, D_Y         PatchGANs, on x_g and on y_g
===============  =========================================================================

    cyc_x = mean abs(G_X(y_g) - x)                      cyc_y = mean abs(G_Y(x_g + n, l) - y)
    idt_x = mean abs(G_X(x) - x)                        idt_y = mean abs(G_Y(y) - y)
    reg = mean √w + mean √w_g
    consistency = mean (1 - w) abs(G_Y(x_g) - y) + mean (1 - w_g) abs(y_clean - y_g)

The deployed image is y_clean, as in the authors' tests: what only the target has is left out, for them a
hallucination. Contrast-filled vessels are exactly that content, so expect them to vanish here; CAS-GAN's
table, where this method is far behind on MMD, agrees.

Our reading where the description is silent: w is the largest 1 - m over the channels, each angiogram is
compared under its own map, and identity images get no latent. The authors step the generators twice on each
gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.base import Losses, Method, Samples, own_options, painted
from casgan_dicom.model.methods.cyclegan import CYCLE_TERMS, build_discriminators
from casgan_dicom.model.methods.losses import adversarial
from casgan_dicom.model.networks.stego import AddingGenerator, RemovingGenerator
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import Options, TrainSettings

SMALLEST = 1e-12
"""√w has no slope at 0: below this it is taken for flat."""


@dataclass(frozen=True)
class StegoOptions(Options):
    """What belongs to StegoGAN alone."""

    layer: int = 0
    """Residual blocks before the mask and before the latent is put back; 0 means all of them."""
    fusion: bool = True
    """The latent passes a residual block of its own before it is put back."""
    noise: float = 0.01
    """Standard deviation of the noise on x_g before it is translated back (against what hides in pixels)."""

    def faults(self) -> list[str]:
        """Values that mean nothing."""
        faults: list[str] = []
        if self.layer < 0:
            faults.append(f"layer is {self.layer}, want at least 0")
        if not self.noise >= 0:
            faults.append(f"noise is {self.noise:g}, want at least 0")
        return faults


@dataclass(frozen=True)
class Painting:
    """What one step draws before it knows the terms."""

    x_g: Tensor
    latent: Tensor
    where: Tensor
    """w, of y."""
    y_g: Tensor


class StegoGan(Method):
    """StegoGAN."""

    title: ClassVar[str] = "StegoGAN (Wu et al., CVPR 2024)"
    table: ClassVar[str] = "stego"
    options_type: ClassVar[type[Options]] = StegoOptions
    deployed: ClassVar[tuple[str, ...]] = ("g_y",)
    terms: ClassVar[tuple[str, ...]] = (*CYCLE_TERMS, "reg", "consistency")
    generator_steps: ClassVar[int] = 2

    def __init__(self, settings: TrainSettings, segmentor: UNet) -> None:
        super().__init__(settings, segmentor)
        self.stego = options(settings)
        self._painting: Painting | None = None

    @classmethod
    def build_generators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """G_Y and G_X, untrained; raises ConfigError where there are fewer blocks than `layer`."""
        net, stego = settings.net, options(settings)
        if stego.layer > net.n_blocks:
            raise ConfigError(
                f"stego.layer is {stego.layer}, want 0 to net.n_blocks ({net.n_blocks})",
                hint="0 puts the mask after all residual blocks",
            )
        cut = stego.layer or net.n_blocks
        return nn.ModuleDict(
            {
                "g_y": AddingGenerator(
                    net.ngf, net.n_blocks, cut, upsampling=net.upsampling, fusion=stego.fusion
                ),
                "g_x": RemovingGenerator(net.ngf, net.n_blocks, cut, upsampling=net.upsampling),
            }
        )

    @classmethod
    def build_discriminators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """D_X and D_Y, untrained."""
        return build_discriminators(settings)

    @classmethod
    def predict_maps(
        cls,
        nets: nn.ModuleDict,
        settings: TrainSettings,  # noqa: ARG003 - part of the interface
        x: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """Draw y_clean; there is no attention."""
        return nets["g_y"](x), None

    def initialise(self, generator: torch.Generator) -> None:
        """As ``net.init`` says, but the mask's convolutions by He et al. 2015, normal, fan out."""
        super().initialise(generator)
        g_x = self.generators["g_x"]
        assert isinstance(g_x, RemovingGenerator)
        for layer in g_x.mask:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(
                    layer.weight, mode="fan_out", nonlinearity="relu", generator=generator
                )

    def paint(self, batch: Batch) -> None:
        """x_g with what was taken out of y, and y_g with that put in."""
        x_g, latent, where = self.generators["g_x"](batch.y)
        self._painting = Painting(x_g, latent, where, self.generators["g_y"](batch.x, latent.detach()))

    def generator_losses(self, batch: Batch, weights: Mapping[str, float]) -> Losses:
        """Every term whose weight is not 0; images that only one term needs are drawn for it only."""
        p, x, y = self._painted(), batch.x, batch.y
        g, d = self.generators, self.discriminators

        @cache
        def back() -> tuple[Tensor, Tensor, Tensor]:
            drawn: tuple[Tensor, Tensor, Tensor] = g["g_x"](p.y_g)
            return drawn

        terms: dict[str, Callable[[], Tensor]] = {
            "gan_x": lambda: adversarial(d["d_x"](p.x_g), real=True, kind=self.gan),
            "gan_y": lambda: adversarial(d["d_y"](p.y_g), real=True, kind=self.gan),
            "cyc_x": lambda: F.l1_loss(back()[0], x),
            "cyc_y": lambda: F.l1_loss(g["g_y"](self._noisy(p.x_g), p.latent), y),
            "idt_x": lambda: F.l1_loss(g["g_x"](x)[0], x),
            "idt_y": lambda: F.l1_loss(g["g_y"](y), y),
            "reg": lambda: _root(p.where) + _root(back()[2]),
            "consistency": lambda: (
                _outside(p.where, g["g_y"](p.x_g), y) + _outside(back()[2], g["g_y"](x), p.y_g)
            ),
        }
        return {name: term() for name, term in terms.items() if weights.get(name)}

    def discriminator_samples(self, batch: Batch) -> Samples:
        """(x, x_g) and (y, y_g)."""
        p = self._painted()
        return {"d_x": (batch.x, p.x_g.detach().float()), "d_y": (batch.y, p.y_g.detach().float())}

    def diagnostics(self) -> Losses:
        """Mean of w: the share of y that G_X took out."""
        return {} if self._painting is None else {"mean_removed": self._painting.where.detach().mean()}

    def _painted(self) -> Painting:
        return painted(self._painting)

    def _noisy(self, x_g: Tensor) -> Tensor:
        return x_g + self.stego.noise * torch.randn_like(x_g)


def options(settings: TrainSettings) -> StegoOptions:
    """The method's own table; raises TypeError for settings of another method."""
    return own_options(settings, StegoOptions, "[stego]")


def _root(where: Tensor) -> Tensor:
    """Mean √w."""
    return where.clamp_min(SMALLEST).sqrt().mean()


def _outside(where: Tensor, image: Tensor, target: Tensor) -> Tensor:
    """Mean (1 - w) abs(image - target)."""
    return ((1 - where) * (image - target).abs()).mean()
