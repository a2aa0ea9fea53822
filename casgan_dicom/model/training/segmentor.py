"""The vessel segmentor: train it on angiograms with masks, freeze it, use it.

CAS-GAN's semantic loss looks at images through it; the paired evaluation uses another one, of another
seed, width and training set.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import functional as F

from casgan_dicom.disk import write_json, write_whole
from casgan_dicom.errors import WeightsError
from casgan_dicom.model.bundle.shelf import (
    ALIASES,
    SEGMENTOR_NAME,
    bundle_file,
    bundle_folder,
    read_config,
    shipped_bundles,
)
from casgan_dicom.model.data.sampler import CropSampler
from casgan_dicom.model.devices import computes_bf16
from casgan_dicom.model.methods.losses import soft_dice_loss
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.tables import settings_to_dict
from casgan_dicom.model.training.varied_vessels import VariedVessels

Labelled = tuple[Tensor, Tensor]
"""Images in network values and masks, both (B, 1, H, W)."""


def train_unet(
    net: UNet,
    draw: Callable[[], Labelled],
    *,
    steps: int,
    lr: float = 3e-4,
    log: Callable[[int, float], None] = lambda _step, _loss: None,
) -> UNet:
    """Fit `net` to masks with 0.5 · BCE + 0.5 · Dice by AdamW, one-cycle rate, bf16 where the device has it.

    Parameters
    ----------
    net
        Trained in place.
    draw
        Gives the next batch.
    steps
        Optimiser steps.
    lr
        Highest learning rate.
    log
        Called with the step and its loss every 50 steps.

    Returns
    -------
    UNet
        `net`, in evaluation mode and frozen.
    """
    device = next(net.parameters()).device
    optimiser = torch.optim.AdamW(net.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=lr, total_steps=max(steps, 2))
    net.train()
    for step in range(steps):
        image, mask = (t.to(device) for t in draw())
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=computes_bf16(device)):
            logits = net(image)
        logits = logits.float()
        bce = F.binary_cross_entropy_with_logits(logits, mask)
        loss = 0.5 * bce + 0.5 * soft_dice_loss(torch.sigmoid(logits), mask)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            log(step, float(loss.detach()))
    return net.requires_grad_(False).eval()


def train_segmentor(
    settings: TrainSettings, sampler: CropSampler, device: str, log: Callable[[str], None]
) -> UNet:
    """Train the segmentor of a run on its labelled frames; raises ConfigError where it has none."""
    s, draws = settings.segmentor, torch.Generator().manual_seed(settings.seed + 2)
    varied = (
        VariedVessels(sampler.angiograms, settings.normalisation, settings.data.crop, s.empty)
        if s.runs
        else None
    )
    net = UNet(s.base)
    if s.start:
        load_unet(net, segmentor_file(s.start))
        net.requires_grad_(True)
    return train_unet(
        net.to(device),
        lambda: varied(s.batch, draws) if varied else sampler.labelled(s.batch, draws, empty=s.empty),
        steps=s.steps,
        lr=s.lr,
        log=lambda step, loss: log(f"segmentor step {step}: loss {loss:.4f}"),
    )


def segmentor_file(path: str) -> Path:
    """File that ``segmentor.path`` means: a safetensors file, or that of a bundle, by its name or folder."""
    return bundle_file(bundle_folder(path), SEGMENTOR_NAME) if _is_bundle(path) else Path(path)


def _is_bundle(path: str) -> bool:
    return path in (*ALIASES, *shipped_bundles()) or Path(path).is_dir()


def write_lesson(path: Path, settings: TrainSettings, source: str) -> None:
    """Write beside the segmentor `path` what it was trained with, and on: ``segmentor.json``."""
    write_json(path.with_suffix(".json"), _lesson(settings, source))


def check_lesson(path: Path, settings: TrainSettings, source: str) -> None:
    """Raise WeightsError unless the segmentor `path` was trained with these settings on this data."""
    found, wanted = _told(path), _lesson(settings, source)
    if differing := [key for key in wanted if found.get(key) != wanted[key]]:
        raise WeightsError(
            f"'{path.name}' in '{path.parent.name}' was trained otherwise: {', '.join(differing)}",
            hint=f"choose another --out, or remove {path.name} and the runs that looked through it",
        )


def segmentor_source(path: str) -> str | None:
    """Sentence about what the segmentor of ``segmentor.path`` was trained on; None where nothing tells it."""
    folder = bundle_folder(path) if _is_bundle(path) else Path(path).parent
    if (folder / "model.safetensors").is_file():
        return str(read_config(folder)["data"])
    return _told(segmentor_file(path)).get("source")


def _lesson(settings: TrainSettings, source: str) -> dict[str, Any]:
    tables = settings_to_dict(settings)
    return {"source": source, **{key: tables[key] for key in ("seed", "segmentor", "data", "normalisation")}}


def _told(path: Path) -> dict[str, Any]:
    """What ``segmentor.json`` beside a segmentor tells; nothing where there is none that can be read."""
    try:
        told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def save_unet(net: UNet, path: Path) -> None:
    """Write the weights of `net` to a safetensors file, complete or not at all; `net` moves to the CPU."""
    write_whole(path, save(net.cpu().state_dict()))


def load_unet(net: UNet, path: Path) -> None:
    """Fill `net` from a safetensors file; raises WeightsError when it does not fit."""
    if not path.is_file():
        raise WeightsError(
            f"segmentor '{path.name}' not found", hint="segmentor.path names a safetensors file"
        )
    try:
        net.load_state_dict(load_file(path))
    except (RuntimeError, OSError, SafetensorError) as error:
        raise WeightsError(f"segmentor '{path.name}' does not fit a U-Net of this width: {error}") from error
    net.requires_grad_(False).eval()
