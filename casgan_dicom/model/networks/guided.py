"""What the guided generator sees of a guide, how it corrects it, and the dye in a frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.model.networks.resnet import ReflectConv2d, downsampling_stem, residual_trunk

CELL = 4
"""Pixels between two values of a correction, before it is brought to the frame's size."""
REACH_PX = 5.0
"""Farthest that a guide is moved, pixels of what the networks see."""
_MOST = 1.0
"""Greatest natural logarithm of the factor on a guide's depth, up and down."""
_SMOOTH = 5
"""Cells of the mean that a correction is smoothed by: a vessel is moved and shaded as a whole."""
_LOOK = 3
"""What is known of a run's grey values."""
_BLACK = 0.02
"""Display value below which the logarithm says nothing more."""
_COARSE = 2
"""Pixels that are compared as one."""
_STEPS = (-2, -1, 0, 1, 2)
"""So many times `_COARSE` pixels, along rows and columns, a guide is tried at."""
_TRIES = len(_STEPS) ** 2
_SHARP_PX = 15
"""Rows and columns of the mean that dark lines stand out from."""
_AROUND = 21
"""Cells of the window in which a guide is compared with a frame."""
_FAINT = 1e-3
"""Mean square of a guide below which there is nothing to compare."""


class GuideEncoder(nn.Module):
    """E_T: a frame and its guide beside each other, both (B, 1, H, W), to a code (B, 4·ngf, H/4, W/4).

    Part of the code is how well the guide fits the dark lines of the frame, as it is and moved a little.
    """

    def __init__(self, ngf: int) -> None:
        super().__init__()
        self.stem = downsampling_stem(ngf, 2)
        self.fit = nn.Conv2d(_TRIES, 4 * ngf, 1)

    def forward(self, x: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        """The code, and the fits (B, 25, H/4, W/4) as `fits` gives them."""
        found = fits(x, depth)
        return self.stem(torch.cat([x, depth], dim=1)) + self.fit(found), found


@torch.no_grad()
def fits(x: Tensor, depth: Tensor) -> Tensor:
    """How dark a frame is where a guide that is moved by each step would have vessels.

    A cost volume (Sun et al., PWC-Net, CVPR 2018) over cells of four pixels: the local high-pass of x times
    the guide, averaged around a cell, over the root mean squares of both; (B, 25, H/4, W/4), mean 0 over the
    steps.
    """
    x, depth = x.float(), depth.float()
    dark = _mean(x, _SHARP_PX) - x
    dark = dark / dark.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-3)
    dark, depth = (F.avg_pool2d(images, _COARSE) for images in (dark.clamp(-4, 4), depth))
    most, rows, columns = max(_STEPS), *dark.shape[2:]
    wide = F.pad(depth, (most,) * 4, mode="replicate")
    moved = [
        wide[:, :, most + down : most + down + rows, most + right : most + right + columns]
        for down in _STEPS
        for right in _STEPS
    ]
    scores = _around(dark * torch.cat(moved, dim=1)) / (_around(depth.square()) + _FAINT).sqrt()
    return 4 * (scores - scores.mean(dim=1, keepdim=True))


def _around(images: Tensor) -> Tensor:
    return _mean(F.avg_pool2d(images, CELL // _COARSE), _AROUND)


def _mean(images: Tensor, side: int) -> Tensor:
    """Mean of a square of odd `side` around each value, of what lies in the image."""
    for window in ((side, 1), (1, side)):
        padding = (window[0] // 2, window[1] // 2)
        images = F.avg_pool2d(images, window, 1, padding, count_include_pad=False)
    return images


class GuidedDecoder(nn.Module):
    """G_Vess^Attn and G_Vess^Ctx of a guided generator: a latent (B, 4·ngf, h, w) to a correction.

    Both share their residual blocks. The last layers begin at 0, see `clear`: no correction at all.
    """

    def __init__(self, ngf: int, n_blocks: int) -> None:
        super().__init__()
        self.trunk = residual_trunk(4 * ngf, n_blocks)
        self.attention = ReflectConv2d(4 * ngf + _TRIES, 2, 3)
        self.context = ReflectConv2d(4 * ngf, 1, 3)
        self.look = nn.Sequential(nn.Linear(_LOOK, ngf), nn.ReLU(), nn.Linear(ngf, 1))

    def forward(self, z: Tensor, found: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Correct a guide.

        Parameters
        ----------
        z
            The vessel code.
        found
            What `fits` found.
        levels
            (B, 2) the two display values of the run that its normalisation fixes.

        Returns
        -------
        off
            (B, 2, h, w) columns and rows in pixels by which a vessel is taken from farther in the guide, each
            within `REACH_PX`.
        gain
            (B, 1, h, w) natural logarithm of the factor on its depth.
        """
        shared = self.trunk(z)
        low, high = levels.float().clamp_min(_BLACK).chunk(2, dim=1)
        look: Tensor = self.look(torch.cat([low, high, torch.log(high / low)], dim=1))
        off = REACH_PX * torch.tanh(_mean(self.attention(torch.cat([shared, found], dim=1)).float(), _SMOOTH))
        return off, _MOST * torch.tanh(_mean(self.context(shared).float(), _SMOOTH) + look[:, :, None, None])

    def clear(self) -> None:
        """Set the last layers to 0."""
        for layer in (self.attention.conv, self.context.conv, self.look[-1]):
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


def corrected(depth: Tensor, off: Tensor, gain: Tensor) -> Tensor:
    """T' = T(p + off) · exp(gain), of depth (B, 1, H, W), pixels (B, 2, H, W) and gain (B, 1, H, W).

    At the border of the picture, vessels go on as they left it.
    """
    rows, columns = depth.shape[2:]
    base = F.affine_grid(
        torch.eye(2, 3, device=depth.device).expand(len(depth), 2, 3), list(depth.shape), align_corners=False
    )
    per_px = off.new_tensor([2 / columns, 2 / rows])
    grid = base + off.permute(0, 2, 3, 1) * per_px
    moved = F.grid_sample(depth, grid, padding_mode="border", align_corners=False)
    return moved * torch.exp(gain)


def enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (B, C, h, w) interpolated to `size`."""
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def dyed(shown: Tensor, depth: Tensor, grain_px: int, grain_most: float) -> Tensor:
    """What `drawing.darkened` does to display values, with gradients; all (B, 1, H, W)."""
    around = F.pad(shown, (grain_px // 2,) * 4, mode="replicate")
    above = shown - F.avg_pool2d(around, grain_px, 1)
    grain = above.clamp(-shown.clamp_max(grain_most), torch.full_like(shown, grain_most))
    left = torch.exp(-depth)
    return shown * left + grain * (torch.exp(-depth / 2) - left)
