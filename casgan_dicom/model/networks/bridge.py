"""The generator of a Schrödinger bridge: it also knows how far on the bridge its input is.

`AntialiasedGenerator` whose residual blocks are conditioned on the step and on a latent z, a draw from
N(0, I): what the same input may become otherwise. The taps are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from casgan_dicom.model.networks.antialias import Features, encoder_stages, run_stages, smooth_head
from casgan_dicom.model.networks.resnet import ReflectConv2d

FIXED_SEED = 0
"""Seed of the latents that translation uses."""


class ConditionedBlock(nn.Module):
    """A residual block whose first norm is scaled and shifted: (1 + scale)·norm(h) + shift."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ReflectConv2d(channels, channels, 3)
        self.second = ReflectConv2d(channels, channels, 3)
        self.norm = nn.InstanceNorm2d(channels)
        self.affine = nn.Linear(channels, 2 * channels)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape; `condition` is (B, C)."""
        scale, shift = self.affine(condition)[:, :, None, None].chunk(2, dim=1)
        inner = torch.relu((1 + scale) * self.norm(self.first(h)) + shift)
        y: Tensor = h + self.norm(self.second(inner))
        return y


class BridgeGenerator(nn.Module):
    """Predict the far end of the bridge from a place on it.

    The condition of the blocks is the sum of two MLPs: of the step, as sines and cosines, and of z.
    """

    fixed_latents: Tensor

    def __init__(self, ngf: int = 64, n_blocks: int = 9, steps: int = 5) -> None:
        super().__init__()
        width = 4 * ngf
        self.width = width
        self.stages = nn.ModuleDict(encoder_stages(ngf, 1))
        for k in range(1, n_blocks + 1):
            self.stages[f"block{k}"] = ConditionedBlock(width)
        self.head = smooth_head(ngf, 1)
        self.step_mlp = _mlp(width)
        self.latent_mlp = _mlp(width)
        # Kept with the weights: another version of torch may draw others from the same seed.
        draws = torch.Generator().manual_seed(FIXED_SEED)
        self.register_buffer("fixed_latents", torch.randn(steps, width, generator=draws, device="cpu"))

    def forward(
        self, image: Tensor, step: int, latent: Tensor, taps: Sequence[str] = (), *, draw: bool = True
    ) -> tuple[Tensor | None, Features]:
        """Draw the far end, and return the features at `taps`.

        Parameters
        ----------
        image
            x_t, (B, 1, H, W), sides multiples of 4.
        step
            Index of t, from 0.
        latent
            z, (B or 1, 4·ngf).
        taps
            Names of stages, see `casgan_dicom.model.networks.antialias`.
        draw
            False stops behind the last tap.

        Returns
        -------
        image
            x_1 given x_t, (B, 1, H, W) in [-1, 1]; None without `draw`.
        features
            Of every tap.
        """
        place = step_code(step, self.width).to(latent)
        condition = self.step_mlp(place) + self.latent_mlp(latent)
        h, kept = run_stages(self.stages, image, taps, draw=draw, condition=condition)
        return torch.tanh(self.head(h)) if draw else None, kept


def step_code(step: int, width: int) -> Tensor:
    """Sines, then cosines, of `step` at `width` / 2 frequencies from 1 down to 1/10,000; (1, width)."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half) * (-math.log(10_000) / max(half - 1, 1)))
    return torch.cat([torch.sin(step * frequencies), torch.cos(step * frequencies)])[None]


def _mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
