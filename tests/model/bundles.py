"""Small bundles with random weights, made for a test."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from casgan_dicom.model.bundle.writing import save_bundle
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings


def write_bundle(
    folder: Path,
    overrides: Sequence[str] = (),
    *,
    method: str = "casgan",
    attention_bias: float = 0.0,
    data: str = "none: random weights",
) -> Path:
    """Write a bundle of the smallest preset, for frames of 256 px, with weights drawn from a fixed seed.

    `attention_bias` below 0 closes the attention, as training does: at -3 its mean is about 0.05.
    """
    settings = load_settings(method, "smoke", ["data.frame_size=256", *overrides])
    with torch.random.fork_rng():
        torch.manual_seed(7)
        cls = method_class(settings.method)
        nets, segmentor = cls.build_generators(settings), UNet(settings.segmentor.base)
        extra = cls(settings, segmentor).extra_arrays()
    if attention_bias:
        biases = [
            p for name, p in nets["vessel"].named_parameters() if re.fullmatch(r"attention\..*bias", name)
        ]
        nn.init.constant_(biases[-1], attention_bias)
    save_bundle(folder, settings, nets.state_dict(), segmentor.state_dict(), data=data, extra=extra)
    return folder
