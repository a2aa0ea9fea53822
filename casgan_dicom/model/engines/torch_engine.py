"""Runs networks with torch: float32 on the CPU, bf16 autocast on CUDA."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from casgan_dicom.model.engines.graph import Arrays, MakeNet, Maps, Shapes


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


class TorchGraph:
    """Any network in float32, on the CPU."""

    name, device = "torch-fp32", "cpu"

    def __init__(self, net: nn.Module) -> None:
        self._net = net

    @torch.inference_mode()
    def __call__(self, *inputs: npt.NDArray[np.float32]) -> Arrays:
        """What the network says of inputs (B, …)."""
        said = self._net(*(torch.from_numpy(np.ascontiguousarray(each)) for each in inputs))
        return tuple(map(_to_numpy, said))


def torch_graph(make_net: MakeNet, shapes: Shapes, identity: str) -> TorchGraph:  # noqa: ARG001 - of `MakeGraph`
    """Put a network on torch."""
    return TorchGraph(make_net())


def _to_numpy(tensor: Tensor) -> npt.NDArray[np.float32]:
    return np.asarray(tensor.float().cpu().numpy())
