"""Where networks run, and in which precision they train."""

from __future__ import annotations

import torch

from casgan_dicom.errors import ConfigError


def choose_device(device: str) -> str:
    """Resolve "auto" (CUDA when there is one) and check a named device; raises ConfigError."""
    if device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return device
    kind, _, number = device.partition(":")
    if kind != "cuda" or (device != "cuda" and not number.isdecimal()):
        raise ConfigError(f"device '{device}' is unknown", hint="auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise ConfigError(f"device '{device}': torch finds no CUDA device", hint="use --device cpu")
    if number and int(number) >= (count := torch.cuda.device_count()):
        raise ConfigError(f"device '{device}': torch finds {count} CUDA devices, numbered from 0")
    return device


def computes_bf16(device: torch.device) -> bool:
    """Tell whether `device` multiplies bfloat16 itself.

    torch emulates it elsewhere: a training step on an AVX2 processor then takes 14 times as long as in
    float32. On the CPU the answer is AVX512-BF16, which every processor with AMX has too.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    supported: bool = torch.cpu._is_avx512_bf16_supported()
    return supported


def use_threads(number: int) -> None:
    """Compute with so many threads of the processor in this process."""
    torch.set_num_threads(number)
