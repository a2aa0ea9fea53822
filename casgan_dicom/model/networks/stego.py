"""StegoGAN's two generators (Wu et al., CVPR 2024): ResNet-9s that are cut after a residual block.

What only the target domain has is taken out of the features there by a learned mask, and put back at the same
depth of the other generator.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.model.networks.choices import Upsampling
from casgan_dicom.model.networks.resnet import ResnetBlock
from casgan_dicom.model.networks.resnet_generator import ResnetGenerator


class RemovingGenerator(nn.Module):
    """Target to source: features f after `cut` blocks go on as f ⊙ m, m = sigmoid(mask(f)).

    The mask is three c3 convolutions, InstanceNorm and ReLU between them.
    """

    def __init__(
        self, ngf: int = 64, n_blocks: int = 9, cut: int = 9, channels: int = 1, *, upsampling: Upsampling
    ) -> None:
        super().__init__()
        self.net = _generator(ngf, n_blocks, cut, channels, upsampling)
        self.cut = cut
        self.mask = _mask(4 * ngf)

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Translate y (B, channels, H, W), values in [-1, 1], sides multiples of 4.

        Returns
        -------
        image
            (B, channels, H, W) in [-1, 1].
        latent
            What was taken out, f ⊙ (1 - m), (B, 4·ngf, H/4, W/4).
        where
            From where: the largest 1 - m of all channels, (B, 1, H, W) in [0, 1], float32.
        """
        f = self.net.trunk[: self.cut](self.net.stem(y))
        logits = self.mask(f)
        removed = torch.sigmoid(-logits)  # 1 - m, which would lose its last digits where m is almost 1
        image = torch.tanh(self.net.head(self.net.trunk[self.cut :](f * torch.sigmoid(logits))))
        where = removed.amax(1, keepdim=True).float()
        return image, f * removed, F.interpolate(where, scale_factor=4.0, mode="bilinear", align_corners=True)


class AddingGenerator(nn.Module):
    """Source to target: a ResNet-9 that adds a latent to its features after `cut` blocks, if it is given one.

    With `fusion` the latent passes a residual block of its own first.
    """

    def __init__(
        self,
        ngf: int = 64,
        n_blocks: int = 9,
        cut: int = 9,
        channels: int = 1,
        *,
        upsampling: Upsampling,
        fusion: bool = True,
    ) -> None:
        super().__init__()
        self.net = _generator(ngf, n_blocks, cut, channels, upsampling)
        self.cut = cut
        self.fusion = ResnetBlock(4 * ngf) if fusion else nn.Identity()

    def forward(self, x: Tensor, latent: Tensor | None = None) -> Tensor:
        """Translate x (B, channels, H, W) to the same shape in [-1, 1]; without `latent` a plain ResNet-9."""
        h = self.net.trunk[: self.cut](self.net.stem(x))
        if latent is not None:
            h = h + self.fusion(latent)
        return torch.tanh(self.net.head(self.net.trunk[self.cut :](h)))


def _generator(ngf: int, n_blocks: int, cut: int, channels: int, upsampling: Upsampling) -> ResnetGenerator:
    if not 0 <= cut <= n_blocks:
        raise ValueError(f"a cut after {cut} of {n_blocks} residual blocks")
    return ResnetGenerator(ngf, n_blocks, channels, channels, upsampling=upsampling)


def _mask(channels: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(channels, channels, 3, padding=1)]
    for _ in range(2):
        layers += [
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        ]
    return nn.Sequential(*layers)
