"""PatchGAN-70 (Isola et al. 2017): judges each 70×70 patch of an image on its own."""

from __future__ import annotations

from torch import Tensor, nn


class PatchGAN(nn.Module):
    """c4s2-64 (no norm), c4s2-128, c4s2-256, c4s1-512 (InstanceNorm), c4s1-1; LeakyReLU 0.2."""

    def __init__(self, ndf: int = 64, in_channels: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(in_channels, ndf, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        channels = ndf
        for stride in (2, 2, 1):
            layers += [
                nn.Conv2d(channels, 2 * channels, 4, stride=stride, padding=1),
                nn.InstanceNorm2d(2 * channels),
                nn.LeakyReLU(0.2),
            ]
            channels *= 2
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, 1, 4, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        """Score patches: (B, in_channels, 256, 256) → (B, 1, 30, 30), unbounded, high for real."""
        score: Tensor = self.layers(image)
        return score
