"""Training the segmentor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from casgan_dicom.errors import WeightsError
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.training.segmentor import check_lesson, segmentor_source, train_unet, write_lesson
from tests.model.bundles import write_bundle
from tests.model.toys import tiny_sampler, tiny_settings


def trained(steps: int, log: list[tuple[int, float]]) -> UNet:
    sampler, draws = tiny_sampler(tiny_settings()), torch.Generator().manual_seed(1)
    torch.manual_seed(0)
    return train_unet(
        UNet(4),
        lambda: sampler.labelled(2, draws),
        steps=steps,
        lr=1e-2,
        log=lambda step, loss: log.append((step, loss)),
    )


@pytest.mark.train
def test_a_segmentor_learns_the_stripe_and_comes_back_frozen() -> None:
    log: list[tuple[int, float]] = []

    net = trained(60, log)

    image, mask = tiny_sampler(tiny_settings()).labelled(4, torch.Generator().manual_seed(99))
    found = net.soft_mask(image) > 0.5
    dice = float(2 * (found * mask).sum() / (found.sum() + mask.sum()))
    assert dice > 0.6  # the stripe is 6 of 64 columns: drawing all gives 0.17, nothing 0
    assert [step for step, _ in log] == [0, 50]
    assert not net.training
    assert not any(p.requires_grad for p in net.parameters())


@pytest.mark.parametrize("steps", [0, 1])
def test_very_short_training_is_possible(steps: int) -> None:
    assert not trained(steps, []).training


def test_a_segmentor_of_other_settings_or_data_is_not_taken_for_this_one(tmp_path: Path) -> None:
    path, settings = tmp_path / "segmentor.safetensors", tiny_settings()
    with pytest.raises(
        WeightsError, match="was trained otherwise: source, seed, segmentor, data, normalisation"
    ):
        check_lesson(path, settings, "XCAD.")

    write_lesson(path, settings, "XCAD.")

    check_lesson(path, settings, "XCAD.")
    check_lesson(path, tiny_settings({"optim": {"lr": 1.0}}), "XCAD.")  # no business of the segmentor's
    for other, source, told in (
        (tiny_settings({"segmentor": {"steps": 9}}), "XCAD.", "otherwise: segmentor$"),
        (tiny_settings({"data": {"held_out": 0.5}}), "XCAD.", "otherwise: data$"),
        (settings, "Other frames.", "otherwise: source$"),
    ):
        with pytest.raises(WeightsError, match=told):
            check_lesson(path, other, source)


def test_what_a_given_segmentor_was_trained_on_is_told_by_its_bundle_or_the_file_beside_it(
    tmp_path: Path,
) -> None:
    bundle = write_bundle(tmp_path / "bundle", data="XCAD.")
    write_lesson(tmp_path / "segmentor.safetensors", tiny_settings(), "Frames.")
    assert segmentor_source(str(bundle)) == segmentor_source(str(bundle / "segmentor.safetensors")) == "XCAD."
    assert segmentor_source(str(tmp_path / "segmentor.safetensors")) == "Frames."
    assert segmentor_source(str(tmp_path / "other.safetensors")) is None
    assert (segmentor_source("casgan") or "").startswith("Simulated")
