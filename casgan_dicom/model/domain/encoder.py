"""What the encoder of a bundle's segmentor makes of frames, pooled over the picture.

The mean of each channel at each depth, and how far it varies over the picture: the first depths tell of lines
and grain, the last of what is beside what. Every bundle has a segmentor, whatever its method.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from casgan_dicom.model.networks.unet import UNet

_AT_ONCE = 32

Features = npt.NDArray[np.float64]


@torch.no_grad()
def encoded(segmentor: UNet, pictures: npt.NDArray[np.float32]) -> Features:
    """Features (N, D) of pictures (N, S, S) as `view.seen` gives them."""
    device = next(segmentor.parameters()).device
    parts = []
    for start in range(0, len(pictures), _AT_ONCE):
        batch = torch.from_numpy(pictures[start : start + _AT_ONCE]).to(device)[:, None]
        levels = segmentor.encode(batch)
        pooled = [part for h in levels for part in (h.mean(dim=(2, 3)), h.std(dim=(2, 3)))]
        parts.append(torch.cat(pooled, dim=1).double().cpu().numpy())
    return np.concatenate(parts)
