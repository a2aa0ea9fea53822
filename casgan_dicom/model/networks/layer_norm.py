"""Layer normalisation over a whole feature map, as the decoders of UNIT and MUNIT use it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MapLayerNorm(nn.Module):
    """γ·(h - mean) / (std + ε) + β, mean and std of a sample over channels, rows and columns together.

    The standard deviation is the unbiased one and ε is added to it, not to the variance (Huang et al. 2018);
    γ and β are per channel, γ drawn from U(0, 1). Statistics are taken in float32, over rows, columns and
    channels one after the other: one float32 sum over a whole map loses digits. They depend on the size of
    the map, so a network should meet in use the size it was trained at.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.rand(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, h: Tensor) -> Tensor:
        """Normalise (B, C, H, W), any float type, to the same shape and type; C·H·W is at least 2."""
        wide = h.float()
        n = h.shape[1] * h.shape[2] * h.shape[3]
        centred = wide - _mean(wide)
        std = torch.sqrt(_mean(centred * centred) * (n / (n - 1)))
        scaled = centred / (std + self.eps) * self.gamma[:, None, None] + self.beta[:, None, None]
        return scaled.to(h.dtype)


def _mean(h: Tensor) -> Tensor:
    """Mean of each sample, (B, 1, 1, 1)."""
    return h.mean(3, keepdim=True).mean(2, keepdim=True).mean(1, keepdim=True)


def init_layer_norms(net: nn.Module, generator: torch.Generator) -> None:
    """Draw every γ of `net` from U(0, 1) and clear every β, in place, reproducibly."""
    for module in net.modules():
        if isinstance(module, MapLayerNorm):
            with torch.no_grad():
                module.gamma.uniform_(0.0, 1.0, generator=generator)
                module.beta.zero_()
