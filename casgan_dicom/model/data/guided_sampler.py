"""Batches for the guided generator: simulated pairs, varied, and a guide that is a little off.

Each draw is zoomed and shifted with everything that lies in it, and its grey values are bent and squeezed as
displays do, pair and levels alike. Its guide is then bent as an atlas errs: turned, stretched and shifted by
a few pixels, and uneven by one to three. For a share of the draws the guide is another patient's tree before
the same chest, in which nothing can be found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.data.guided import GuidedRuns, depth_of
from casgan_dicom.model.data.normalisation import measure_levels
from casgan_dicom.model.data.posed import FINE
from casgan_dicom.model.data.sampler import CropSampler

CELL = 4
"""Pixels of a cell of the grid that displacements are given on."""
_CELLS = FINE // CELL
_ZOOM = 0.08
"""Standard deviation of the logarithm of the zoom."""
_SHIFT = 0.06
"""Standard deviation of the shift, in half pictures."""
_GAMMA = 0.35
"""Standard deviation of the logarithm of the exponent on display values: runs differ in contrast."""
_LIFT, _DIM = 0.2, 0.2
"""Most that black is lifted and white is dimmed, display values."""


@dataclass(frozen=True)
class Astray:
    """How far a guide is off."""

    shift_px: float = 2.0
    """Standard deviation of its shift, pixels of 256."""
    turn: float = 0.015
    """Standard deviation of each entry of the matrix that turns and stretches it."""
    uneven_px: float = 2.0
    """Standard deviation of what is left, smooth over the picture, pixels."""
    knots: int = 7
    """Points along a side that this is drawn at."""
    another: float = 0.2
    """Share of guides that are another patient's."""


class GuidedSampler(CropSampler):
    """Draws guided pairs; crops of angiograms for the segmentor as `CropSampler` does."""

    def __init__(self, crops: CropSampler, runs: GuidedRuns, astray: Astray = Astray()) -> None:
        super().__init__(crops.x, crops.y, crops.data, crops.normalisation, crops.angiograms)
        self.runs, self.astray = runs, astray
        levels = [
            [measure_levels([frames / np.float32(255)], self.normalisation) for frames in patients]
            for patients in runs.plain
        ]
        self.levels = np.array([[(one.low, one.high) for one in some] for some in levels], np.float32)

    def batch(self, size: int, generator: torch.Generator, *, whole: bool = False) -> Batch:  # noqa: ARG002
        """`size` whole frames x with their twin and mask; y are the contrast frames of other draws.

        The truth, by name: "shown" and "twin_shown" (B, 1, 256, 256), the display values in [0, 1] of x and
        its twin; "levels" (B, 2) of its run; "guide" (B, 1, 256, 256), an optical depth; "own" (B, 1), 1
        where it is the patient's own tree; "off" (B, 2, 64, 64), columns and rows in pixels of 256 by which
        what the guide shows at a place lies farther in the frame.
        """
        index = self._drawn(size, generator)
        own = (torch.rand(size, 1, generator=generator) >= self.astray.another).float()
        guides = self._guides(index, own, generator)
        theta = _drawn_views(size, generator)
        off = self._off(size, generator) * own[:, :, None, None]
        pair = torch.from_numpy(np.stack([self.runs.plain[index], self.runs.contrast[index]], axis=1))
        shown = _moved(pair.float() / 255, theta).clamp(0, 1)
        mask = _moved(torch.from_numpy(self.runs.vessel[index])[:, None].float(), theta)
        guide = _moved(guides, theta, off)
        bend = _drawn_bend(size, generator)
        shown = bend(shown)
        levels = bend(torch.from_numpy(self.levels[index[:2]])[:, None, None])[:, 0, 0]
        x, twin = self._seen(shown, levels).chunk(2, dim=1)
        truth = {
            **{"shown": shown[:, :1], "twin_shown": shown[:, 1:], "levels": levels},
            **{"guide": guide, "own": own, "off": off},
        }
        return Batch(x, self._angiograms(size, generator), twin, mask.round(), truth)

    def _drawn(self, size: int, generator: torch.Generator) -> tuple[np.ndarray, ...]:
        """Background, patient and frame of each draw."""
        shape = self.runs.plain.shape[:3]
        return np.unravel_index(
            torch.randint(int(np.prod(shape)), (size,), generator=generator).numpy(), shape
        )

    def _guides(self, index: tuple[np.ndarray, ...], own: Tensor, generator: torch.Generator) -> Tensor:
        """Depths (B, 1, 256, 256): of the patient, or of the next one before the same background."""
        background, patient, frame = index
        farther = 1 + torch.randint(max(1, self.runs.plain.shape[1] - 1), (len(own),), generator=generator)
        other = (patient + farther.numpy() * (own[:, 0] == 0).numpy()) % self.runs.plain.shape[1]
        return torch.from_numpy(depth_of(self.runs.guide[background, other, frame]))[:, None]

    def _off(self, size: int, generator: torch.Generator) -> Tensor:
        """How far guides are off, (B, 2, 64, 64), pixels."""
        astray = self.astray
        rows = (torch.arange(_CELLS) + 0.5) * CELL - FINE / 2
        place = torch.stack(torch.meshgrid(rows, rows, indexing="xy"))  # (2, 64, 64): column, row
        turn = astray.turn * torch.randn(size, 2, 2, generator=generator)
        shift = astray.shift_px * torch.randn(size, 2, 1, 1, generator=generator)
        knots = astray.uneven_px * torch.randn(size, 2, astray.knots, astray.knots, generator=generator)
        uneven = F.interpolate(knots, size=(_CELLS, _CELLS), mode="bicubic", align_corners=True)
        return torch.einsum("bij,jhw->bihw", turn, place) + shift + uneven

    def _angiograms(self, size: int, generator: torch.Generator) -> Tensor:
        """Frames with contrast of any patients, as network values."""
        index = self._drawn(size, generator)
        frames = torch.from_numpy(self.runs.contrast[index])[:, None].float() / 255
        bend = _drawn_bend(size, generator)
        levels = bend(torch.from_numpy(self.levels[index[:2]])[:, None, None])[:, 0, 0]
        return self._seen(bend(_moved(frames, _drawn_views(size, generator))), levels)

    def _seen(self, shown: Tensor, levels: Tensor) -> Tensor:
        """Network values of display values (B, C, H, W)."""
        low, high = (levels[:, k, None, None, None] for k in (0, 1))
        to = self.normalisation
        return (to.low + (shown - low) * ((to.high - to.low) / (high - low))).clamp(-1, 1)


@dataclass(frozen=True)
class _Bend:
    """Grey values of each draw: v → lift + (white - lift) · v^γ; all (B, 1, 1, 1)."""

    gamma: Tensor
    lift: Tensor
    white: Tensor

    def __call__(self, shown: Tensor) -> Tensor:
        """Bend display values (B, …)."""
        return self.lift + (self.white - self.lift) * shown.clamp(0, 1) ** self.gamma


def _drawn_bend(size: int, generator: torch.Generator) -> _Bend:
    gamma = torch.exp(_GAMMA * torch.randn(size, 1, 1, 1, generator=generator))
    lift = _LIFT * torch.rand(size, 1, 1, 1, generator=generator)
    return _Bend(gamma, lift, 1 - _DIM * torch.rand(size, 1, 1, 1, generator=generator))


def _drawn_views(size: int, generator: torch.Generator) -> Tensor:
    """Zoom and shift of each draw, (B, 3): zoom, column and row in half pictures."""
    normal = torch.randn(size, 3, generator=generator)
    return torch.cat([torch.exp(_ZOOM * normal[:, :1]), _SHIFT * normal[:, 1:]], dim=1)


def _moved(images: Tensor, theta: Tensor, off: Tensor | None = None) -> Tensor:
    """Zoom about the centre, then shift; then take from farther by `off`, pixels of 256."""
    grid = F.affine_grid(torch.eye(2, 3).expand(len(images), 2, 3), list(images.shape), align_corners=False)
    if off is not None:
        fine = F.interpolate(off, size=images.shape[2:], mode="bilinear", align_corners=False)
        grid = grid + fine.permute(0, 2, 3, 1) * (2 / FINE)
    zoom, shift = theta[:, None, None, :1], theta[:, None, None, 1:]
    return F.grid_sample(images, (grid - shift) / zoom, padding_mode="border", align_corners=False)
