"""The evaluation's own networks, trained once and kept: no generator was trained with them.

Other patients, another seed, another width than the segmentor that a generator's loss looked through.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from casgan_dicom.model.data.normalisation import Levels, measure_levels, to_network
from casgan_dicom.model.data.rendering import Purpose, SimulatedData, digest_with_simulator
from casgan_dicom.model.data.sampler import CropSampler
from casgan_dicom.model.data.simulated import angiograms, pairs
from casgan_dicom.model.evaluation.protocol import NORMALISATION, Protocol
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import DataSettings
from casgan_dicom.model.training.segmentor import load_unet, save_unet, train_unet

FILLED_CUE = 1.0
"""Trace of the arteries in the segmentor's frames, whatever the input has: all of them are filled."""

Frames = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]
Log = Callable[[str], None]


@dataclass(frozen=True)
class Judges:
    """The evaluation's own networks."""

    segmentor: UNet
    """Finds vessels in every row's frames."""
    oracle: UNet
    """Guesses vessels from frames without contrast."""
    files: Mapping[str, str]
    """Names of their files, and the SHA-256 of each."""

    @classmethod
    def train(cls, data: SimulatedData, protocol: Protocol, folder: Path, log: Log) -> Judges:
        """Train both, or load what an earlier evaluation of the same data and protocol left in `folder`."""
        own = protocol.data(protocol.training_runs)
        filled = replace(own, cue=FILLED_CUE)
        segmentor = _Lesson(
            "evaluation segmentor", protocol.segmentor_base, protocol.steps, batch=4, whole=False
        )
        oracle = _Lesson("oracle", protocol.oracle_base, 2 * protocol.steps, batch=2, whole=True)
        lessons = ((segmentor, filled), (oracle, own))
        paths = [_train(lesson, data, frames, folder, log) for lesson, frames in lessons]
        nets = UNet(segmentor.base), UNet(oracle.base)
        for net, path in zip(nets, paths, strict=True):
            load_unet(net, path)
        return cls(*nets, {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths})


@dataclass(frozen=True)
class _Lesson:
    """How one judge is trained."""

    purpose: Purpose
    """Whose frames it learns from."""
    base: int
    """Width of its U-Net."""
    steps: int
    """Training steps."""
    batch: int
    """Images per step."""
    whole: bool
    """Whole frames instead of crops."""


def _train(lesson: _Lesson, data: SimulatedData, own: DataSettings, folder: Path, log: Log) -> Path:
    """Train one judge, unless an earlier evaluation of the same lesson left its file; returns the file."""
    key = digest_with_simulator(data.seed, data.name, data.anatomy, own, lesson)
    path = folder / f"{lesson.purpose.split()[-1]}-{key}.safetensors"
    if path.is_file():
        return path
    torch.manual_seed(lesson.base)
    net = UNet(lesson.base)
    frames = pairs if lesson.purpose == "oracle" else angiograms
    labelled = frames(data, lesson.purpose, own, NORMALISATION)
    sampler = CropSampler(labelled, labelled, own, NORMALISATION)
    draws = torch.Generator().manual_seed(1)
    train_unet(
        net,
        lambda: sampler.labelled(lesson.batch, draws, whole=lesson.whole),
        steps=lesson.steps,
        lr=1e-3,
        log=lambda step, loss: log(f"{path.stem} step {step}: loss {loss:.3f}"),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    save_unet(net, path)
    return path


@torch.inference_mode()
def find_vessels(net: UNet, frames: Frames, levels: Levels | None = None) -> Masks:
    """Vessel mask of display frames (T, H, W), H and W multiples of 16; levels default to the frames' own."""
    levels = levels or measure_levels(frames, NORMALISATION)
    x = torch.from_numpy(to_network(frames, levels, NORMALISATION)[:, None])
    masks = [net.soft_mask(part)[:, 0] > 0.5 for part in torch.split(x, 4)]
    return np.asarray(torch.cat(masks).numpy())
