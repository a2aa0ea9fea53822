"""Draws for the atlas: picture and truth move together, and what a header would tell comes and goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from casgan_dicom.model.data.pose_sampler import Known, PoseSampler, _moved, truth_of
from casgan_dicom.model.data.posed import PosedRuns
from casgan_dicom.model.preset_files import load_settings
from tests.model.toys import made_up_poses, tiny_sampler

SETTINGS = load_settings("casgan", "smoke")
KNOWN = Known()


def sampler(runs: PosedRuns, known: Known = KNOWN) -> PoseSampler:
    return PoseSampler(tiny_sampler(SETTINGS), runs, known)


def spotted(column: int, row: int) -> PosedRuns:
    """A bright spot of a few pixels at the tip, at the first landmark and at the isocentre, nothing else."""
    runs = made_up_poses(patients=1, frames=1)
    plain = np.zeros_like(runs.plain)
    plain[:, row - 2 : row + 3, column - 2 : column + 3] = 255
    shaft = plain.reshape(1, 128, 2, 128, 2).max(axis=(2, 4)) > 0
    place = np.array([[(column - 127.5) / 128, (row - 127.5) / 128]], np.float32)
    trunks = np.repeat(place[:, None], 10, axis=1)
    tip = np.array([[column, row]], np.float32)
    return replace(
        runs,
        plain=plain,
        mean=plain,
        shaft=shaft,
        tip=tip,
        trunks=trunks,
        isocentre=place,
        scale=np.zeros(1, np.float32),
    )


@pytest.mark.parametrize(("zoom", "right", "down"), [(1.0, 0.0, 0.0), (1.3, 0.0, 0.0), (0.8, 0.2, -0.1)])
def test_the_truth_moves_with_the_picture(zoom: float, right: float, down: float) -> None:
    runs, theta = spotted(150, 90), torch.tensor([[zoom, right, down]])

    images, maps = _moved(runs, np.array([0]), theta)
    truth = truth_of(runs, np.array([0]), theta)

    for image, side in ((images[0, 0], 256), (maps["shaft"][0], 128)):
        rows, columns = np.nonzero(image.numpy() > 0.5)
        at = (np.array([columns.mean(), rows.mean()]) + 0.5) / (side / 2) - 1
        for name in ("tip", "isocentre"):
            np.testing.assert_allclose(truth[name][0].numpy(), at, atol=0.012)  # a pixel and a half of 256
        np.testing.assert_allclose(truth["landmarks"][0, 0].numpy(), at, atol=0.012)
    assert float(truth["scale"]) == pytest.approx(5 * np.log(zoom))


def test_no_tip_stays_no_tip() -> None:
    runs = made_up_poses()
    theta = torch.tensor([[1.1, 0.1, 0.1]])

    assert bool(torch.isnan(truth_of(runs, np.array([len(runs.tip) - 1]), theta)["tip"]).all())


def test_view_and_phase_are_told_as_often_as_asked_for() -> None:
    never, always = (
        sampler(made_up_poses(), Known(share, share))
        .batch(16, torch.Generator().manual_seed(1))
        .truth["told"]
        for share in (0.0, 1.0)
    )

    assert not bool(never.any())
    assert bool((always[:, 0] == 1).all())
    assert bool((always[:, 5] == 1).all())


def test_draws_depend_on_their_generator_alone() -> None:
    one, same, other = (
        sampler(made_up_poses()).batch(4, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )

    assert torch.equal(one.x, same.x)
    assert all(
        torch.equal(torch.nan_to_num(one.truth[k]), torch.nan_to_num(same.truth[k])) for k in one.truth
    )
    assert not torch.equal(one.x, other.x)


def test_frames_of_a_batch_are_network_values() -> None:
    batch = sampler(made_up_poses()).batch(3, torch.Generator().manual_seed(1))

    assert batch.x.shape == batch.y.shape == (3, 1, 256, 256)
    assert -1 <= float(batch.x.min()) < -0.5 < 0.5 < float(batch.x.max()) <= 1
