"""A U-Net that draws: for batches of one crop and for any size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from casgan_dicom.model.networks.unet import UNet


class InstanceUNet(UNet):
    """`UNet` with InstanceNorm (no parameters, no running statistics) in place of BatchNorm.

    Methods are trained on one crop a step, of which running statistics would learn too little to be used
    afterwards. Sides that cannot be halved `depth` times are continued by their edge and cut off again.
    """

    def __init__(self, base: int = 64, depth: int = 4, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__(base, depth, in_channels, out_channels)
        for parent in list(self.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.BatchNorm2d):
                    setattr(parent, name, nn.InstanceNorm2d(child.num_features))
        self.step = 2**depth

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, in, H, W), sides of at least 2·2**depth, to unbounded values (B, out, H, W)."""
        height, width = image.shape[2:]
        with torch.autocast(image.device.type, enabled=False):
            padded = nn.functional.pad(image, (0, -width % self.step, 0, -height % self.step), "replicate")
        return super().forward(padded)[:, :, :height, :width]
