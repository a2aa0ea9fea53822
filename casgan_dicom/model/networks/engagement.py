"""The network that says whether the catheter in a frame lies in the artery of a given tree.

The first half is the network that finds catheters for the atlas (`TipNet`), as it stands; the second sees its
features beside the tree and pools them over the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.model.networks.reading import TipNet, normed_conv
from casgan_dicom.model.networks.reading_shapes import CELLS

_TREE = 2
"""Channels of the tree on the grid of the features: whether any of it lies in a cell, and how much."""


class EngagementNet(nn.Module):
    """Catheter and tree: do they belong together?"""

    def __init__(self, tip_width: int = 16, width: int = 32) -> None:
        super().__init__()
        self.tip = TipNet(tip_width)
        seen = 2 * tip_width + 4
        self.body = nn.Sequential(
            normed_conv(seen + _TREE, width),
            normed_conv(width, width),
            normed_conv(width, 2 * width, stride=2),  # 32
            normed_conv(2 * width, 2 * width),
            normed_conv(2 * width, 3 * width, stride=2),  # 16
            normed_conv(3 * width, 3 * width),
            normed_conv(3 * width, 4 * width, stride=2),  # 8
            normed_conv(4 * width, 4 * width),
        )
        self.answer = nn.Sequential(nn.Linear(8 * width + 1, 64), nn.ReLU(), nn.Linear(64, 1))

    @torch.no_grad()
    def look(self, frame: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen of the catheter; no gradient reaches `tip`.

        Parameters
        ----------
        frame, mean
            A frame and the mean of its run, display values in [0, 1], (B, 1, 256, 256).

        Returns
        -------
        seen
            (B, 2 · tip_width + 4, 64, 64).
        none
            (B, 1) how sure it is that no tip is in the picture.
        """
        features, deepest = self.tip.features(frame, mean)
        tip, marks = self.tip.answers(features, deepest)
        chances = torch.log_softmax(tip, dim=1)
        heat = chances[:, :-1].reshape(-1, 1, CELLS, CELLS)
        spot = [(heat / 4 + 1).clamp(-2, 2), 10 * heat.exp()]
        shafts = 2 * F.avg_pool2d(torch.sigmoid(marks), 2)
        return torch.cat([features, *spot, shafts], dim=1), chances[:, -1:] / 4

    def forward(self, seen: Tensor, none: Tensor, tree: Tensor) -> Tensor:
        """Compare.

        Parameters
        ----------
        seen, none
            From `look`.
        tree
            The vessels where they would be in the frame, 0 to 1, (B, 1, 128, 128).

        Returns
        -------
        Tensor
            (B,) logit: the catheter lies in the artery of this tree.
        """
        pooled = [2 * F.max_pool2d(tree, 2), 2 * F.avg_pool2d(tree, 2)]
        h = self.body(torch.cat([seen, *pooled], dim=1))
        pooled = [h.mean(dim=(2, 3)), h.amax(dim=(2, 3)), none]
        return torch.as_tensor(self.answer(torch.cat(pooled, dim=1))[:, 0])
