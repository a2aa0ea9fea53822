"""CAS-GAN guided by the atlas: it starts at the atlas, stays near its tree, and its bundle stands alone."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.errors import ConfigError, WeightsError
from casgan_dicom.lab.train import train
from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.data.normalisation import Levels
from casgan_dicom.model.drawing import GRAIN_MOST, GRAIN_PX, darkened
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.methods.casgan_atlas import FROZEN, CasGanAtlas
from casgan_dicom.model.methods.correction import correct
from casgan_dicom.model.networks.guided import REACH_PX, GuidedDecoder, dyed
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.training.distributed import ALONE
from casgan_dicom.model.training.step import TrainingStep
from casgan_dicom.model.training.trainer import Trainer
from tests.model.bundles import write_bundle
from tests.model.toys import FLOAT32, tiny_sampler
from tests.support.atlas import Planner

SETTINGS = load_settings("casgan-atlas", "smoke", FLOAT32)
ALL_TERMS = dict.fromkeys(CasGanAtlas.terms, 1.0)
LEVELS = Levels(0.3, 0.8)


def method(*, cleared: bool = True) -> CasGanAtlas:
    """Fresh from its first weights; not `cleared`, the last layers are drawn like the others, and large."""
    torch.manual_seed(3)
    made = CasGanAtlas(SETTINGS, UNet(4))
    made.initialise(torch.Generator().manual_seed(3))
    if not cleared:
        vessel = made.generators["vessel"]
        assert isinstance(vessel, GuidedDecoder)
        for layer in (vessel.attention.conv, vessel.context.conv):
            nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(4))
    return made.train()


def batch(size: int = 4) -> Batch:
    return tiny_sampler(SETTINGS).batch(size, torch.Generator().manual_seed(1))


def frames_of(shape: tuple[int, int], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.2, 0.9, (3, *shape)).astype(np.float32)


@pytest.mark.parametrize("shape", [(256, 256), (40, 32), (160, 512)])
def test_before_training_it_draws_what_the_atlas_draws(shape: tuple[int, int]) -> None:
    nets, frames, planner = method().eval().generators, frames_of(shape), Planner()
    plain = planner.drawer()
    guided = replace(plain, correct=partial(correct, nets, SETTINGS.normalisation))
    plan = plain.plan(frames, (0, 1, 2), RunContext(frames=3))

    wanted, found = (drawer.draw(frames, LEVELS, plan, (0, 1, 2)) for drawer in (plain, guided))

    assert wanted.attention is not None
    assert found.attention is not None
    np.testing.assert_allclose(
        found.frames, wanted.frames, atol=1e-4
    )  # interpolation on the points themselves
    np.testing.assert_array_equal(found.attention > 0, wanted.attention > 0)
    assert found.attention.max() > 0.4


@pytest.mark.parametrize("shape", [(256, 256), (300, 512), (128, 96)])
def test_whatever_the_networks_say_nothing_changes_out_of_their_reach(shape: tuple[int, int]) -> None:
    nets, frames = method(cleared=False).eval().generators, frames_of(shape)
    depth = np.zeros_like(frames)
    depth[:, shape[0] // 2] = 0.5
    reach = math.ceil(REACH_PX * max(shape) / 256) + 1
    far = np.abs(np.arange(shape[0]) - shape[0] // 2) > reach

    moved = correct(nets, SETTINGS.normalisation, frames, depth, LEVELS)
    made = darkened(frames, moved)

    assert np.abs(moved - depth).max() > 0.1
    np.testing.assert_array_equal(made.frames[:, far], frames[:, far])
    assert made.attention is not None
    assert not made.attention[:, far].any()
    assert moved.min() >= 0


def test_in_use_a_frame_of_the_networks_size_is_drawn_as_in_training() -> None:
    made, one = method(cleared=False).eval(), batch()
    with torch.no_grad():
        _, attention = made.shown(one)
    assert attention is not None

    for k in range(len(one.x)):
        low, high = one.truth["levels"][k].tolist()
        shown, guide = (one.truth[name][k].numpy() for name in ("shown", "guide"))
        found = correct(made.generators, SETTINGS.normalisation, shown, guide, Levels(low, high))
        np.testing.assert_allclose(-np.expm1(-found), attention[k].numpy(), atol=1e-4)  # one frame or four


def test_the_dye_of_training_is_that_of_use() -> None:
    frames = frames_of((64, 64))
    depth = np.random.default_rng(2).uniform(0.01, 0.6, frames.shape).astype(np.float32)

    found = dyed(torch.from_numpy(frames)[:, None], torch.from_numpy(depth)[:, None], GRAIN_PX, GRAIN_MOST)

    np.testing.assert_allclose(found[:, 0].numpy(), darkened(frames, depth).frames, atol=1e-5)


def test_every_term_is_finite_and_moves_the_generator_alone() -> None:
    made, one = method(cleared=False), batch()
    made.paint(one)

    losses = made.generator_losses(one, ALL_TERMS)

    assert set(losses) == set(CasGanAtlas.terms)
    for name, loss in losses.items():
        made.zero_grad()
        loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        moved = {n for n, net in made.generators.items() if any(has_gradient(p) for p in net.parameters())}
        assert math.isfinite(float(loss.detach())), name
        assert moved == {"enc_bg", "enc_guide", "predictor", "vessel"}, name
        assert not any(has_gradient(p) for p in made.segmentor.parameters())


def has_gradient(p: Tensor) -> bool:
    return p.grad is not None and bool(p.grad.any())


def test_terms_without_weight_are_not_computed() -> None:
    made, one = method(), batch()
    made.paint(one)

    assert set(made.generator_losses(one, {"l1": 5, "dice": 0})) == {"l1"}
    assert made.discriminator_samples(one).keys() == {"d_y"}
    bare = replace(SETTINGS, weights={"l1": 1.0})
    assert not CasGanAtlas.build_discriminators(bare)


def test_a_guide_of_another_patient_says_nothing_of_the_twin_and_is_to_stay_where_it_is() -> None:
    made, one = method(cleared=False), batch()
    foreign = Batch(
        one.x,
        one.y,
        one.twin,
        one.mask,
        dict(one.truth)
        | {"own": torch.zeros_like(one.truth["own"]), "off": torch.zeros_like(one.truth["off"])},
    )
    made.paint(foreign)
    losses = made.generator_losses(foreign, ALL_TERMS)
    assert [float(losses[name].detach()) for name in ("l1", "depth", "dice")] == [0, 0, 0]
    assert float(losses["where"].detach()) > 0

    untrained = method()
    untrained.paint(foreign)
    assert float(untrained.generator_losses(foreign, {"where": 1})["where"].detach()) == 0


@pytest.mark.train
def test_two_steps_move_every_network_but_those_of_the_atlas(tmp_path: Path) -> None:
    made = method()
    before = {name: value.clone() for name, value in made.named_parameters()}
    step = TrainingStep(made, SETTINGS, ALONE, tmp_path)

    for number in range(2):
        step([batch()], number, 1.0)

    for name, value in made.named_parameters():
        side, net = name.split(".")[:2]
        still = side == "segmentor" or net in FROZEN
        if still or value.ndim > 1:  # a bias before an instance norm has no effect
            assert torch.equal(value, before[name]) is still, name


@pytest.mark.train
def test_its_bundle_stands_alone_with_the_atlas_that_it_began_from(tmp_path: Path) -> None:
    start = write_bundle(tmp_path / "atlas", method="atlas", data="Simulated cine.")
    theirs = load_bundle(start)
    settings = load_settings("casgan-atlas", "smoke", [*FLOAT32, f"net.start={start}", "optim.steps=2"])
    trainer = Trainer(settings, tiny_sampler(settings), tmp_path / "run", data="Simulated cine.")
    trainer.run()
    folder = trainer.export()
    shutil.rmtree(start)

    loaded, generator = load_bundle(folder), Generator.load(folder, device="cpu")

    for name in FROZEN:
        wanted, found = (b.generators[name].state_dict() for b in (theirs, loaded))
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    assert set(loaded.generators) == set(CasGanAtlas.deployed)
    for name, array in theirs.extra["library.safetensors"].items():
        np.testing.assert_array_equal(loaded.extra["library.safetensors"][name], array)
    assert "Begun from" in loaded.info.data
    frames = frames_of((80, 64))
    assert generator.sampled(3)
    assert np.isfinite(generator(frames).frames).all()


def test_the_desk_preset_is_begun_from_the_shipped_atlas() -> None:
    settings = load_settings("casgan-atlas", "desk")
    with torch.device("meta"):
        nets = CasGanAtlas.build_generators(settings)
    atlas = load_bundle(settings.net.start)

    for name in FROZEN:
        wanted, found = (one.state_dict() for one in (atlas.generators[name], nets[name]))
        assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in wanted.items()}
    assert settings.own.trees == atlas.settings.own.trees  # type: ignore[attr-defined]
    size = 4 * sum(
        p.numel() for name, net in nets.items() if name in CasGanAtlas.deployed for p in net.parameters()
    )
    assert size < 15e6  # with segmentor and library less than 25 MB


@pytest.mark.parametrize("setting", ["guided.width=0", "guided.trees=0", "guided.sem_temperature=0"])
def test_settings_that_mean_nothing_are_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match=setting.split("=", maxsplit=1)[0]):
        load_settings("casgan-atlas", "smoke", [setting])


def test_an_atlas_of_another_size_is_refused(tmp_path: Path) -> None:
    start = write_bundle(tmp_path / "atlas", ["atlas.width=8"], method="atlas")
    settings = load_settings("casgan-atlas", "smoke", [*FLOAT32, f"net.start={start}"])
    with pytest.raises(WeightsError, match="has a network 'tip'"):
        Trainer(settings, tiny_sampler(settings), tmp_path / "run").run()


def test_other_data_than_the_simulator_is_refused(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "a.npy", np.full((2, 64, 64), 0.5, np.float32))

    with pytest.raises(ConfigError, match="which only simulated data tells"):
        train("casgan-atlas", "smoke", data=(tmp_path / "x", tmp_path / "y"), out=tmp_path / "run")
