"""An export draws what the bundle draws, says what it is, and is complete or not there."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from casgan_dicom.errors import OutputError, WeightsError
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.bundle.deployed import TranslationNet
from casgan_dicom.model.bundle.writing import save_bundle
from casgan_dicom.model.engines.openvino_engine import openvino_core
from casgan_dicom.model.export import export as module
from casgan_dicom.model.export.export import export_bundle
from casgan_dicom.model.export.facts import NOTICE
from casgan_dicom.model.export.formats import Format
from casgan_dicom.model.export.parity import TOLERANCE
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.methods import registry
from casgan_dicom.model.methods.casgan import CasGan
from casgan_dicom.model.methods.registry import method_names
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.simulator.version import SIMULATOR
from tests.model.bundles import write_bundle

FORMATS: tuple[Format, ...] = ("onnx", "openvino", "monai", "huggingface")
SMALL = ("data.frame_size=32",)
BY_PLAN = ("atlas", "casgan-atlas")


@pytest.fixture
def frames() -> npt.NDArray[np.float32]:
    """Not the frames that the export itself measured on."""
    return np.random.default_rng(3).uniform(-1, 1, (5, 1, 32, 32)).astype(np.float32)


def names(words: str) -> set[str]:
    return set(words.split())


def by_torch(bundle: Path, x: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    with torch.no_grad():
        maps = TranslationNet(load_bundle(bundle)).eval()(torch.from_numpy(x))
    return [y.numpy() for y in maps if y is not None]


def test_openvino_draws_what_torch_draws(tmp_path: Path, frames: npt.NDArray[np.float32]) -> None:
    pytest.importorskip("openvino")
    bundle = write_bundle(tmp_path / "bundle", SMALL)

    export_bundle(bundle, "openvino", tmp_path / "out")

    model = openvino_core().read_model(tmp_path / "out" / "model.xml")
    assert model.get_rt_info(["casgan_dicom", "notice"]).astype(str) == NOTICE
    compiled = openvino_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(frames[:1])
    for name, theirs in zip(("drawn", "attention"), by_torch(bundle, frames[:1]), strict=True):
        np.testing.assert_allclose(found[name], theirs, atol=TOLERANCE)


@pytest.mark.parametrize("method", [name for name in method_names() if name not in BY_PLAN])
def test_monai_torchscript_draws_the_finished_picture(
    tmp_path: Path, method: str, frames: npt.NDArray[np.float32]
) -> None:
    bundle = write_bundle(tmp_path / "bundle", SMALL, method=method)

    export_bundle(bundle, "monai", tmp_path / "out")

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.load` is deprecated", DeprecationWarning)
        graph = torch.jit.load(str(tmp_path / "out" / "models" / "model.ts"))  # type: ignore[no-untyped-call]
    drawn, *attention = by_torch(bundle, frames[:1])
    wanted = frames[:1] * (1 - attention[0]) + drawn * attention[0] if attention else drawn
    np.testing.assert_allclose(graph(torch.from_numpy(frames[:1])).detach().numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("method", BY_PLAN)
@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_drawn_by_plan_goes_into_no_graph_of_networks(
    tmp_path: Path, method: str, kind: Format
) -> None:
    """The networks of the atlas alone smear; a graph of them would not draw what this package does."""
    bundle = write_bundle(tmp_path / "bundle", method=method)

    if kind == "huggingface":
        assert "library.safetensors" in export_bundle(bundle, kind, tmp_path / "out").sha256
        return
    with pytest.raises(WeightsError, match="draws by a plan") as told:
        export_bundle(bundle, kind, tmp_path / "out")
    assert "huggingface" in told.value.hint
    assert not (tmp_path / "out").exists()


def test_monai_metadata_has_every_key_that_the_specification_demands(tmp_path: Path) -> None:
    """Key lists typed from the MONAI Bundle Specification, "metadata.json File"."""
    export_bundle(write_bundle(tmp_path / "bundle", SMALL), "monai", tmp_path / "out")

    found = json.loads((tmp_path / "out" / "configs" / "metadata.json").read_text())
    assert set(found) >= {
        "version",
        "monai_version",
        "pytorch_version",
        "numpy_version",
        "required_packages_version",
        "task",
        "description",
        "authors",
        "copyright",
        "network_data_format",
        "changelog",
        "intended_use",
        "data_source",
        "data_type",
        "references",
    }
    assert (found["data_source"], found["data_type"]) == ("none: random weights", "X-ray frames")
    tensors = found["network_data_format"]
    for tensor in (tensors["inputs"]["image"], tensors["outputs"]["pred"]):
        assert set(tensor) == {
            "type",
            "format",
            "modality",
            "num_channels",
            "spatial_shape",
            "dtype",
            "value_range",
            "is_patch_data",
            "channel_def",
        }
        assert tensor["spatial_shape"] == [32, 32]
    assert found["intended_use"] == NOTICE
    files = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert files == {
        "LICENSE", "configs/inference.json", "configs/metadata.json", "docs/README.md", "docs/license.txt",
        "export.json", "models/model.ts",
    }  # fmt: skip


def test_a_hugging_face_folder_loads_as_a_bundle_and_draws_the_same(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", SMALL)
    pictures = np.random.default_rng(4).uniform(0, 1, (2, 40, 32)).astype(np.float32)

    export = export_bundle(bundle, "huggingface", tmp_path / "out")

    assert all(deviation.maximum == 0 for deviation in export.parity.values())
    before, after = (
        Generator.load(folder, device="cpu", engine="torch")(pictures)
        for folder in (bundle, tmp_path / "out")
    )
    np.testing.assert_array_equal(before.frames, after.frames)
    head = (tmp_path / "out" / "README.md").read_text().split("---\n")[1].splitlines()
    assert head[:3] == ['license: "unknown"', "library_name: casgan-dicom", "pipeline_tag: image-to-image"]
    assert '- "research-only"' in head


class Keeper(CasGan):
    """A method that keeps arrays of its own."""

    extra_files = ("library.safetensors",)


def test_a_hugging_face_folder_holds_the_arrays_of_its_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "BUILT_IN", registry.BUILT_IN | {"casgan": f"{__name__}:Keeper"})
    settings = load_settings("casgan", "smoke", SMALL)
    nets, segmentor = Keeper.build_generators(settings), UNet(settings.segmentor.base)
    extra = {"library.safetensors": {"trees": np.arange(4, dtype=np.float16)}}
    bundle = tmp_path / "bundle"
    save_bundle(bundle, settings, nets.state_dict(), segmentor.state_dict(), data="Simulated.", extra=extra)

    export = export_bundle(bundle, "huggingface", tmp_path / "out")

    kept = load_bundle(tmp_path / "out").extra["library.safetensors"]["trees"]
    np.testing.assert_array_equal(kept, [0, 1, 2, 3])
    assert "library.safetensors" in export.sha256
    assert export.facts["simulator"] == f"version {SIMULATOR}"


@pytest.mark.parametrize("kind", FORMATS)
def test_every_export_carries_the_notice_and_the_digest_of_its_files(tmp_path: Path, kind: Format) -> None:
    bundle = write_bundle(tmp_path / "bundle", SMALL, data="Simulated X-ray cine.")
    (bundle / "README.md").write_text("# A card\n")

    export_bundle(bundle, kind, tmp_path / "out")

    told = json.loads((tmp_path / "out" / "export.json").read_text())
    card = tmp_path / "out" / ("docs" if kind == "monai" else ".") / "README.md"
    assert told["facts"]["notice"] == NOTICE
    assert NOTICE in card.read_text()
    assert card.read_text().endswith("# A card\n")
    assert "Apache-2.0" in (tmp_path / "out" / "LICENSE").read_text()
    for name, digest in told["sha256"].items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "out"]


def test_a_graph_that_is_too_far_from_torch_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime that is off by twice the tolerance stands for an operation that was converted wrongly."""
    bundle = write_bundle(tmp_path / "bundle", SMALL)
    honest = module._read_back
    monkeypatch.setattr(
        module, "_read_back", lambda folder: lambda x: [y + 2 * TOLERANCE for y in honest(folder)(x)]
    )

    with pytest.raises(WeightsError, match="from torch"):
        export_bundle(bundle, "huggingface", tmp_path / "out")

    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_an_existing_folder_is_refused_and_kept(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", SMALL)
    (tmp_path / "out").mkdir()

    with pytest.raises(OutputError, match="exists already"):
        export_bundle(bundle, "huggingface", tmp_path / "out")

    assert not list((tmp_path / "out").iterdir())
