"""MUNIT, multimodal unsupervised image-to-image translation (Huang et al., ECCV 2018).

===============  =========================================================================
symbol           meaning
===============  =========================================================================
x, y             non-contrast frame, angiogram; unpaired; network values in [-1, 1]
c_x, c_y         contents, maps: what both domains share
s_x, s_y         styles of the domains, short vectors drawn from N(0, I)
s_x', s_y'       styles read from x and y
y_g, x_g         y_g = G_Y(c_x, s_y), x_g = G_X(c_y, s_x)
D_X, D_Y         discriminators at three scales
===============  =========================================================================

Layers, weights and schedule are the official ones; the perceptual (VGG) term has weight 0 there and is left
out here. Two choices are ours. The official code paints twice per step, with new styles for either side's
update; here both sides see the same images. And where that code draws a style per image at test, a bundle
holds one, drawn with `style_seed`: a style per frame would make a run flicker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.base import Losses, Method, Samples, own_options, painted
from casgan_dicom.model.methods.losses import adversarial
from casgan_dicom.model.methods.unit import build_multiscale_pair, init_with_normal_discriminators
from casgan_dicom.model.networks.adain import StyledDecoder, StyleEncoder
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.networks.vae import VaeEncoder
from casgan_dicom.model.settings import Options, TrainSettings


@dataclass(frozen=True)
class MunitOptions(Options):
    """What belongs to MUNIT alone."""

    style_dim: int = 8
    """Numbers in a style."""
    mlp_dim: int = 256
    """Hidden units of the MLP between a style and the norms of a decoder."""
    style_seed: int = 1
    """Seed of the one style that translation uses."""

    def faults(self) -> list[str]:
        """Values that mean nothing."""
        low = {"style_dim": 1, "mlp_dim": 1, "style_seed": 0}
        return [
            f"{name} is {value}, want at least {low[name]}"
            for name, value in vars(self).items()
            if value < low[name]
        ]


class FixedStyle(nn.Module):
    """The one style of all translated frames, (1, style_dim): a buffer, so it is saved with the weights."""

    style: Tensor

    def __init__(self, style_dim: int, seed: int) -> None:
        super().__init__()
        draws = torch.Generator("cpu").manual_seed(seed)
        self.register_buffer("style", torch.randn(1, style_dim, generator=draws, device="cpu"))

    def forward(self) -> Tensor:
        """Return the style."""
        return self.style


@dataclass(frozen=True)
class Painting:
    """What one step draws, both ways."""

    c_x: Tensor
    """Content of x, (B, 4·ngf, H/4, W/4)."""
    c_y: Tensor
    """Content of y."""
    s_x: Tensor
    """The drawn style of x_g, (B, style_dim)."""
    s_y: Tensor
    """The drawn style of y_g."""
    y_g: Tensor
    """G_Y(c_x, s_y)."""
    x_g: Tensor
    """G_X(c_y, s_x)."""


class Munit(Method):
    """MUNIT; its image is drawn whole, without attention."""

    title: ClassVar[str] = "MUNIT (Huang et al., ECCV 2018)"
    table: ClassVar[str] = "munit"
    options_type: ClassVar[type[Options]] = MunitOptions
    deployed: ClassVar[tuple[str, ...]] = ("content_x", "dec_y", "fixed_style")
    terms: ClassVar[tuple[str, ...]] = ("gan_x", "gan_y", "rec", "style", "content", "cyc_img")
    order: ClassVar[Literal["GD", "DG"]] = "DG"
    discriminator_scale: ClassVar[float] = 1.0

    def __init__(self, settings: TrainSettings, segmentor: UNet) -> None:
        super().__init__(settings, segmentor)
        self.style_dim = options(settings).style_dim
        self._kept: Painting | None = None

    @classmethod
    def build_generators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """Content encoder, style encoder and decoder of each domain, and the fixed style."""
        net, own = settings.net, options(settings)
        nets: dict[str, nn.Module] = {}
        for domain in ("x", "y"):
            nets[f"content_{domain}"] = VaeEncoder(net.ngf, net.n_blocks)
            nets[f"style_{domain}"] = StyleEncoder(net.ngf, own.style_dim)
            nets[f"dec_{domain}"] = StyledDecoder(
                net.ngf, net.n_blocks, style_dim=own.style_dim, mlp_dim=own.mlp_dim
            )
        nets["fixed_style"] = FixedStyle(own.style_dim, own.style_seed)
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
        """y_g = G_Y(c_x, the fixed style), and None."""
        return nets["dec_y"](nets["content_x"](x), nets["fixed_style"]()), None

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the generators as ``net.init`` says and the discriminators from N(0, init_gain²)."""
        init_with_normal_discriminators(self, generator)

    def paint(self, batch: Batch) -> None:
        """Encode both contents, draw a style for each sample and decode in the other domain."""
        g = self.generators
        c_x, c_y = g["content_x"](batch.x), g["content_y"](batch.y)
        s_x, s_y = (torch.randn(len(batch.x), self.style_dim, device=batch.x.device) for _ in range(2))
        self._kept = Painting(c_x, c_y, s_x, s_y, y_g=g["dec_y"](c_x, s_y), x_g=g["dec_x"](c_y, s_x))

    def generator_losses(self, batch: Batch, weights: Mapping[str, float]) -> Losses:
        """Every term whose weight is not 0, each the sum over both domains."""
        p, g, d = self._painting(), self.generators, self.discriminators
        x, y = batch.x, batch.y
        own = cache(lambda: (g["style_x"](x), g["style_y"](y)))  # s_x', s_y'
        back = cache(lambda: (g["content_y"](p.y_g), g["content_x"](p.x_g)))  # contents of the fakes
        terms: dict[str, Callable[[], Tensor]] = {
            "gan_x": lambda: adversarial(d["d_x"](p.x_g), real=True, kind=self.gan),
            "gan_y": lambda: adversarial(d["d_y"](p.y_g), real=True, kind=self.gan),
            "rec": lambda: (
                F.l1_loss(g["dec_x"](p.c_x, own()[0]), x) + F.l1_loss(g["dec_y"](p.c_y, own()[1]), y)
            ),
            "style": lambda: F.l1_loss(g["style_x"](p.x_g), p.s_x) + F.l1_loss(g["style_y"](p.y_g), p.s_y),
            "content": lambda: F.l1_loss(back()[0], p.c_x) + F.l1_loss(back()[1], p.c_y),
            "cyc_img": lambda: (
                F.l1_loss(g["dec_x"](back()[0], own()[0]), x) + F.l1_loss(g["dec_y"](back()[1], own()[1]), y)
            ),
        }
        return {name: term() for name, term in terms.items() if weights.get(name)}

    def discriminator_samples(self, batch: Batch) -> Samples:
        """(x, x_g) and (y, y_g) of the last `paint`."""
        p = self._painting()
        return {"d_x": (batch.x, p.x_g.detach()), "d_y": (batch.y, p.y_g.detach())}

    def _painting(self) -> Painting:
        return painted(self._kept)


def options(settings: TrainSettings) -> MunitOptions:
    """The method's own table; raises TypeError for settings of another method."""
    return own_options(settings, MunitOptions, "[munit]")
