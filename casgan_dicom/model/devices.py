"""Where networks run, on how many threads, and in which precision they train; torch only where it must be."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from casgan_dicom.errors import ConfigError
from casgan_dicom.threads import TOLD

if TYPE_CHECKING:
    import torch

_GPUS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvhost-gpu", "/dev/nvmap", "/dev/dxg", "/dev/kfd")
"""Where Linux shows a device that torch may find: NVIDIA's own, of Jetson, of Windows below, AMD's."""


def choose_device(device: str) -> str:
    """Resolve "auto" (CUDA when there is one) and check a named device; raises ConfigError."""
    if device == "auto":
        return "cuda:0" if _finds_cuda() else "cpu"
    if device == "cpu":
        return device
    kind, _, number = device.partition(":")
    if kind != "cuda" or (device != "cuda" and not number.isdecimal()):
        raise ConfigError(f"device '{device}' is unknown", hint="auto, cpu, cuda or cuda:N")
    if not _finds_cuda():
        raise ConfigError(f"device '{device}': torch finds no CUDA device", hint="use --device cpu")
    import torch  # noqa: PLC0415 - takes a second, which who has no GPU need not wait

    if number and int(number) >= (count := torch.cuda.device_count()):
        raise ConfigError(f"device '{device}': torch finds {count} CUDA devices, numbered from 0")
    return device


def _finds_cuda() -> bool:
    """Whether torch finds a CUDA device; it is not loaded to hear so where Linux shows none."""
    shown = any(Path(each).exists() for each in _GPUS)
    if sys.platform == "linux" and "torch" not in sys.modules and not shown:
        return False
    import torch  # noqa: PLC0415 - as above

    return torch.cuda.is_available()


def computes_bf16(device: torch.device) -> bool:
    """Tell whether `device` multiplies bfloat16 itself.

    torch emulates it elsewhere: a training step on an AVX2 processor then takes 14 times as long as in
    float32. On the CPU the answer is AVX512-BF16, which every processor with AMX has too.
    """
    import torch  # noqa: PLC0415 - as above

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    supported: bool = torch.cpu._is_avx512_bf16_supported()
    return supported


def use_threads(number: int) -> None:
    """Compute with so many threads of the processor in this process and those that it starts."""
    import torch  # noqa: PLC0415 - as above

    os.environ[TOLD] = str(number)
    torch.set_num_threads(number)
