"""Frames that a segmentor sees in many ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import NormalisationSettings
from casgan_dicom.model.training import varied_vessels
from casgan_dicom.model.training.segmentor import save_unet, train_segmentor
from casgan_dicom.model.training.varied_vessels import VariedVessels
from tests.model.toys import made_up_frames, tiny_sampler, tiny_settings

FRAMES = made_up_frames(1, contrast=False)


def drawn(empty: float, seed: int = 1, count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    vessels = VariedVessels(FRAMES, NormalisationSettings(), 64, empty)
    image, mask = vessels(count, torch.Generator().manual_seed(seed))
    return image.numpy(), mask.numpy()


def test_vessels_lie_where_the_mask_says_and_are_darker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(varied_vessels, "CLUTTERED", 0.0)

    image, mask = drawn(empty=0.0)

    assert image.shape == mask.shape == (12, 1, 64, 64)
    assert image.dtype == mask.dtype == np.float32
    assert -1 <= image.min() < image.max() <= 1
    assert set(np.unique(mask)) == {0.0, 1.0}
    shown = [k for k in range(12) if 0 < mask[k].mean() < 0.5]
    assert len(shown) >= 4
    darker = [
        image[k][mask[k] == 1].mean() < image[k][(mask[k] == 0) & (image[k] > -1)].mean() for k in shown
    ]
    assert np.mean(darker) >= 0.75  # a stripe that is faint may lie on a bright block


def test_frames_without_contrast_have_no_vessels() -> None:
    assert not drawn(empty=0.999)[1].any()


def test_the_generator_decides() -> None:
    for one, again in zip(drawn(0.5, seed=3), drawn(0.5, seed=3), strict=True):
        np.testing.assert_array_equal(one, again)
    assert not np.array_equal(drawn(0.5, seed=3)[0], drawn(0.5, seed=4)[0])


def test_frames_whose_twins_are_not_known_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"segmentor\.runs needs"):
        VariedVessels(replace(FRAMES, twins=None), NormalisationSettings(), 64, 0.5)


def test_a_training_goes_on_from_the_segmentor_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "segmentor.safetensors"
    given = UNet(4)
    save_unet(given, path)
    settings = tiny_settings({"segmentor": {"base": 4, "steps": 0, "runs": 1, "start": str(path)}})
    sampler = tiny_sampler(settings)
    sampler.angiograms = FRAMES

    net = train_segmentor(settings, sampler, "cpu", lambda _: None)

    for name, value in given.state_dict().items():
        assert torch.equal(net.state_dict()[name], value)
