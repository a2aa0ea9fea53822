"""The judge of a bundle: frames of a run and a tree in each in, evidence that the catheter lies in it out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from casgan_dicom.model.data.square import to_square
from casgan_dicom.model.networks.engagement import EngagementNet
from casgan_dicom.model.networks.reading_shapes import FINE, GRID

_AT_ONCE = 8
_HALF = 0.5

Frames = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class EngagementJudge:
    """Judges by the network of a bundle."""

    net: EngagementNet
    """In evaluation mode."""
    limit: float
    """Logit that catheters in the other artery hardly ever reach; the network's mean over frames."""

    def __call__(self, frames: Frames, trees: Masks) -> float:
        """Judge frames of one run.

        Parameters
        ----------
        frames
            Display values in [0, 1], (T, H, W), T of 1 or more; spread over the run, whose mean they stand
            for.
        trees
            The vessels of the artery in question where they would be in each, bool (T, H, W).

        Returns
        -------
        float
            Above 0 the catheter is seen in that artery. Below, it lies elsewhere, or is not seen: the two are
            not told apart.
        """
        if not len(frames) or frames.shape != trees.shape:
            raise ValueError(f"{frames.shape} frames and {trees.shape} trees, want as many, one or more")
        fine = torch.from_numpy(np.ascontiguousarray(to_square(frames, FINE)))[:, None]
        squares = torch.from_numpy(np.ascontiguousarray(to_square(trees.astype(np.float32), FINE)))[:, None]
        grid = (F.max_pool2d(squares, FINE // GRID) > _HALF).float()
        mean = fine.mean(dim=0, keepdim=True)
        logits = []
        with torch.inference_mode():
            for start in range(0, len(fine), _AT_ONCE):
                part = fine[start : start + _AT_ONCE]
                seen, none = self.net.look(part, mean.expand_as(part))
                logits.append(self.net(seen, none, grid[start : start + _AT_ONCE]))
        return float(torch.cat(logits).mean()) - self.limit
