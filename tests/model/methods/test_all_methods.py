"""What holds for every method: it trains, stops and goes on bit for bit, and its bundle draws the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from casgan_dicom.cli import cli
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.data.frames import FrameSet
from casgan_dicom.model.data.sampler import CropSampler
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.methods.registry import BUILT_IN, method_class
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.training.checkpoint import load_checkpoint
from casgan_dicom.model.training.trainer import Progress, Trainer
from tests.model.toys import FLOAT32, StopsAt, figures, made_up_frames, rows, same, tiny_sampler

METHODS = list(BUILT_IN)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder, so that the simulated runs of the smoke preset are rendered once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trainer]:
    """Trains the smoke preset of a method to its end, once for all tests that look at it."""

    @cache
    def trainer_of(method: str) -> Trainer:
        settings = load_settings(method, "smoke", FLOAT32)
        trainer = Trainer(settings, tiny_sampler(settings), tmp_path_factory.mktemp("whole"))
        trainer.run()
        return trainer

    return trainer_of


@pytest.mark.train
@pytest.mark.parametrize("method", METHODS)
def test_the_smoke_preset_trains_and_its_bundle_translates(
    method: str, tmp_path: Path, rendered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASGAN_DATA", str(rendered))
    arguments = ["--method", method, "--preset", "smoke", "--data", "sim:1", "--out", str(tmp_path / "run")]

    result = CliRunner().invoke(cli, ["train", *arguments], catch_exceptions=False)

    assert (result.exit_code, result.stdout) == (0, f"bundle: {tmp_path / 'run' / 'bundle'}\n"), result.stderr
    assert [row["step"] for row in rows(tmp_path / "run")] == ["1", "2", "3", "4"]
    assert all(math.isfinite(value) for row in figures(tmp_path / "run") for value in row.values())
    frames = np.random.default_rng(1).random((2, 64, 64), np.float32)
    generator = Generator.load(tmp_path / "run" / "bundle", device="cpu", engine="torch")
    first, again = generator(frames), generator(frames)
    assert np.isfinite(first.frames).all()
    assert np.array_equal(first.frames, again.frames)


@pytest.mark.train
@pytest.mark.parametrize("method", METHODS)
def test_a_stopped_run_of_every_method_goes_on_bit_for_bit(
    method: str, tmp_path: Path, whole: Callable[[str], Trainer]
) -> None:
    settings = load_settings(method, "smoke", FLOAT32)

    stopped = Trainer(settings, StopsAt(settings, 2), tmp_path / "stopped").run()
    resumed = Trainer(settings, tiny_sampler(settings), tmp_path / "stopped").run(resume=True)

    assert (stopped, resumed) == (Progress(2, 4, finished=False), Progress(4, 4, finished=True))
    one, other = (load_checkpoint(run / "checkpoint.pt") for run in (whole(method).out, tmp_path / "stopped"))
    assert [key for key in one if not same(one[key], other[key])] == []


@pytest.mark.train
@pytest.mark.parametrize("method", METHODS)
def test_steps_move_every_network_and_the_exported_bundle_draws_the_same(
    method: str, tmp_path: Path, whole: Callable[[str], Trainer]
) -> None:
    trainer = whole(method)
    still = load_settings(method, "smoke", [*FLOAT32, "optim.lr=0", "optim.steps=1", "optim.decay_steps=0"])
    unmoved = Trainer(still, tiny_sampler(still), tmp_path / "still")
    unmoved.run()

    for side in ("generators", "discriminators"):
        before = dict(getattr(unmoved.method, side).named_parameters())
        for name, p in getattr(trainer.method, side).named_parameters():
            # A step may end with discriminators that ask for no gradient; generators that ask for none are
            # frozen, like the networks that another training brought.
            if side == "generators" and not p.requires_grad:
                assert torch.equal(p, before[name]), name
                continue
            assert p.grad is not None, name
            assert bool(p.grad.isfinite().all()), name
            assert p.ndim == 1 or not torch.equal(p, before[name]), name
    bundle = load_bundle(trainer.export())
    trained = deepcopy(trainer.method.generators).eval()
    if trainer.average is not None:
        trained.load_state_dict(trainer.average.state)
    assert_draws_the_same(trained, bundle.generators, trainer.settings)


def assert_draws_the_same(trained: nn.ModuleDict, loaded: nn.ModuleDict, settings: TrainSettings) -> None:
    x = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    cls = method_class(settings.method)
    assert set(loaded) <= set(cls.deployed)
    with torch.no_grad():
        expected, found = (cls.predict_maps(nets, settings, x) for nets in (trained, loaded))
    assert torch.equal(found[0], expected[0])
    assert (found[1] is None) == (expected[1] is None)
    if found[1] is not None and expected[1] is not None:
        assert torch.equal(found[1], expected[1])
        assert 0 <= float(found[1].min()) <= float(found[1].max()) <= 1


@pytest.mark.parametrize("method", ["segment-then-paint", "oracle"])
def test_a_method_that_learns_from_pairs_refuses_frames_without(method: str, tmp_path: Path) -> None:
    settings = load_settings(method, "smoke", FLOAT32)
    x, y = made_up_frames(1, contrast=False), made_up_frames(2, contrast=True)
    sampler = CropSampler(FrameSet(x.frames, x.levels), y, settings.data, settings.normalisation)
    with pytest.raises(ConfigError, match=f"method '{method}' needs simulated data"):
        Trainer(settings, sampler, tmp_path / "run").run()
    assert not (tmp_path / "run").exists()
