"""Runs the generator's networks with torch: float32 on the CPU, bf16 autocast on CUDA."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Maps = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]
"""drawn and attention (or None), both float32 (B, 1, S, S)."""


class TorchEngine:
    """The reference engine; on the CPU its float32 results are what the others are compared with."""

    def __init__(self, net: nn.Module, device: str) -> None:
        self.device = device
        self._cuda = device.startswith("cuda")
        self.name = "torch-bf16" if self._cuda else "torch-fp32"
        # On the CPU one frame keeps its maps in the cache: four at once took 1.3 times as long per frame.
        self.batch = 8 if self._cuda else 1
        # Not channels_last: norms and reflecting pads have no kernel for it, and turning the maps over and
        # back takes longer than convolutions save (ngf 64, 512 px, H200: 8.3 ms a frame, 5.7 without).
        self._net = net.to(device)

    @torch.inference_mode()
    def __call__(self, x: npt.NDArray[np.float32]) -> Maps:
        """Predict the maps of x, float32 (B, 1, S, S) in network values."""
        image = torch.from_numpy(x).to(self.device)
        with torch.autocast(image.device.type, torch.bfloat16, enabled=self._cuda):
            drawn, attention = self._net(image)
        return _to_numpy(drawn), None if attention is None else _to_numpy(attention)


def _to_numpy(tensor: Tensor) -> npt.NDArray[np.float32]:
    return np.asarray(tensor.float().cpu().numpy())
