"""Where networks run, and whether they train in bf16 there."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from casgan_dicom.errors import ConfigError
from casgan_dicom.model import devices
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.devices import choose_device, computes_bf16
from casgan_dicom.model.methods.base import Losses
from casgan_dicom.model.methods.casgan import CasGan
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.training import segmentor, step, trainer
from tests.model.toys import tiny_sampler, tiny_settings

CPU_FACTS = Path("/proc/cpuinfo")


@pytest.mark.skipif(not CPU_FACTS.is_file(), reason="no /proc/cpuinfo to compare with")
def test_bf16_is_said_of_processors_that_list_it() -> None:
    """The oracle is the kernel: an AMX processor lists avx512_bf16 beside amx_bf16."""
    listed = {word for line in CPU_FACTS.read_text().splitlines() for word in line.split()}
    assert computes_bf16(torch.device("cpu")) == ("avx512_bf16" in listed)


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cudax", "cuda:99", ""])
def test_an_unknown_device_is_an_error(monkeypatch: pytest.MonkeyPatch, device: str, there: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1 if there else 0)
    with pytest.raises(ConfigError, match=f"device '{device}'"):
        choose_device(device)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_cuda_device_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device(device) == device


def test_torch_is_asked_for_cuda_only_where_linux_shows_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading it to hear that there is none takes a second of every start."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(devices, "_GPUS", (str(tmp_path / "nvidia0"),))
    assert choose_device("auto") == "cpu"
    assert "torch" not in sys.modules

    (tmp_path / "nvidia0").touch()
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert choose_device("auto") == "cuda:0"


@pytest.mark.train
@pytest.mark.parametrize("processor_has_it", [False, True])
@pytest.mark.parametrize("amp", [False, True])
def test_training_takes_bf16_where_wanted_and_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, amp: bool, processor_has_it: bool
) -> None:
    """Elsewhere torch emulates it: a step then takes 14 times as long as in float32."""
    seen: list[bool] = []
    before = CasGan.generator_losses

    def watched(self: CasGan, batch: Batch, weights: Mapping[str, float]) -> Losses:
        seen.append(torch.is_autocast_enabled("cpu"))
        return before(self, batch, weights)

    monkeypatch.setattr(CasGan, "generator_losses", watched)
    monkeypatch.setattr(step, "computes_bf16", lambda _device: processor_has_it)
    said: list[str] = []
    settings = tiny_settings({"optim": {"amp": amp}})

    trainer.Trainer(settings, tiny_sampler(settings), tmp_path, log=said.append).run()

    assert seen == [amp and processor_has_it] * settings.optim.steps
    assert f"training on cpu in {'bf16 autocast' if amp and processor_has_it else 'float32'}" in said


@pytest.mark.train
@pytest.mark.parametrize("processor_has_it", [False, True])
def test_the_segmentor_takes_bf16_where_it_is_there(
    monkeypatch: pytest.MonkeyPatch, processor_has_it: bool
) -> None:
    seen: list[bool] = []
    net = UNet(4)
    net.register_forward_pre_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    monkeypatch.setattr(segmentor, "computes_bf16", lambda _device: processor_has_it)
    sampler, draws = tiny_sampler(tiny_settings()), torch.Generator().manual_seed(1)

    segmentor.train_unet(net, lambda: sampler.labelled(1, draws), steps=1)

    assert seen == [processor_has_it]
