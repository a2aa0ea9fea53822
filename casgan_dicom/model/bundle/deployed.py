"""The networks of a bundle as engines run them, and what each of them depends on."""

from __future__ import annotations

import hashlib
import json

from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.model.bundle.bundle import Bundle
from casgan_dicom.model.methods.registry import BUILT_IN, method_class
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.tables import settings_to_dict


class TranslationNet(nn.Module):
    """The deployed networks of a bundle as one module: x (B, 1, S, S) → (drawn, attention)."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self.nets = bundle.generators
        self.settings = bundle.settings
        self.method = method_class(bundle.settings.method)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict the maps."""
        return self.method.predict_maps(self.nets, self.settings, x)


class VesselNet(nn.Module):
    """The segmentor of a bundle in the form of the networks: x (B, 1, S, S) → (vessel probability, None)."""

    def __init__(self, segmentor: UNet) -> None:
        super().__init__()
        self.segmentor = segmentor
        self.step = 2 ** len(segmentor.up)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """Predict the probability; rows and columns are continued to what the U-Net can halve."""
        height, width = x.shape[2:]
        padded = F.pad(x, (0, -width % self.step, 0, -height % self.step), mode="replicate")
        return self.segmentor.soft_mask(padded)[:, :, :height, :width], None


def translation_identity(bundle: Bundle) -> str:
    """What the values of a bundle's `TranslationNet` depend on; empty where that cannot be told."""
    settings = json.dumps(settings_to_dict(bundle.settings), sort_keys=True)
    return _identity(bundle, bundle.info.weights_sha256, settings)


def vessel_identity(bundle: Bundle) -> str:
    """What the values of a bundle's `VesselNet` depend on; empty where that cannot be told."""
    return _identity(
        bundle, bundle.info.segmentor_sha256, f"U-Net of {bundle.settings.segmentor.base} channels"
    )


def _identity(bundle: Bundle, weights_sha256: str, kind: str) -> str:
    """Weights and their use, by their digests; a method of another package may change and keep its name."""
    if bundle.settings.method not in BUILT_IN or not weights_sha256:
        return ""
    return f"{weights_sha256} {hashlib.sha256(kind.encode()).hexdigest()}"
