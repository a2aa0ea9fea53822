"""F of contrastive translation (Park et al., ECCV 2020): features of patches to points on a sphere."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class PatchFeatures(nn.Module):
    """A two-layer MLP (C, width, width; ReLU between) for each tapped layer, then length 1.

    Its sizes come from the widths of the taps, so it is there before the first image is.
    """

    def __init__(self, widths: Mapping[str, int], width: int = 256) -> None:
        super().__init__()
        self.mlps = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(channels, width), nn.ReLU(inplace=True), nn.Linear(width, width)
                )
                for name, channels in widths.items()
            }
        )

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # else compiled anew for each name; no gain
    def forward(self, name: str, patches: Tensor) -> Tensor:
        """Map patches of layer `name`, (B, N, C), to (B, N, width), each of length 1.

        Always in float32: the vectors are compared at a low temperature, which bf16 has too few digits for.
        """
        with torch.autocast(patches.device.type, enabled=False):
            points: Tensor = self.mlps[name](patches.float())
            # Added, not the larger of both: a vector of zeros then has a gradient.
            sphere: Tensor = points / (points.norm(dim=-1, keepdim=True) + 1e-7)
            return sphere
