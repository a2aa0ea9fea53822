"""Segment, then paint: find where vessels run first, darken the frame there second. Simulator only.

This project's own anchor, after the lesson of VeCAS (2026, DOI 10.1109/CISM64958.2025.11060856): where a
vessel runs is a question of segmentation, and a supervised answer beats what an image loss finds. It learns
from each frame's contrast twin and vessel mask, which only simulated data has.

===============  =========================================================================
symbol           meaning
===============  =========================================================================
x                non-contrast frame, network values in [-1, 1]; its twin, its mask m
A_g              soft vessel mask, the segmentation of x by a U-Net
C_g              context: x darkened, C_g = x - d, by what a vessel would take at every pixel
d                darkening of the painter, 0 to x + 1, so C_g stays in [-1, x]
y_g              y_g = x ⊙ (1 - A_g) + C_g ⊙ A_g = x - d ⊙ A_g: darker than x, never brighter
===============  =========================================================================

The painter sees x and A_g as it will in use, but is judged inside the true mask only, and its loss does not
move A_g: the two stages are learned side by side, each by its own term. An adversary D_Y on y_g is there for
whoever gives "gan_y" a weight; by default there is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.base import Losses, Method, Samples, painted
from casgan_dicom.model.methods.losses import adversarial, soft_dice_loss
from casgan_dicom.model.networks.attention import compose
from casgan_dicom.model.networks.instance_unet import InstanceUNet
from casgan_dicom.model.networks.patchgan import PatchGAN
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import TrainSettings

PAINTER_DEPTH = 2
"""Times that the painter halves its image: how dark a vessel is can be seen from nearby."""
VESSEL_SHARE = 0.05
"""Share of a frame that vessels cover, about; the finder starts there instead of at one half."""


@dataclass(frozen=True)
class Painting:
    """What one step draws."""

    logits: Tensor
    """Of the vessel mask, (B, 1, H, W)."""
    context: Tensor
    """C_g."""
    y_g: Tensor
    """The composed image."""


class SegmentThenPaint(Method):
    """A U-Net that finds vessels in x, and a small one that darkens them."""

    title: ClassVar[str] = "Segment, then paint (ours, after VeCAS; paired, simulator only)"
    deployed: ClassVar[tuple[str, ...]] = ("finder", "painter")
    terms: ClassVar[tuple[str, ...]] = ("mask", "pair_l1", "gan_y")
    needs_pairs: ClassVar[bool] = True
    beyond_paper: ClassVar[bool] = True

    def __init__(self, settings: TrainSettings, segmentor: UNet) -> None:
        super().__init__(settings, segmentor)
        self._kept: Painting | None = None

    @classmethod
    def build_generators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """The finder, `ngf` channels wide at full size, and the painter, half as wide."""
        ngf = settings.net.ngf
        painter = InstanceUNet(max(1, ngf // 2), PAINTER_DEPTH, in_channels=2)
        return nn.ModuleDict({"finder": InstanceUNet(ngf), "painter": painter})

    @classmethod
    def build_discriminators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """D_Y where "gan_y" has a weight, else nothing."""
        adversary = bool(settings.weights.get("gan_y"))
        return nn.ModuleDict({"d_y": PatchGAN(settings.net.ndf)} if adversary else {})

    @classmethod
    def predict_maps(
        cls,
        nets: nn.ModuleDict,
        settings: TrainSettings,  # noqa: ARG003 - of the interface
        x: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """C_g = x - d and the soft mask A_g."""
        attention = torch.sigmoid(nets["finder"](x))
        return darkened(x, nets["painter"](torch.cat([x, attention], dim=1))), attention

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the first weights as ``net.init`` says; the finder's last bias stands for `VESSEL_SHARE`."""
        super().initialise(generator)
        finder = self.generators["finder"]
        if isinstance(finder, InstanceUNet) and finder.head.bias is not None:
            nn.init.constant_(finder.head.bias, math.log(VESSEL_SHARE / (1 - VESSEL_SHARE)))

    def paint(self, batch: Batch) -> None:
        """Find vessels in x and darken it there."""
        x, nets = batch.x, self.generators
        logits = nets["finder"](x).float()
        attention = torch.sigmoid(logits)
        context = darkened(x, nets["painter"](torch.cat([x, attention.detach()], dim=1)).float())
        self._kept = Painting(logits, context, compose(x, context, attention))

    def generator_losses(self, batch: Batch, weights: Mapping[str, float]) -> Losses:
        """Every term whose weight is not 0; raises ValueError for a batch without twin and mask."""
        p, (twin, mask) = self._painting(), truth(batch)
        terms: dict[str, Callable[[], Tensor]] = {
            "mask": lambda: (
                0.5 * F.binary_cross_entropy_with_logits(p.logits, mask)
                + 0.5 * soft_dice_loss(torch.sigmoid(p.logits), mask)
            ),
            "pair_l1": lambda: l1_inside(p.context, twin, mask),
            "gan_y": lambda: adversarial(self.discriminators["d_y"](p.y_g), real=True, kind=self.gan),
        }
        return {name: term() for name, term in terms.items() if weights.get(name)}

    def discriminator_samples(self, batch: Batch) -> Samples:
        """(y, y_g) of the last `paint` where there is an adversary."""
        y_g = self._painting().y_g.detach()
        return dict.fromkeys(self.discriminators, (batch.y, y_g))

    def diagnostics(self) -> Losses:
        """Mean of the soft mask."""
        if self._kept is None:
            return {}
        return {"mean_attention": torch.sigmoid(self._kept.logits.detach()).mean()}

    def _painting(self) -> Painting:
        return painted(self._kept)


def darkened(x: Tensor, logits: Tensor) -> Tensor:
    """Darken by a share of what there is: C_g = x - d, d = (x + 1)·sigmoid(logits); all (B, 1, H, W)."""
    return x - (x + 1) * torch.sigmoid(logits)


def l1_inside(image: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Σ mask·abs(image - target) / Σ mask, 0 for an empty mask; all (B, 1, H, W), mask 0 or 1."""
    return (mask * (image - target).abs()).sum() / mask.sum().clamp_min(1)


def truth(batch: Batch) -> tuple[Tensor, Tensor]:
    """Twin and mask of a batch; raises ValueError where it has none."""
    if batch.twin is None or batch.mask is None:
        raise ValueError("a batch without twin and mask, want simulated data")
    return batch.twin, batch.mask
