"""Tiny settings and made-up frames for tests of training."""

from __future__ import annotations

import csv
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.data.frames import FrameSet
from casgan_dicom.model.data.guided import GuidedRuns
from casgan_dicom.model.data.guided_sampler import GuidedSampler
from casgan_dicom.model.data.pose_sampler import PoseSampler
from casgan_dicom.model.data.posed import PosedRuns
from casgan_dicom.model.data.sampler import CropSampler
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.tables import settings_from_dict

FLOAT32 = ["optim.amp=false", "sample_steps=100"]
"""What a run of the smoke preset is to be compared with another for: full precision, no pictures."""
WEIGHTS: Mapping[str, float] = {
    **{"pred": 1, "gan_x": 1, "gan_y": 1, "gan_sem": 1},
    **{"cyc_img": 10, "cyc_lat": 1, "rec": 10, "idt": 5},
}
"""Every unpaired term of every switch."""

TINY: Mapping[str, Mapping[str, object]] = {
    "net": {"ngf": 4, "ndf": 4, "n_blocks": 1},
    "segmentor": {"base": 4, "steps": 2, "batch": 2},
    "data": {"frame_size": 64, "crop": 64, "flip": True},
    "optim": {"steps": 2, "decay_steps": 1, "batch": 2, "amp": False, "pool": 3},
    "weights": WEIGHTS,
}


def tiny_settings(overrides: Mapping[str, Mapping[str, object]] = {}, **top: object) -> TrainSettings:
    """64 px, four filters, two steps, float32; `overrides` change keys of a table, `top` the keys above."""
    tables: dict[str, Any] = {name: {**table, **overrides.get(name, {})} for name, table in TINY.items()}
    rest = {name: table for name, table in overrides.items() if name not in TINY}
    return settings_from_dict({"log_steps": 1, "sample_steps": 100, **top, **tables, **rest})


def made_up_frames(seed: int, n: int = 4, side: int = 80, *, contrast: bool) -> FrameSet:
    """Smooth random frames; a dark stripe as vessel on angiograms and on the twins of the other domain."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0.3, 0.9, (n, side // 8, side // 8))
    plain = np.kron(coarse, np.ones((8, 8))) + rng.normal(0, 0.01, (n, side, side))
    masks = np.zeros((n, side, side), dtype=bool)
    for k in range(n):
        left = int(rng.integers(10, side - 16))
        masks[k, :, left : left + 6] = True
    dark = np.where(masks, 0.4 * plain, plain)
    stored, twins = (np.rint(np.clip(f, 0, 1) * 65535).astype(np.uint16) for f in (plain, dark))
    levels = np.tile(np.array([0.35, 0.85], np.float32), (n, 1))
    if contrast:
        return FrameSet(twins, levels, None, masks)
    return FrameSet(stored, levels, twins, masks)


def made_up_poses(seed: int = 1, patients: int = 2, frames: int = 2) -> PosedRuns:
    """Frames of noise with made-up truth: one patient of each artery, one frame without a tip."""
    rng = np.random.default_rng(seed)
    n = patients * frames
    plain = rng.integers(0, 256, (n, 256, 256), dtype=np.uint8)
    tip = rng.uniform(40, 200, (n, 2)).astype(np.float32)
    tip[-1] = np.nan

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    return PosedRuns(
        plain=plain,
        mean=plain[::frames],
        shaft=rng.random((n, 128, 128)) < 0.1,
        clutter=rng.random((n, 128, 128)) < 0.1,
        path=rng.integers(0, 40, (n, 128, 128), dtype=np.uint8),
        tip=tip,
        trunks=drawn(n, 10, 2),
        right=(np.arange(patients) % 2).astype(np.float32),
        angles=np.float32(30) * drawn(patients, 2),
        phase=rng.random(n).astype(np.float32),
        isocentre=drawn(n, 2),
        scale=drawn(patients),
        semi_axes=drawn(patients, 3),
        apex=drawn(patients, 3),
    )


def made_up_guides(seed: int = 1, backgrounds: int = 2, patients: int = 2, frames: int = 2) -> GuidedRuns:
    """Smooth backgrounds; a dark bar as vessel at a place of each patient's own, and a guide on it."""
    rng = np.random.default_rng(seed)
    shape = (backgrounds, patients, frames, 256, 256)
    coarse = rng.integers(90, 220, (backgrounds, 1, 1, 8, 8))
    plain = np.broadcast_to(np.kron(coarse, np.ones((32, 32))), shape).astype(np.uint8)
    vessel = np.zeros(shape, dtype=np.bool_)
    for place in np.ndindex(shape[:2]):
        row, column = rng.integers(70, 170, 2)
        vessel[place][:, row : row + 8] = vessel[place][:, :, column : column + 8] = True
    contrast = np.where(vessel, 0.7 * plain, plain).astype(np.uint8)
    return GuidedRuns(plain, contrast, np.where(vessel, np.uint8(150), np.uint8(0)), vessel)


def tiny_sampler(settings: TrainSettings) -> CropSampler:
    """Crops of made-up frames, always the same ones; poses or guides for a method that learns from them."""
    x, y = (made_up_frames(seed, contrast=contrast) for seed, contrast in ((1, False), (2, True)))
    crops = CropSampler(x, y, settings.data, settings.normalisation)
    method = method_class(settings.method)
    if method.guided:
        return GuidedSampler(crops, made_up_guides())
    return PoseSampler(crops, made_up_poses()) if method.posed else crops


class StopsAt(CropSampler):
    """Sends this process a SIGTERM while it draws the batch of one step."""

    def __init__(self, settings: TrainSettings, step: int, number: int = signal.SIGTERM) -> None:
        self.ours = tiny_sampler(settings)
        super().__init__(self.ours.x, self.ours.y, self.ours.data, self.ours.normalisation)
        self.left, self.number = step, number

    def batch(self, size: int, generator: torch.Generator, *, whole: bool = False) -> Batch:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(self.number)
        return self.ours.batch(size, generator, whole=whole)


def rows(run: Path) -> list[dict[str, str]]:
    """The rows of a run's metrics.csv."""
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def figures(run: Path) -> list[dict[str, float]]:
    """The same as numbers."""
    return [{name: float(value) for name, value in row.items()} for row in rows(run)]


def same(a: object, b: object) -> bool:
    """Whether two checkpoints are equal, bit for bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    return a == b
