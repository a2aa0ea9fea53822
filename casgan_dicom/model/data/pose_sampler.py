"""Batches for the atlas: frames of simulated patients, varied, with the truth about their pose.

Each draw is zoomed and shifted with everything that lies in it, its grey values are bent, and what a header
may or may not tell (the view, the heart's phase) is given or withheld. Never mirrored: hearts are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from casgan_dicom.model.atlas import targets
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.data.posed import PosedRuns, path_mm
from casgan_dicom.model.data.sampler import CropSampler
from casgan_dicom.model.simulator.motion import contraction

_ZOOM = 0.12
"""Standard deviation of the logarithm of the zoom."""
_SHIFT = 0.09
"""Standard deviation of the shift, in half pictures."""
_GAMMA = 0.3
"""Standard deviation of the logarithm of the exponent on display values."""
_GRAIN = 0.012
"""Largest standard deviation of added noise, display values."""
_ANGLES_SD = 2.0
"""How far a header's angles are off, degrees."""
_PHASE_SD = 0.07
"""How far a contraction from an ECG is off."""


@dataclass(frozen=True)
class Known:
    """How often a header tells."""

    view: float = 0.5
    """Share of draws whose angles are given."""
    phase: float = 0.5
    """Share of draws whose contraction is given."""


class PoseSampler(CropSampler):
    """Draws posed frames; crops of angiograms for the segmentor as `CropSampler` does."""

    def __init__(self, crops: CropSampler, runs: PosedRuns, known: Known = Known()) -> None:
        super().__init__(crops.x, crops.y, crops.data, crops.normalisation, crops.angiograms)
        self.runs, self.known = runs, known

    def batch(self, size: int, generator: torch.Generator, *, whole: bool = False) -> Batch:  # noqa: ARG002
        """`size` frames with the truth about them, by the names in `truth_of`; x is the frame, y its mean."""
        index = torch.randint(len(self.runs.plain), (size,), generator=generator)
        theta = _drawn_views(size, generator)
        frames, maps = _moved(self.runs, index.numpy(), theta)
        curve = torch.exp(_GAMMA * torch.randn(size, 1, 1, 1, generator=generator))
        frames = frames.clamp(0, 1) ** curve
        grain = _GRAIN * torch.rand(size, 1, 1, 1, generator=generator)
        frames = (frames + grain * torch.randn(frames.shape, generator=generator)).clamp(0, 1)
        truth = truth_of(self.runs, index.numpy(), theta) | maps
        truth["told"] = self._told(index.numpy(), generator)
        return Batch(2 * frames[:, :1] - 1, 2 * frames[:, 1:] - 1, truth=truth)

    def _told(self, index: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """What a header tells, (B, 7)."""
        runs, n = self.runs, len(index)
        chance = torch.rand(n, 2, generator=generator).numpy()
        off = torch.randn(n, 3, generator=generator).numpy()
        rows = []
        for k, i in enumerate(index):
            angles = runs.angles[i // runs.frames_each] + _ANGLES_SD * off[k, :2]
            beat = float(contraction(float(runs.phase[i]))) + _PHASE_SD * float(off[k, 2])
            view = (float(angles[0]), float(angles[1])) if chance[k, 0] < self.known.view else None
            rows.append(targets.told(view, beat if chance[k, 1] < self.known.phase else None))
        return torch.from_numpy(np.stack(rows))


def _drawn_views(size: int, generator: torch.Generator) -> Tensor:
    """Zoom and shift of each draw, (B, 3): zoom, column and row in half pictures."""
    normal = torch.randn(size, 3, generator=generator)
    return torch.cat([torch.exp(_ZOOM * normal[:, :1]), _SHIFT * normal[:, 1:]], dim=1)


def _moved(runs: PosedRuns, index: npt.NDArray[np.int64], theta: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Frames and means (B, 2, 256, 256) in [0, 1], and the maps (B, 128, 128), zoomed and shifted."""
    patients = index // runs.frames_each
    frames = torch.from_numpy(np.stack([runs.plain[index], runs.mean[patients]], axis=1)).float() / 255
    truth = np.stack(
        [runs.shaft[index], runs.clutter[index], path_mm(runs.path[index])], axis=1, dtype=np.float32
    )
    maps = _sampled(torch.from_numpy(truth), theta)
    return _sampled(frames, theta), {"shaft": maps[:, 0], "clutter": maps[:, 1], "path": maps[:, 2]}


def _sampled(images: Tensor, theta: Tensor) -> Tensor:
    """Zoom about the centre, then shift; what comes in from outside repeats the border."""
    zoom, shift = theta[:, :1, None], theta[:, 1:, None]
    affine = torch.cat([torch.eye(2) / zoom, -shift / zoom], dim=2)  # out → in
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def truth_of(runs: PosedRuns, index: npt.NDArray[np.int64], theta: Tensor) -> dict[str, Tensor]:
    """What the networks are to say of frames that were zoomed and shifted by `theta`, by its names."""
    patients = index // runs.frames_each
    zoom, shift = theta[:, :1], theta[:, 1:]
    phase = torch.from_numpy(runs.phase[index])
    beat = torch.from_numpy(contraction(runs.phase[index]).astype(np.float32))
    turn = 2 * torch.pi * phase
    tip = torch.from_numpy((runs.tip[index] - 127.5) / 128)
    return {
        "tip": tip * zoom + shift,
        "landmarks": torch.from_numpy(runs.trunks[index]) * zoom[:, None] + shift[:, None],
        "isocentre": torch.from_numpy(runs.isocentre[index]) * zoom + shift,
        "scale": torch.from_numpy(runs.scale[patients])[:, None] + 5 * torch.log(zoom),
        "right": torch.from_numpy(runs.right[patients])[:, None],
        "semi_axes": torch.from_numpy(runs.semi_axes[patients]),
        "apex": torch.from_numpy(runs.apex[patients]),
        "angles": torch.from_numpy(runs.angles[patients]) / 30,
        "phase": torch.stack([beat, torch.cos(turn), torch.sin(turn)], dim=1),
    }
