"""One step of any method: parts of a batch, processes that share it, and losses that are not finite."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.training.distributed import ALONE, World
from casgan_dicom.model.training.step import TrainingStep
from tests.model.toys import FLOAT32, tiny_sampler
from tests.model.two_processes import METHODS, batch_of_four, each, settings_of, stepped


def close(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    """float32 sums over a batch in another order: equal to a thousandth of the largest gradient of all."""
    assert first.keys() == second.keys()
    largest = max(float(value.abs().max()) for value in second.values())
    assert largest > 0
    for name, value in first.items():
        error = float((value - second[name]).abs().max())
        assert error < 1e-3 * largest, f"{name}: {error} of {largest}"


@pytest.mark.train
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_in_two_parts_is_the_same_step_as_in_one(method: str, tmp_path: Path) -> None:
    whole_figures, whole = stepped(settings_of(method), [batch_of_four()], ALONE, tmp_path)
    halves = [each(batch_of_four(), World(rank, 2).share) for rank in range(2)]

    figures, gradients = stepped(settings_of(method), halves, ALONE, tmp_path)

    assert figures == pytest.approx(whole_figures, rel=1e-3, abs=1e-4)
    close(gradients, whole)


@pytest.mark.train
@pytest.mark.parametrize("method", METHODS)
def test_two_processes_take_the_step_that_one_takes_on_the_doubled_batch(method: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.model.two_processes", method, str(tmp_path)]
    running = [subprocess.Popen(command, env={**os.environ, **places, "RANK": str(rank)}) for rank in (0, 1)]

    assert [process.wait(timeout=120) for process in running] == [0, 0]

    expected_figures, expected = stepped(settings_of(method), [batch_of_four()], ALONE, tmp_path)
    for rank in (0, 1):
        close(load_file(tmp_path / f"gradients-{rank}.safetensors"), expected)
        found = load_file(tmp_path / f"figures-{rank}.safetensors")
        figures = {name: float(value) for name, value in found.items()}
        assert figures == pytest.approx(expected_figures, rel=1e-3, abs=1e-4)


def test_a_share_of_a_batch_is_every_process_its_own_part() -> None:
    crops = torch.arange(6).view(6, 1)
    shares = [World(rank, 3).share(crops) for rank in range(3)]
    assert torch.equal(torch.cat([s for s in shares if s is not None]), crops)
    assert World(1, 3).share(None) is None
    assert ALONE.share(crops) is crops


@pytest.mark.train
def test_a_loss_that_is_not_finite_keeps_the_weights_and_the_batch(tmp_path: Path) -> None:
    batch = batch_of_four()
    batch.x[1, 0, 3, 3] = float("nan")
    settings = settings_of("casgan")
    torch.manual_seed(1)
    method = method_class("casgan")(settings, UNet(4))
    before = {name: value.clone() for name, value in method.state_dict().items()}

    with pytest.raises(ConfigError, match=r"step 7: .*cyc_img.* not finite; .*broken-batch-7-0") as told:
        TrainingStep(method, settings, ALONE, tmp_path)([batch], 7, 1.0)

    assert "optim.lr" in told.value.hint
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    kept = load_file(tmp_path / "broken-batch-7-0.safetensors")
    assert kept.keys() == {"x.0", "y.0", "twin.0", "mask.0"}
    assert bool(kept["x.0"][1, 0, 3, 3].isnan())
    assert torch.equal(kept["y.0"], batch.y)


def test_a_broken_batch_is_kept_with_its_truth(tmp_path: Path) -> None:
    settings = load_settings("atlas", "smoke", FLOAT32)
    torch.manual_seed(1)
    batch = tiny_sampler(settings).batch(2, torch.Generator().manual_seed(1))
    batch.x[0, 0, 3, 3] = float("nan")

    with pytest.raises(ConfigError, match="not finite"):
        TrainingStep(method_class("atlas")(settings, UNet(4)), settings, ALONE, tmp_path)([batch], 7, 1.0)

    kept = load_file(tmp_path / "broken-batch-7-0.safetensors")
    assert {"x.0", "y.0", "tip.0", "landmarks.0", "told.0"} <= kept.keys()


@pytest.mark.train
def test_the_learning_rate_is_the_base_rate_times_its_share(tmp_path: Path) -> None:
    still = load_settings("casgan", "smoke")
    torch.manual_seed(1)
    method = method_class("casgan")(still, UNet(4))
    before = {name: value.clone() for name, value in method.generators.state_dict().items()}
    step = TrainingStep(method, still, ALONE, tmp_path)

    step([batch_of_four()], 0, 0.0)

    assert all(torch.equal(value, before[name]) for name, value in method.generators.state_dict().items())
    step([batch_of_four()], 1, 1.0)
    assert not all(torch.equal(value, before[name]) for name, value in method.generators.state_dict().items())
