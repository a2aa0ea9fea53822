"""UNIT, unsupervised image-to-image translation networks (Liu, Breuel and Kautz, NeurIPS 2017).

===============  =========================================================================
symbol           meaning
===============  =========================================================================
x, y             non-contrast frame, angiogram; unpaired; network values in [-1, 1]
E_X, E_Y         encoders to the mean μ of the posterior N(μ, 1) of one shared latent space
G_X, G_Y         decoders of that space
z_x, z_y         draws μ + n, n ~ N(0, 1); at test z = μ
y_g, x_g         y_g = G_Y(z_x), x_g = G_X(z_y)
D_X, D_Y         discriminators at three scales
===============  =========================================================================

Layers, weights and schedule are those of the authors' second implementation, published with MUNIT, which
shares no weights between the domains. The perceptual (VGG) term has weight 0 there and is left out here. One
choice is ours: that code paints twice per step, with new noise for either side's update; here both sides see
the same images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.base import Losses, Method, Samples, painted
from casgan_dicom.model.methods.losses import adversarial
from casgan_dicom.model.networks.init import init_weights
from casgan_dicom.model.networks.layer_norm import init_layer_norms
from casgan_dicom.model.networks.multiscale import SMALLEST, MsImageDis
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.networks.vae import VaeDecoder, VaeEncoder
from casgan_dicom.model.settings import TrainSettings


@dataclass(frozen=True)
class Painting:
    """What one step draws, both ways."""

    mu_x: Tensor
    """E_X(x), (B, 4·ngf, H/4, W/4)."""
    mu_y: Tensor
    """E_Y(y)."""
    z_x: Tensor
    """A draw from N(mu_x, 1)."""
    z_y: Tensor
    """A draw from N(mu_y, 1)."""
    y_g: Tensor
    """G_Y(z_x)."""
    x_g: Tensor
    """G_X(z_y)."""


class Unit(Method):
    """UNIT; its image is drawn whole, without attention."""

    title: ClassVar[str] = "UNIT (Liu et al., NeurIPS 2017)"
    deployed: ClassVar[tuple[str, ...]] = ("enc_x", "dec_y")
    terms: ClassVar[tuple[str, ...]] = ("gan_x", "gan_y", "rec", "kl", "cyc_img", "kl_cyc")
    order: ClassVar[Literal["GD", "DG"]] = "DG"
    discriminator_scale: ClassVar[float] = 1.0

    def __init__(self, settings: TrainSettings, segmentor: UNet) -> None:
        super().__init__(settings, segmentor)
        self._kept: Painting | None = None

    @classmethod
    def build_generators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """An encoder and a decoder for each domain."""
        net = settings.net
        nets: dict[str, nn.Module] = {name: VaeEncoder(net.ngf, net.n_blocks) for name in ("enc_x", "enc_y")}
        nets |= {name: VaeDecoder(net.ngf, net.n_blocks) for name in ("dec_x", "dec_y")}
        return nn.ModuleDict(nets)

    @classmethod
    def build_discriminators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """D_X and D_Y; raises ConfigError for crops that their third scale cannot halve."""
        return build_multiscale_pair(settings)

    @classmethod
    def predict_maps(
        cls,
        nets: nn.ModuleDict,
        settings: TrainSettings,  # noqa: ARG003 - of the interface
        x: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """y_g = G_Y(μ_x), the mean latent, and None."""
        return nets["dec_y"](nets["enc_x"](x)), None

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the generators as ``net.init`` says and the discriminators from N(0, init_gain²)."""
        init_with_normal_discriminators(self, generator)

    def paint(self, batch: Batch) -> None:
        """Encode both domains, draw a latent of each and decode it in the other domain."""
        g = self.generators
        mu_x, mu_y = g["enc_x"](batch.x), g["enc_y"](batch.y)
        z_x, z_y = _drawn(mu_x), _drawn(mu_y)
        self._kept = Painting(mu_x, mu_y, z_x, z_y, y_g=g["dec_y"](z_x), x_g=g["dec_x"](z_y))

    def generator_losses(self, batch: Batch, weights: Mapping[str, float]) -> Losses:
        """Every term whose weight is not 0, each the sum over both domains."""
        p, g, d = self._painting(), self.generators, self.discriminators
        back = cache(lambda: (g["enc_y"](p.y_g), g["enc_x"](p.x_g)))  # μ of the two fakes
        terms: dict[str, Callable[[], Tensor]] = {
            "gan_x": lambda: adversarial(d["d_x"](p.x_g), real=True, kind=self.gan),
            "gan_y": lambda: adversarial(d["d_y"](p.y_g), real=True, kind=self.gan),
            "rec": lambda: F.l1_loss(g["dec_x"](p.z_x), batch.x) + F.l1_loss(g["dec_y"](p.z_y), batch.y),
            "kl": lambda: kl_term(p.mu_x) + kl_term(p.mu_y),
            "cyc_img": lambda: (
                F.l1_loss(g["dec_x"](_drawn(back()[0])), batch.x)
                + F.l1_loss(g["dec_y"](_drawn(back()[1])), batch.y)
            ),
            "kl_cyc": lambda: kl_term(back()[0]) + kl_term(back()[1]),
        }
        return {name: term() for name, term in terms.items() if weights.get(name)}

    def discriminator_samples(self, batch: Batch) -> Samples:
        """(x, x_g) and (y, y_g) of the last `paint`."""
        p = self._painting()
        return {"d_x": (batch.x, p.x_g.detach()), "d_y": (batch.y, p.y_g.detach())}

    def _painting(self) -> Painting:
        return painted(self._kept)


def kl_term(mu: Tensor) -> Tensor:
    """Mean of μ²: twice the divergence of N(μ, 1) from N(0, 1) per element, as the official code has it."""
    return mu.float().square().mean()  # bf16 would round the sum


def _drawn(mu: Tensor) -> Tensor:
    """Draw from N(μ, 1)."""
    return mu + torch.randn_like(mu)


def build_multiscale_pair(settings: TrainSettings) -> nn.ModuleDict:
    """D_X and D_Y of UNIT and MUNIT; raises ConfigError for crops that they cannot halve."""
    if settings.data.crop < SMALLEST:
        raise ConfigError(
            f"data.crop is {settings.data.crop}, but {settings.method}'s discriminators at three scales"
            f" want at least {SMALLEST}",
            hint=f"--set data.crop={SMALLEST}",
        )
    return nn.ModuleDict({name: MsImageDis(settings.net.ndf) for name in ("d_x", "d_y")})


def init_with_normal_discriminators(method: Method, generator: torch.Generator) -> None:
    """First weights of UNIT and MUNIT: generators as ``net.init`` says, discriminators N(0, init_gain²)."""
    net = method.settings.net
    init_weights(method.generators, net.init, net.init_gain, generator)
    init_layer_norms(method.generators, generator)
    init_weights(method.discriminators, "normal", net.init_gain, generator)
