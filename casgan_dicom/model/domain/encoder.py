"""What the encoder of a bundle's segmentor makes of frames, pooled over the picture.

The mean of each channel at each depth, and how far it varies over the picture: the first depths tell of lines
and grain, the last of what is beside what. Every bundle has a segmentor, whatever its method.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from casgan_dicom.model.networks.unet import UNet

_AT_ONCE = 32

Features = npt.NDArray[np.float64]


class PooledEncoder(nn.Module):
    """x (B, 1, S, S) as `view.seen` gives it to features (B, D)."""

    def __init__(self, segmentor: UNet) -> None:
        super().__init__()
        self.segmentor = segmentor

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Predict them."""
        pooled = [part for h in self.segmentor.encode(x) for part in _pooled(h)]
        return (torch.cat(pooled, dim=1),)


def _pooled(h: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each map."""
    mean = h.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True)
    places = h.shape[2] * h.shape[3]
    variance = (h - mean).square().sum(dim=3).sum(dim=2) / (places - 1)
    return mean[:, :, 0, 0], variance.sqrt()


@torch.no_grad()
def encoded(segmentor: UNet, pictures: npt.NDArray[np.float32]) -> Features:
    """Features (N, D) of pictures (N, S, S) as `view.seen` gives them."""
    encoder, device = PooledEncoder(segmentor), next(segmentor.parameters()).device
    parts = []
    for start in range(0, len(pictures), _AT_ONCE):
        batch = torch.from_numpy(pictures[start : start + _AT_ONCE]).to(device)[:, None]
        parts.append(encoder(batch)[0].double().cpu().numpy())
    return np.concatenate(parts)
