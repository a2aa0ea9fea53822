"""Networks of torch as models of OpenVINO: traced, and handed to its PyTorch front end in memory.

In float32 each norm that takes means of a map is taken apart. OpenVINO's own (MVN) adds up a whole map in one
float32 sum, and in flat regions, such as the collimator's, the rounding errors of equal values add up too:
2.6e-4 of the drawn map on a real run, against 2.7e-6 for means over rows and then over columns, at the same
speed. `convert_model`, which reports usage, is not used.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from casgan_dicom.model.engines.graph import Shapes
from casgan_dicom.model.engines.traced import TensorsOnly, traced_module


class _StagedInstanceNorm(nn.Module):
    """InstanceNorm whose means run over rows first, then over columns."""

    def __init__(self, norm: nn.InstanceNorm2d) -> None:
        super().__init__()
        self.eps, self.weight, self.bias = norm.eps, norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        centred = x - _staged_mean(x)
        normed = centred * torch.rsqrt(_staged_mean(centred * centred) + self.eps)
        if self.weight is None:  # not affine
            return normed
        return normed * self.weight[:, None, None] + self.bias[:, None, None]


class _StagedGroupNorm(nn.Module):
    """GroupNorm whose means run over rows first, then over columns, then over the channels of a group."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.eps, self.weight, self.bias, self.groups = norm.eps, norm.weight, norm.bias, norm.num_groups

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        grouped = x.reshape(batch, self.groups, channels // self.groups, height, width)
        centred = grouped - _staged_mean(grouped).mean(2, keepdim=True)
        variance = _staged_mean(centred * centred).mean(2, keepdim=True)
        normed = (centred * torch.rsqrt(variance + self.eps)).reshape(batch, channels, height, width)
        return normed * self.weight[:, None, None] + self.bias[:, None, None]


def _staged_mean(x: Tensor) -> Tensor:
    return x.mean(-1, keepdim=True).mean(-2, keepdim=True)


def with_staged_norms(net: nn.Module) -> nn.Module:
    """Copy `net`, every norm that takes means replaced by its staged equal: summed well in float32.

    An InstanceNorm2d that tracks running statistics takes none, and stays.
    """
    net = copy.deepcopy(net)
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.InstanceNorm2d) and not child.track_running_stats:
                setattr(parent, name, _StagedInstanceNorm(child))
            elif isinstance(child, nn.GroupNorm) and child.affine:
                setattr(parent, name, _StagedGroupNorm(child))
    return net


def convert(net: nn.Module, shapes: Shapes) -> Any:  # noqa: ANN401 - openvino.Model, known only where it is installed
    """Trace `net` at one item of these shapes and convert the graph to an openvino.Model of them."""
    from openvino.frontend import FrontEndManager  # noqa: PLC0415 - an optional extra
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415

    traced = traced_module(TensorsOnly(net), shapes)
    decoder = TorchScriptPythonDecoder(traced, shared_memory=False)
    front_end = FrontEndManager().load_by_framework("pytorch")
    model = front_end.convert(front_end.load(decoder))
    model.reshape({number: [1, *shape] for number, shape in enumerate(shapes)})
    return model
