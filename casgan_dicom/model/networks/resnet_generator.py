"""ResNet-9, the generator of CycleGAN (Zhu et al., ICCV 2017) and of the methods that build on it.

Three parts in a row, so that a method may look or cut between them: `stem` (image to features at a quarter of
the size), `trunk` (residual blocks, an `nn.Sequential` of equal shapes) and `head` (features to values before
the tanh).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from casgan_dicom.model.networks.choices import Upsampling
from casgan_dicom.model.networks.resnet import downsampling_stem, residual_trunk, upsampling_head


class ResnetGenerator(nn.Module):
    """c7s1-64, c3s2-128, c3s2-256, `n_blocks` residual blocks, twice the size two times, c7s1, tanh.

    InstanceNorm without parameters after every convolution but the last, all of them with a bias.
    """

    def __init__(
        self,
        ngf: int = 64,
        n_blocks: int = 9,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        upsampling: Upsampling = "transpose",
    ) -> None:
        super().__init__()
        self.stem = downsampling_stem(ngf, in_channels)
        self.trunk = residual_trunk(4 * ngf, n_blocks)
        self.head = upsampling_head(ngf, out_channels, upsampling)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H, W), values in [-1, 1], sides multiples of 4."""
        return torch.tanh(self.head(self.trunk(self.stem(image))))
