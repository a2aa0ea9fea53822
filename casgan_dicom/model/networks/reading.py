"""The two networks that read a frame for the atlas: where the catheter's tip is, and how the heart lies.

Both are residual convolutional networks with group norm (Wu and He, ECCV 2018) and a decoder with skip
connections (Ronneberger et al., MICCAI 2015); the header's view and the heart's phase enter the second one as
scale and shift of its features (FiLM; Perez et al., AAAI 2018), and are dropped at random in training.

Frames are display values in [0, 1], (B, 1, `FINE`, `FINE`), dark where much is in the beam. What a network
sees of them is made here, so that training and use cannot differ: grey values about the median, and the local
high-pass of their logarithm, in which a catheter looks alike before lung and spine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.model.networks.reading_shapes import CELLS, FINE, GRID, LANDMARKS, POSE_PARTS, TOLD

_LATENT = 64
_DARKEST = 0.03
"""Display value below which the logarithm says nothing more."""


@dataclass(frozen=True)
class Found:
    """What the tip network says of a batch, and what the pose network sees of it."""

    tip: Tensor
    """Logits (B, 4097)."""
    marks: Tensor
    """Logits (B, 2, 128, 128) of shaft and clutter."""
    seen: Tensor
    """(B, 5, 128, 128), see `pose_input`."""


@dataclass(frozen=True)
class Reading:
    """What the networks say of a batch."""

    tip: Tensor
    """Logits (B, 4097)."""
    marks: Tensor
    """Logits (B, 2, 128, 128) of shaft and clutter."""
    pose: Mapping[str, Tensor]
    """By the names of `POSE_PARTS`."""
    maps: Tensor
    """Logits (B, 2, 128, 128) of vessel and depth."""


class Residual(nn.Module):
    """Two convolutions of 3 × 3 beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            _norm(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            _norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return F.relu(x + self.body(x))


class _Up(nn.Module):
    """Twice as large, joined with what the encoder saw at that size."""

    def __init__(self, channels: int, skipped: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels + skipped, out, 3, padding=1, bias=False)
        self.norm = _norm(out)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        larger = F.interpolate(x, scale_factor=2, mode="nearest")
        return F.relu(self.norm(self.conv(torch.cat([larger, skip], dim=1))))


class TipNet(nn.Module):
    """Finds the catheter's tip, its shaft, and what looks like it and is none."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(
            nn.Conv2d(5, w, 5, stride=2, padding=2, bias=False), _norm(w), nn.ReLU(inplace=True)
        )  # 128
        self.down1, self.body1 = _down(w, 2 * w), Residual(2 * w)  # 64
        self.down2, self.body2 = _down(2 * w, 3 * w), nn.Sequential(Residual(3 * w), Residual(3 * w))  # 32
        wide, widest = 9 * w // 2, 6 * w
        self.down3, self.body3 = _down(3 * w, wide), nn.Sequential(Residual(wide), Residual(wide))  # 16
        self.down4, self.body4 = _down(wide, widest), nn.Sequential(Residual(widest), Residual(widest))  # 8
        self.up3, self.mid3 = _Up(widest, wide, wide), Residual(wide)
        self.up2, self.mid2 = _Up(wide, 3 * w, 3 * w), Residual(3 * w)
        self.up1 = _Up(3 * w, 2 * w, 2 * w)
        self.heat = nn.Conv2d(2 * w, 1, 3, padding=1)
        self.none = nn.Linear(widest, 1)
        self.maps = nn.Conv2d(2 * w, 8, 3, padding=1)

    def forward(self, frame: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Look for the tip in a frame, beside the mean of its run.

        Parameters
        ----------
        frame, mean
            Display values in [0, 1], (B, 1, 256, 256).

        Returns
        -------
        tip
            Logits (B, 64 · 64 + 1): the tip lies in that cell, row by row; the last: no tip is seen.
        maps
            Logits (B, 2, 128, 128) of catheter shaft, and of wires, leads and clips.
        """
        return self.answers(*self.features(frame, mean))

    def answers(self, features: Tensor, deepest: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` says, read from what `features` gives."""
        none = self.none(deepest.mean(dim=(2, 3)))
        tip = torch.cat([self.heat(features).flatten(1), none], dim=1)
        return tip.float(), F.pixel_shuffle(self.maps(features), 2).float()

    def features(self, frame: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """What both answers are read from: (B, 2 · width, 64, 64) and, deepest, (B, 6 · width, 8, 8)."""
        with torch.autocast(frame.device.type, enabled=False):
            lines = _lines(frame, mean)
        f0 = self.stem(lines)
        f1 = self.body1(self.down1(f0))
        f2 = self.body2(self.down2(f1))
        f3 = self.body3(self.down3(f2))
        f4 = self.body4(self.down4(f3))
        return self.up1(self.mid2(self.up2(self.mid3(self.up3(f4, f3)), f2)), f1), f4


class PoseNet(nn.Module):
    """Reads pose, artery and landmarks, and where a vessel would be seen."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(
            nn.Conv2d(5, w, 5, stride=2, padding=2, bias=False), _norm(w), nn.ReLU(inplace=True)
        )  # 64
        self.body1 = Residual(w)
        self.down2, self.body2 = _down(w, 2 * w), nn.Sequential(Residual(2 * w), Residual(2 * w))  # 32
        self.down3, self.body3 = _down(2 * w, 4 * w), nn.Sequential(Residual(4 * w), Residual(4 * w))  # 16
        self.down4, self.body4 = _down(4 * w, 6 * w), nn.Sequential(Residual(6 * w), Residual(6 * w))  # 8
        self.film = nn.Sequential(nn.Linear(TOLD, _LATENT), nn.ReLU(), nn.Linear(_LATENT, 20 * w))
        self.told = nn.Linear(TOLD, _LATENT)
        self.squeeze = nn.Conv2d(6 * w, 24, 1)
        self.hidden = nn.Linear(24 * (GRID // 16) ** 2 + _LATENT, 256)
        self.vector = nn.Linear(256, sum(length for _, length in POSE_PARTS))
        self.back = nn.Linear(256, 6 * w)
        self.up3, self.up2, self.up1 = _Up(6 * w, 4 * w, 64), _Up(64, 2 * w, 32), _Up(32, w, 16)
        self.maps = nn.Conv2d(16, 8, 3, padding=1)

    def forward(self, seen: Tensor, told: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Read the pose.

        Parameters
        ----------
        seen
            From `pose_input`, (B, 5, 128, 128).
        told
            View and phase as far as they are known, (B, 7), zeros where they are not; see `TOLD`.

        Returns
        -------
        vector
            By the names of `POSE_PARTS`, float32: logit of the right artery (B, 1); landmarks (B, 2, L, 2) in
            half pictures from the centre and the logarithm of their Laplace scales (B, 2, L); contraction,
            cosine and sine of the phase (B, 3); the rest (B, n) in the units of `model/atlas/targets.py`.
        maps
            (B, 2, 128, 128): logit of a vessel, and what `optical_depth` makes a line integral of.
        """
        f1 = self.body1(self.stem(seen))
        f2 = self.body2(self.down2(f1))
        f3 = self.down3(f2)
        c3, c4 = f3.shape[1], self.squeeze.in_channels
        scale3, shift3, scale4, shift4 = torch.split(self.film(told)[..., None, None], [c3, c3, c4, c4], 1)
        f3 = self.body3(f3 * (1 + scale3) + shift3)
        f4 = self.body4(self.down4(f3) * (1 + scale4) + shift4)
        flat = torch.cat([F.relu(self.squeeze(f4)).flatten(1), F.relu(self.told(told))], dim=1)
        hidden = F.relu(self.hidden(flat))
        u = self.up1(self.up2(self.up3(f4 + self.back(hidden)[:, :, None, None], f3), f2), f1)
        return self._named(self.vector(hidden).float()), F.pixel_shuffle(self.maps(u), 2).float()

    def _named(self, vector: Tensor) -> dict[str, Tensor]:
        parts = torch.split(vector, [length for _, length in POSE_PARTS], dim=1)
        named = dict(zip((name for name, _ in POSE_PARTS), parts, strict=True))
        named["landmarks"] = named["landmarks"].reshape(-1, 2, LANDMARKS, 2)
        named["log_spread"] = named["log_spread"].reshape(-1, 2, LANDMARKS).clamp(-5, 2)
        return named


def read_frames(
    nets: nn.ModuleDict, frame: Tensor, mean: Tensor, told: Tensor, tip_kept: Tensor | None = None
) -> Reading:
    """Read frames beside the mean of their run.

    Parameters
    ----------
    nets
        "tip" and "pose".
    frame, mean
        Display values in [0, 1], (B, 1, 256, 256).
    told
        What is known of view and phase, (B, 7), zeros where it is not; see `TOLD`.
    tip_kept
        (B, 1, 1, 1), 0 where the pose network is not told what the tip network found; None tells it always.
    """
    return read_pose(nets, find_tip(nets, frame, mean, tip_kept), told)


def find_tip(nets: nn.ModuleDict, frame: Tensor, mean: Tensor, tip_kept: Tensor | None = None) -> Found:
    """The first half of `read_frames`, which needs nothing that is known of the view."""
    tip, marks = nets["tip"](frame, mean)
    with torch.autocast(frame.device.type, enabled=False):
        seen = pose_input(frame, mean, tip, marks)
        if tip_kept is not None:
            seen = torch.cat([seen[:, :3], seen[:, 3:] * tip_kept], dim=1)
    return Found(tip, marks, seen)


def read_pose(nets: nn.ModuleDict, found: Found, told: Tensor) -> Reading:
    """The second half of `read_frames`; it can be told another thing of the same frames."""
    pose, maps = nets["pose"](found.seen, told)
    return Reading(found.tip, found.marks, pose, maps)


class TipLook(nn.Module):
    """`find_tip` as a graph: (frame, mean) to (tip, marks, seen), see `Found`."""

    def __init__(self, nets: nn.ModuleDict) -> None:
        super().__init__()
        self.nets = nn.ModuleDict({"tip": nets["tip"]})

    def forward(self, frame: Tensor, mean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look at frames (B, 1, 256, 256) beside the mean of their run, of the same shape."""
        found = find_tip(self.nets, frame, mean)
        return found.tip, found.marks, found.seen


class PoseLook(nn.Module):
    """`read_pose` as a graph: (seen, told) to the parts of the pose, in order, then the maps."""

    def __init__(self, nets: nn.ModuleDict) -> None:
        super().__init__()
        self.pose = nets["pose"]

    def forward(self, seen: Tensor, told: Tensor) -> tuple[Tensor, ...]:
        """Read what `TipLook` saw, (B, 5, 128, 128), told (B, 7)."""
        pose, maps = self.pose(seen, told)
        return (*(pose[name] for name, _ in POSE_PARTS), maps)


def pose_input(frame: Tensor, mean: Tensor, tip: Tensor, maps: Tensor) -> Tensor:
    """What the pose network sees, (B, 5, 128, 128): grey values, and what the tip network found.

    `frame` and `mean` are (B, 1, 256, 256) in [0, 1]; `tip` and `maps` are the logits of `TipNet`, which get
    no gradient from here.
    """
    small, small_mean = (F.avg_pool2d(image, FINE // GRID) for image in (frame, mean))
    now, usual = _grey(small, small_mean), _grey(small_mean, small_mean)
    heat = torch.softmax(tip.detach(), dim=1)[:, :-1].reshape(-1, 1, CELLS, CELLS)
    spot = F.interpolate((9 * F.avg_pool2d(heat, 3, 1, 1)).clamp(max=1), scale_factor=GRID // CELLS)
    shaft = torch.sigmoid(maps[:, :1].detach())
    return torch.cat([now, usual, (4 * (now - usual)).clamp(-3, 3), 2 * spot, 2 * shaft], dim=1)


def optical_depth(logit: Tensor) -> Tensor:
    """Line integral of contrast agent of the second map of `PoseNet`, not negative."""
    return F.softplus(logit - 3)


def _lines(frame: Tensor, mean: Tensor) -> Tensor:
    """The five channels of the tip network, (B, 5, 256, 256)."""
    logs, usual = (torch.log(image.clamp(_DARKEST, 1)) for image in (frame, mean))
    fine, fine_usual = (10 * _high_pass(image, 4, 2.25) for image in (logs, usual))
    return torch.cat(
        [
            _grey(frame, frame),
            fine.clamp(-5, 5),
            fine_usual.clamp(-5, 5),
            (4 * _high_pass(logs, 8, 3.5)).clamp(-4, 4),
            (1.5 * (fine - fine_usual)).clamp(-4, 4),
        ],
        dim=1,
    )


def _grey(image: Tensor, reference: Tensor) -> Tensor:
    """`image` on the scale of the brighter part of `reference`, where no blade is black; within ±2.5."""
    ordered = reference[:, 0, ::4, ::4].flatten(1).sort(dim=1).values
    low, middle, high = (ordered[:, int(q * (ordered.shape[1] - 1))] for q in (0.4, 0.65, 0.9))
    spread = (high - low).clamp(min=0.03)
    return ((image - middle[:, None, None, None]) / spread[:, None, None, None]).clamp(-2.5, 2.5)


def _high_pass(image: Tensor, pool: int, sigma: float) -> Tensor:
    """`image` less a Gaussian mean of `pool` · `sigma` pixels."""
    reach = math.ceil(2.5 * sigma)
    at = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = kernel / kernel.sum()
    coarse = F.pad(F.avg_pool2d(image, pool), (reach,) * 4, mode="replicate")
    mean = F.conv2d(F.conv2d(coarse, kernel[None, None, :, None]), kernel[None, None, None, :])
    return image - F.interpolate(mean, scale_factor=pool, mode="bilinear", align_corners=False)


def normed_conv(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    """A convolution of 3 × 3 with group norm."""
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False), _norm(out), nn.ReLU(inplace=True)
    )


def _down(channels: int, out: int) -> nn.Sequential:
    """Half the size."""
    return normed_conv(channels, out, stride=2)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(channels, 8), channels)
