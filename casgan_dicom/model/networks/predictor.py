"""M: predicts the vessel latent from the background latent (CAS-GAN's disentangled learning)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

PredictorKind = Literal["conv", "pixel_mlp"]


class Predictor(nn.Module):
    """Map z_bg (B, C, h, w) to z_vess (B, C, h, w).

    "conv": two 3×3 convolutions with InstanceNorm and ReLU, then a linear 1×1 convolution, linear because
    an encoder's latent is not bounded below. "pixel_mlp": the same mapping for each position alone.
    """

    def __init__(self, channels: int, kind: PredictorKind = "conv") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if kind == "conv":
            for _ in range(2):
                layers += [
                    nn.Conv2d(channels, channels, 3, padding=1),
                    nn.InstanceNorm2d(channels),
                    nn.ReLU(inplace=True),
                ]
            layers.append(nn.Conv2d(channels, channels, 1))
        else:
            widths = [channels, 2 * channels, 2 * channels]
            for a, b in pairwise(widths):
                layers += [nn.Conv2d(a, b, 1), nn.ReLU(inplace=True)]
            layers.append(nn.Conv2d(widths[-1], channels, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, z_bg: Tensor) -> Tensor:
        """Predict the vessel latent."""
        z_vess: Tensor = self.layers(z_bg)
        return z_vess
