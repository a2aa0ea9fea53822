"""The atlas' networks: every term against its equation, and that they learn a place from a picture."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from casgan_dicom.errors import ConfigError
from casgan_dicom.lab.train import train
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.data.pose_sampler import Known, PoseSampler
from casgan_dicom.model.methods.atlas import Atlas, landmark_loss, tip_loss, torch_reader
from casgan_dicom.model.methods.atlas_reader import look, read_cues
from casgan_dicom.model.networks.reading_shapes import CELLS
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from tests.model.toys import made_up_poses, tiny_sampler

SETTINGS = load_settings("atlas", "smoke")
ALL_TERMS = dict.fromkeys(Atlas.terms, 1.0)


def method() -> Atlas:
    torch.manual_seed(3)
    made = Atlas(SETTINGS, UNet(4))
    made.initialise(torch.Generator().manual_seed(3))
    return made.train()


def batch(size: int = 4) -> Batch:
    sampler = tiny_sampler(SETTINGS)
    assert isinstance(sampler, PoseSampler)
    sampler.known = Known(view=0.2)
    return sampler.batch(size, torch.Generator().manual_seed(1))


def test_every_term_is_finite_and_moves_a_network() -> None:
    made, one = method(), batch()
    made.paint(one)

    losses = made.generator_losses(one, ALL_TERMS)

    assert set(losses) == set(Atlas.terms)
    for name, loss in losses.items():
        made.zero_grad()
        loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        moved = [p for p in made.parameters() if p.grad is not None and bool(p.grad.any())]
        assert math.isfinite(float(loss.detach())), name
        assert moved, name


def test_terms_without_weight_are_not_computed() -> None:
    made, one = method(), batch()
    made.paint(one)

    assert set(made.generator_losses(one, {"tip": 0.4, "depth": 0})) == {"tip"}


def test_the_tip_costs_nothing_where_it_is_known_and_much_elsewhere() -> None:
    """Column 40, row 10 of the cells; the softened target's own entropy is the least that can be paid."""
    tip = torch.tensor([[40.5 / 32 - 1, 10.5 / 32 - 1]])
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    gauss = -0.5 * ((rows - 10) ** 2 + (columns - 40) ** 2)
    there = torch.cat([gauss.flatten(), torch.tensor([-50.0])])[None]
    elsewhere = torch.cat([gauss.T.flatten(), torch.tensor([-50.0])])[None]
    heat = torch.softmax(gauss.flatten(), dim=0)
    entropy = float(-(heat * heat.clamp_min(1e-30).log()).sum())

    assert float(tip_loss(there, tip)) == pytest.approx(entropy, abs=1e-3)
    assert float(tip_loss(elsewhere, tip)) > 10 * entropy


@pytest.mark.parametrize("tip", [[math.nan, math.nan], [1.2, 0.0], [0.0, -1.1]])
def test_no_tip_in_the_picture_is_the_last_class(tip: list[float]) -> None:
    none = torch.zeros(1, CELLS * CELLS + 1)
    none[0, -1] = 30.0

    assert float(tip_loss(none, torch.tensor([tip]))) < 1e-6
    assert float(tip_loss(-none, torch.tensor([tip]))) > 20


def test_landmarks_are_judged_on_the_artery_that_is_there_and_missing_ones_do_not_count() -> None:
    found = torch.zeros(2, 2, 10, 2)
    spread = torch.full((2, 2, 10), math.log(0.5))
    truth = {"right": torch.tensor([[0.0], [1.0]]), "landmarks": torch.zeros(2, 10, 2)}
    truth["landmarks"][0] += 0.1
    truth["landmarks"][1] -= 0.2
    truth["landmarks"][1, 3] = math.nan
    found[0, 1] = found[1, 0] = 9.0  # the other artery: of no account

    loss = landmark_loss({"landmarks": found, "log_spread": spread}, truth)

    by_hand = (10 * 0.2 / 0.5 + 9 * 0.4 / 0.5) / 19 + 2 * math.log(0.5)
    assert float(loss) == pytest.approx(by_hand, rel=1e-5)


def test_angles_are_learnt_where_they_were_not_told() -> None:
    made, one = method(), batch()
    told = dict(one.truth) | {"told": torch.ones_like(one.truth["told"])}
    made.paint(Batch(one.x, one.y, truth=told))

    assert (
        float(made.generator_losses(Batch(one.x, one.y, truth=told), {"angles": 1})["angles"].detach()) == 0
    )


@pytest.mark.train
def test_the_tip_network_learns_where_a_dark_line_ends() -> None:
    """Sixty steps on eight frames: the cell of the line's end becomes the most likely one."""
    made, runs = method(), made_up_poses(patients=4, frames=2)
    plain = np.full_like(runs.plain, 150)
    ends = np.array([[60 + 20 * k, 50 + 15 * k] for k in range(8)], np.float32)
    for k, (column, row) in enumerate(ends.astype(int)):
        plain[k, :row, column - 3 : column + 4] = 60
    runs = replace(runs, plain=plain, mean=plain[::2], tip=ends)
    sampler = PoseSampler(tiny_sampler(SETTINGS), runs)
    optimiser = torch.optim.Adam(made.generators["tip"].parameters(), 3e-3)
    draws = torch.Generator().manual_seed(1)
    for _ in range(60):
        one = sampler.batch(8, draws)
        made.paint(one)
        optimiser.zero_grad()
        made.generator_losses(one, {"tip": 1})["tip"].backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    reader = torch_reader(made.eval().generators)
    cues = read_cues(reader, look(reader, plain.astype(np.float32) / np.float32(255)))

    off = np.linalg.norm(cues.tip - ((ends + 0.5) / 2 - 0.5), axis=1)
    assert np.median(off) < 4  # of 128; a random place is 50 off


def test_other_data_than_the_simulator_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("frames")
    for name in ("x", "y"):
        (folder / name).mkdir()
        np.save(folder / name / "a.npy", np.full((2, 64, 64), 0.5, np.float32))

    with pytest.raises(ConfigError, match="which only simulated data tells"):
        train("atlas", "smoke", data=(folder / "x", folder / "y"), out=folder / "run")
