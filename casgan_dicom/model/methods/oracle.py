"""The paired supervised oracle: an upper bound for every method. Simulator only.

A U-Net sees x and regresses its contrast twin, the very image that an unpaired method must guess. Real data
has no such twin, so this is no method for use: its score says how much of the vessels can be read from a
non-contrast frame at all, at this size of network and this length of training.

    y_g = x + R(x)        R: a U-Net, unbounded; y_g is cut to [-1, 1] in use
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.base import Losses, Method, Samples, painted
from casgan_dicom.model.methods.casgan import BACKGROUND_WEIGHT
from casgan_dicom.model.methods.losses import soft_dice_loss, weighted_l1
from casgan_dicom.model.methods.segment_then_paint import truth
from casgan_dicom.model.networks.instance_unet import InstanceUNet
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import TrainSettings


class Oracle(Method):
    """A residual U-Net trained on pairs, without an adversary."""

    title: ClassVar[str] = "Paired supervised oracle (ours; upper bound, simulator only)"
    deployed: ClassVar[tuple[str, ...]] = ("residual",)
    terms: ClassVar[tuple[str, ...]] = ("pair_l1", "pair_dice")
    needs_pairs: ClassVar[bool] = True
    beyond_paper: ClassVar[bool] = True

    def __init__(self, settings: TrainSettings, segmentor: UNet) -> None:
        super().__init__(settings, segmentor)
        self.segmentor = segmentor.requires_grad_(False).eval()
        self._y_g: Tensor | None = None

    @classmethod
    def build_generators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """The U-Net, `ngf` channels wide at full size."""
        return nn.ModuleDict({"residual": InstanceUNet(settings.net.ngf)})

    @classmethod
    def build_discriminators(cls, settings: TrainSettings) -> nn.ModuleDict:  # noqa: ARG003 - of the interface
        """Nothing: the truth is known."""
        return nn.ModuleDict()

    @classmethod
    def predict_maps(
        cls,
        nets: nn.ModuleDict,
        settings: TrainSettings,  # noqa: ARG003 - of the interface
        x: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """y_g in [-1, 1], and None."""
        return torch.clamp(x + nets["residual"](x), -1, 1), None

    def train(self, mode: bool = True) -> Oracle:
        """Switch the U-Net but not the frozen segmentor, whose batch statistics never change."""
        super().train(mode)
        self.segmentor.eval()
        return self

    def paint(self, batch: Batch) -> None:
        """Draw y_g; not cut to [-1, 1], where the gradient would be lost."""
        self._y_g = batch.x + self.generators["residual"](batch.x).float()

    def generator_losses(self, batch: Batch, weights: Mapping[str, float]) -> Losses:
        """Every term whose weight is not 0; raises ValueError for a batch without twin and mask."""
        y_g, (twin, mask) = self._painting(), truth(batch)
        weight = mask + BACKGROUND_WEIGHT * (1 - mask)
        terms: dict[str, Callable[[], Tensor]] = {
            "pair_l1": lambda: weighted_l1(y_g, twin, weight),
            "pair_dice": lambda: soft_dice_loss(torch.sigmoid(self.segmentor(y_g).float()), mask),
        }
        return {name: term() for name, term in terms.items() if weights.get(name)}

    def discriminator_samples(self, batch: Batch) -> Samples:  # noqa: ARG002 - of the interface
        """Nothing."""
        return {}

    def _painting(self) -> Tensor:
        return painted(self._y_g)
