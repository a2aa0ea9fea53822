"""A MONAI bundle, by the MONAI Bundle Specification, with one exception: no pickled weights.

The specification asks for models/model.pt, a pickled state dictionary, and for enough to build the network
again from MONAI's own classes. These networks are none of MONAI's, and this project writes no pickle to
load: models/model.ts, the specification's optional TorchScript, holds graph and weights. What needs
model.pt cannot use this folder; `torch.jit.load` and `monai.bundle.ConfigParser` can.

MONAI expects one tensor named "pred", so the graph draws the finished picture, y_g = x (1 - A) + C A.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from casgan_dicom.model.bundle.bundle import Bundle, is_simulated
from casgan_dicom.model.engines.graph import one_frame
from casgan_dicom.model.engines.traced import save_traced, traced_module
from casgan_dicom.model.export.facts import NOTICE, card_text, facts_of, licence_text
from casgan_dicom.model.export.parity import Maps, Run
from casgan_dicom.model.networks.attention import compose

MONAI_VERSION = "1.6.1"
"""With this one the folder was read and its network's shapes were verified."""


class Composed(nn.Module):
    """The networks as one that draws the finished picture: x (B, 1, S, S) → (B, 1, S, S)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Draw."""
        drawn, attention = self.net(x)
        finished: Tensor = drawn if attention is None else compose(x, drawn, attention)
        return finished


def metadata(bundle: Bundle) -> dict[str, Any]:
    """Give configs/metadata.json: the specification's mandatory keys, its optional ones, and our facts."""
    info = bundle.info
    tensor = {
        "type": "image",
        "format": "magnitude",
        "modality": "XA",
        "num_channels": 1,
        "spatial_shape": [info.size, info.size],
        "dtype": "float32",
        "value_range": [-1, 1],
        "is_patch_data": False,
    }
    seen = "X-ray frame without contrast agent, normalised by two percentiles of its series"
    drawn = "synthetic angiogram, in the same normalisation; its vessels are invented"
    return {
        "version": info.version,
        "changelog": {info.version: info.recipe or "exported"},
        "monai_version": MONAI_VERSION,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {},
        "name": info.name,
        "task": "Synthesis of an angiogram from an X-ray frame without contrast agent",
        "description": f"{info.method}: {info.recipe} {NOTICE}",
        "authors": "Whoever trained these weights, with the networks of casgan-dicom",
        "copyright": f"SPDX-License-Identifier: {info.licence}",
        "data_source": info.data,
        "data_type": "simulated X-ray cine" if is_simulated(info.data) else "X-ray frames",
        "intended_use": NOTICE,
        "references": [],
        "network_data_format": {
            "inputs": {"image": {**tensor, "channel_def": {"0": seen}}},
            "outputs": {"pred": {**tensor, "channel_def": {"0": drawn}}},
        },
        "casgan_dicom": facts_of(bundle),
    }


def inference() -> dict[str, Any]:
    """Give configs/inference.json: the network and its inferer, for `monai.bundle.ConfigParser`."""
    return {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": "$torch.jit.load(@bundle_root + '/models/model.ts', map_location=@device)",
        "network": "$@network_def.to(@device).eval()",
        "inferer": {"_target_": "SimpleInferer"},
    }


def write_monai(bundle: Bundle, net: nn.Module, source: Path, folder: Path) -> Run:
    """Write the bundle read from `source` to `folder`; gives what runs models/model.ts."""
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir()
    for name, value in (("metadata", metadata(bundle)), ("inference", inference())):
        (folder / "configs" / f"{name}.json").write_text(json.dumps(value, indent=2) + "\n")
    (folder / "docs" / "README.md").write_text(card_text(source, bundle), encoding="utf-8")
    for name in ("LICENSE", "docs/license.txt"):  # the model zoo wants the one, the specification the other
        (folder / name).write_text(licence_text(bundle), encoding="utf-8")
    path = folder / "models" / "model.ts"
    return _runner(save_traced(traced_module(Composed(net), one_frame(bundle.info.size)), path))


def _runner(graph: nn.Module) -> Run:
    def run(x: Maps) -> Sequence[Maps]:
        with torch.no_grad():
            frames = [graph(torch.from_numpy(x[i : i + 1])) for i in range(len(x))]
        return [torch.cat(frames).numpy()]

    return run
