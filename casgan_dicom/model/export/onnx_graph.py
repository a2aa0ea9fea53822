"""ONNX: one file, x (N, 1, S, S) of any N to "drawn" and, where the method has it, "attention".

Written by torch's exporter over `torch.export`. The older one, over TorchScript, warns on each shape check
of an InstanceNorm and is deprecated.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import nn

from casgan_dicom.model.export.parity import Maps, Run

OPSET = 18
"""The exporter's own; newer ones are a conversion on top."""


def write_onnx(net: nn.Module, names: Sequence[str], size: int, facts: dict[str, str], path: Path) -> Run:
    """Write `net` to `path` with `facts` as its metadata, and give what runs the file.

    `net` maps x (N, 1, size, size) to a tuple of as many tensors as there are `names`.
    """
    example = torch.zeros(2, 1, size, size)  # 1 would be taken for a constant
    with _quiet():
        program = torch.onnx.export(
            net,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["x"],
            output_names=list(names),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    if program is None:  # only without dynamo
        raise RuntimeError("torch.onnx.export gave no program")
    model = program.model_proto
    model.doc_string = facts["notice"]
    onnx.helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return _runner(path)


def _runner(path: Path) -> Run:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(x: Maps) -> Sequence[Maps]:
        found: Sequence[Maps] = session.run(None, {"x": x})
        return found

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter says of itself: a deprecation in torch, and that torchvision is absent."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec", FutureWarning)
            yield
    finally:
        log.setLevel(level)
