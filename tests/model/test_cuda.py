"""Training on a GPU: what holds on the CPU holds there, as far as its sums in changing order allow."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.methods.registry import BUILT_IN
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.training.distributed import ALONE, World
from casgan_dicom.model.training.trainer import Progress, Trainer
from tests.model.toys import FLOAT32, StopsAt, figures, tiny_sampler
from tests.model.two_processes import METHODS, batch_of_four, each, settings_of, stepped

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
GPU = World(device="cuda")


@pytest.fixture
def full_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """No TF32, which torch lets convolutions use."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def trained(settings: TrainSettings, run: Path, *, world: World = GPU, resume: bool = False) -> list[str]:
    """Train to the end; returns what was said."""
    said: list[str] = []
    trainer = Trainer(settings, tiny_sampler(settings), run, log=said.append, world=world)
    assert trainer.run(resume=resume).finished
    trainer.export()
    return said


@pytest.mark.parametrize("method", BUILT_IN)
def test_every_method_trains_in_bf16_and_its_bundle_draws_on_both_devices(
    method: str, tmp_path: Path
) -> None:
    said = trained(load_settings(method, "smoke", ["sample_steps=2", "optim.ema=0.9"]), tmp_path)

    assert "training on cuda in bf16 autocast" in said
    assert [row["step"] for row in figures(tmp_path)] == [1, 2, 3, 4]
    assert all(math.isfinite(value) for row in figures(tmp_path) for value in row.values())
    frames = np.random.default_rng(1).random((9, 64, 64), np.float32)
    on_gpu, on_cpu = (
        Generator.load(tmp_path / "bundle", device=device, engine="torch")(frames).frames
        for device in ("cuda", "cpu")
    )
    assert np.abs(on_gpu - on_cpu).mean() < 0.01


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.usefixtures("full_float32")
def test_the_gpu_takes_the_step_that_the_cpu_takes(method: str, tmp_path: Path) -> None:
    batch = batch_of_four()
    on_gpu = each(batch, lambda crops: crops.to("cuda"))
    expected, gradients = stepped(settings_of(method), [batch], ALONE, tmp_path)

    found, found_gradients = stepped(settings_of(method), [on_gpu], GPU, tmp_path)

    assert found == pytest.approx(expected, rel=1e-3)
    # Where an L1 term or a ReLU bends, rounding turns a sign: all gradients together are compared.
    squares = sum(float(gradient.square().sum()) for gradient in gradients.values())
    errors = sum(float((found_gradients[name].cpu() - g).square().sum()) for name, g in gradients.items())
    assert math.sqrt(errors / squares) < 0.05


@pytest.mark.parametrize("method", BUILT_IN)
@pytest.mark.usefixtures("full_float32")
def test_a_stopped_run_goes_on_with_the_random_numbers_of_the_gpu(method: str, tmp_path: Path) -> None:
    """Some methods draw styles or noise on the device: other numbers would give other losses."""
    settings = load_settings(method, "smoke", FLOAT32)
    trained(settings, tmp_path / "whole")

    stopped = Trainer(settings, StopsAt(settings, 2), tmp_path / "stopped", world=GPU).run()
    trained(settings, tmp_path / "stopped", resume=True)

    assert stopped == Progress(2, 4, finished=False)
    for row, other in zip(figures(tmp_path / "stopped"), figures(tmp_path / "whole"), strict=True):
        assert row == pytest.approx(other, rel=5e-3, abs=1e-4)


def test_a_run_stopped_on_a_gpu_goes_on_without(tmp_path: Path) -> None:
    settings = load_settings("casgan", "smoke", FLOAT32)
    Trainer(settings, StopsAt(settings, 2), tmp_path, world=GPU).run()
    trained(settings, tmp_path, world=ALONE, resume=True)
    assert [row["step"] for row in figures(tmp_path)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("method", "more"), [("casgan", "net.channels_last=true"), ("oracle", "optim.compile=true")]
)
@pytest.mark.filterwarnings("default")  # torch's compiler warns of what torch itself does
@pytest.mark.usefixtures("full_float32")
def test_layout_and_compiler_change_only_the_rounding(method: str, more: str, tmp_path: Path) -> None:
    """One network for the compiler, which takes its time."""
    trained(load_settings(method, "smoke", FLOAT32), tmp_path / "plain")
    trained(load_settings(method, "smoke", [*FLOAT32, more]), tmp_path / "other")
    for row, other in zip(figures(tmp_path / "other"), figures(tmp_path / "plain"), strict=True):
        assert row == pytest.approx(other, rel=5e-3, abs=1e-4)


def test_a_loss_that_is_not_finite_stops_the_run_and_saves_the_batch_of_the_gpu(tmp_path: Path) -> None:
    settings = load_settings("cut", "smoke", [*FLOAT32, "optim.lr=1e30"])
    with pytest.raises(ConfigError, match="not finite; the batch is in"):
        trained(settings, tmp_path)
    assert list(tmp_path.glob("broken-batch-*.safetensors"))
