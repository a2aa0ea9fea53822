"""The networks as a TorchScript graph, for what reads nothing else: OpenVINO and MONAI bundles."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.jit._trace import TracerWarning

from casgan_dicom.model.engines.graph import Shapes


class TensorsOnly(nn.Module):
    """A network without the None that stands for a missing attention, which no graph can hold."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """Predict what there is: (drawn,) or (drawn, attention); ONNX calls the input `x`."""
        return tuple(said for said in self.net(x, *others) if said is not None)


def traced_module(net: nn.Module, shapes: Shapes) -> ScriptModule:
    """Trace `net`, one item of each of these shapes to a tensor or a tuple of tensors."""
    example = tuple(torch.zeros(1, *shape) for shape in shapes)
    with torch.no_grad(), _torchscript_wanted():
        # Norms check their input's shape in Python, others count by it: it is fixed, so is the answer.
        warnings.filterwarnings("ignore", "Converting a tensor to a Python (boolean|integer)", TracerWarning)
        traced: ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
            net.eval(), example, check_trace=False
        )
    return traced


def save_traced(traced: ScriptModule, path: Path) -> ScriptModule:
    """Write a traced module, and give what a reader of the file gets."""
    with _torchscript_wanted():
        traced.save(str(path))
        read: ScriptModule = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    return read


@contextmanager
def _torchscript_wanted() -> Iterator[None]:
    """Keep back that torch discourages TorchScript: the readers want it, and it changes nothing here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        yield
