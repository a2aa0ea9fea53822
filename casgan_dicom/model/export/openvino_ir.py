"""OpenVINO IR: model.xml and model.bin, float32, one frame x (1, 1, S, S) a request.

The conversion is that of the engine, so nothing phones home and InstanceNorm is summed in stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn

from casgan_dicom.model.engines.graph import one_frame
from casgan_dicom.model.engines.openvino_engine import import_openvino, openvino_core
from casgan_dicom.model.engines.openvino_model import convert, with_staged_norms
from casgan_dicom.model.export.parity import Maps, Run


def write_openvino(net: nn.Module, names: Sequence[str], size: int, facts: dict[str, str], path: Path) -> Run:
    """Write `net` to `path` (.xml, and .bin beside it) with `facts` as its runtime information.

    `net` maps x (1, 1, size, size) to (drawn, attention or None). Gives what runs the files, in float32.
    """
    ov, core = import_openvino(), openvino_core()
    model = convert(with_staged_norms(net), one_frame(size))
    model.inputs[0].get_tensor().set_names({"x"})
    for output, name in zip(model.outputs, names, strict=True):
        output.get_tensor().set_names({name})
    for key, value in facts.items():
        model.set_rt_info(value, ["casgan_dicom", key])
    ov.serialize(model, str(path), str(path.with_suffix(".bin")))
    compiled = core.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(x: Maps) -> Sequence[Maps]:
        frames = [compiled(x[i : i + 1]) for i in range(len(x))]
        return [np.concatenate([frame[name] for frame in frames]) for name in names]

    return run
