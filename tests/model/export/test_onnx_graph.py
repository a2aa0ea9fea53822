"""ONNX Runtime draws what torch draws, and the file says what it is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.bundle.deployed import TranslationNet
from casgan_dicom.model.export.export import export_bundle
from casgan_dicom.model.export.facts import NOTICE
from casgan_dicom.model.export.parity import TOLERANCE
from tests.model.bundles import write_bundle

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

KINDS = ("casgan", "cut", "munit", "attentiongan", "unsb")
"""One method for each kind of generator; an export takes seconds."""


@pytest.mark.parametrize("method", KINDS)
def test_onnx_draws_what_torch_draws_for_any_number_of_frames(tmp_path: Path, method: str) -> None:
    bundle = write_bundle(tmp_path / "bundle", ["data.frame_size=32"], method=method)
    x = np.random.default_rng(3).uniform(-1, 1, (5, 1, 32, 32)).astype(np.float32)  # not the export's frames

    export_bundle(bundle, "onnx", tmp_path / "out")

    session = onnxruntime.InferenceSession(
        tmp_path / "out" / "model.onnx", providers=["CPUExecutionProvider"]
    )
    net = TranslationNet(load_bundle(bundle)).eval()
    for count in (1, 5):
        with torch.no_grad():
            wanted = [y.numpy() for y in net(torch.from_numpy(x[:count])) if y is not None]
        names = [output.name for output in session.get_outputs()]
        assert names == ["drawn", "attention"][: len(wanted)]
        for ours, theirs in zip(session.run(None, {"x": x[:count]}), wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


def test_onnx_carries_who_it_is_and_the_notice(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", ["data.frame_size=32"])

    export_bundle(bundle, "onnx", tmp_path / "out")

    model = onnx.load(tmp_path / "out" / "model.onnx")
    props = {entry.key: entry.value for entry in model.metadata_props}
    digest = hashlib.sha256((bundle / "model.safetensors").read_bytes()).hexdigest()
    assert (props["name"], props["method"]) == ("casgan-smoke", "casgan")
    assert props["version"] == f"1+{props['weights_sha256'][:8]}"
    assert (props["weights_sha256"], props["licence"], props["notice"]) == (digest, "NOASSERTION", NOTICE)
    assert (
        json.loads(props["normalisation"])
        == json.loads((bundle / "config.json").read_text())["settings"]["normalisation"]
    )
