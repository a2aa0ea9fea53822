"""The networks of a bundle as engines run them. Each is built of a bundle, in evaluation mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.model.domain.encoder import PooledEncoder
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.networks.reading import PoseLook, TipLook
from casgan_dicom.model.networks.unet import UNet

if TYPE_CHECKING:
    from casgan_dicom.model.bundle.bundle import Bundle


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


def translation_net(bundle: Bundle) -> nn.Module:
    """What draws."""
    return TranslationNet(bundle).eval()


def vessel_net(bundle: Bundle) -> nn.Module:
    """What sees vessels."""
    return VesselNet(bundle.segmentor).eval()


def encoder_net(bundle: Bundle) -> nn.Module:
    """What the kind of a frame is judged by."""
    return PooledEncoder(bundle.segmentor).eval()


def tip_net(bundle: Bundle) -> nn.Module:
    """What finds the catheter, of a bundle of the atlas."""
    return TipLook(bundle.generators).eval()


def pose_net(bundle: Bundle) -> nn.Module:
    """What reads the pose, of a bundle of the atlas."""
    return PoseLook(bundle.generators).eval()
