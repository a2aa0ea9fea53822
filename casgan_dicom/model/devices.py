"""Where networks run."""

from __future__ import annotations

import torch

from casgan_dicom.errors import ConfigError


def choose_device(device: str) -> str:
    """Resolve "auto" (CUDA when there is one) and check a named device; raises ConfigError."""
    if device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device '{device}': torch finds no CUDA device", hint="use --device cpu")
    if device != "cpu" and not device.startswith("cuda"):
        raise ConfigError(f"device '{device}' is unknown", hint="auto, cpu, cuda or cuda:N")
    return device
