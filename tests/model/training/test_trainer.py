"""The training loop: what it leaves behind, how it stops and how it goes on."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from casgan_dicom.errors import ConfigError, WeightsError
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.data.frames import FrameSet
from casgan_dicom.model.data.sampler import CropSampler
from casgan_dicom.model.methods.casgan import CasGan
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.training.checkpoint import load_checkpoint
from casgan_dicom.model.training.segmentor import save_unet, write_lesson
from casgan_dicom.model.training.trainer import Progress, Trainer
from tests.model.toys import (
    FLOAT32,
    StopsAt,
    figures,
    made_up_frames,
    rows,
    same,
    tiny_sampler,
    tiny_settings,
)

EIGHT_STEPS = {"optim": {"steps": 8, "decay_steps": 4, "ema": 0.9}}


def trained(out: Path, settings: TrainSettings, *, resume: bool = False) -> Progress:
    return Trainer(settings, tiny_sampler(settings), out).run(resume=resume)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[TrainSettings], Path]:
    """Trains a run to its end, once for all tests that compare with it; look, change nothing."""
    runs: dict[str, Path] = {}

    def folder_of(settings: TrainSettings) -> Path:
        key = repr(settings)
        if key not in runs:
            trained(out := tmp_path_factory.mktemp("whole"), settings)
            runs[key] = out
        return runs[key]

    return folder_of


def assert_same_run(first: Path, second: Path) -> None:
    one, other = (load_checkpoint(out / "checkpoint.pt") for out in (first, second))
    assert one.keys() == other.keys()
    assert [key for key in one if not same(one[key], other[key])] == []
    for name in ("metrics.csv", "config.json", "segmentor.safetensors"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


@pytest.mark.train
@pytest.mark.parametrize("row", list(itertools.product([False, True], repeat=3)), ids=str)
def test_two_steps_move_every_network_of_every_row(tmp_path: Path, row: tuple[bool, bool, bool]) -> None:
    settings = tiny_settings({"cas": dict(zip(("drl", "vsgg", "vsgl"), row, strict=True))})
    still = Trainer(
        tiny_settings({"optim": {"lr": 0, "steps": 1}, "cas": vars(settings.own)}),
        tiny_sampler(settings),
        tmp_path / "still",
    )
    still.run()
    moving = Trainer(settings, tiny_sampler(settings), tmp_path / "run")

    assert moving.run() == Progress(2, 2, finished=True)

    for side in (moving.method.generators, moving.method.discriminators):
        for name, p in side.named_parameters():
            assert p.grad is not None, name
            assert bool(p.grad.isfinite().all()), name
    before, after = still.method.state_dict(), moving.method.state_dict()
    unmoved = [key for key, value in after.items() if torch.equal(value, before[key]) and value.ndim > 1]
    assert all(key.startswith("segmentor.") for key in unmoved)
    assert any(key.startswith("segmentor.") for key in unmoved)
    written = rows(tmp_path / "run")
    assert [row["step"] for row in written] == ["1", "2"]
    assert all(torch.tensor(float(value)).isfinite() for row in written for value in row.values())


@pytest.mark.train
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("amp", [False, True])
def test_a_stopped_run_goes_on_as_if_nothing_had_been(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: Callable[[TrainSettings], Path],
    amp: bool,
    number: int,
) -> None:
    """Weights, optimisers, pools, average, random numbers, metrics; stopped between two rows of the log.

    With `amp` in bf16 on every processor: so small a run can bear the emulation.
    """
    monkeypatch.setattr("casgan_dicom.model.training.step.computes_bf16", lambda _device: True)
    optim = {**EIGHT_STEPS["optim"], "amp": amp}
    settings = tiny_settings({"optim": optim, "cas": {"cycle_noise": 0.02}}, log_steps=4)
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]

    progress = Trainer(settings, StopsAt(settings, 3, number), tmp_path / "stopped").run()

    assert progress == Progress(3, 8, finished=False)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert trained(tmp_path / "stopped", settings, resume=True) == Progress(8, 8, finished=True)
    assert_same_run(whole(settings), tmp_path / "stopped")
    assert [row["step"] for row in rows(tmp_path / "stopped")] == ["4", "8"]


@pytest.mark.train
def test_rows_written_after_the_last_checkpoint_are_not_doubled(
    tmp_path: Path, whole: Callable[[TrainSettings], Path]
) -> None:
    """A kill leaves a checkpoint that is older than metrics.csv, and perhaps half a row."""
    settings = tiny_settings(EIGHT_STEPS)
    killed = tmp_path / "killed"
    Trainer(settings, StopsAt(settings, 3), killed).run()
    shutil.copy(killed / "checkpoint.pt", tmp_path / "older.pt")
    trained(killed, settings, resume=True)
    shutil.copy(tmp_path / "older.pt", killed / "checkpoint.pt")
    with (killed / "metrics.csv").open("a") as file:
        file.write("9,0.1,0.")

    trained(killed, settings, resume=True)

    assert [row["step"] for row in rows(killed)] == [str(k) for k in range(1, 9)]
    assert_same_run(whole(settings), killed)


@pytest.mark.train
def test_a_run_that_was_killed_before_its_first_checkpoint_starts_again(
    tmp_path: Path, whole: Callable[[TrainSettings], Path]
) -> None:
    settings = tiny_settings(EIGHT_STEPS)
    shutil.copytree(whole(settings), tmp_path / "killed")
    (tmp_path / "killed" / "checkpoint.pt").unlink()

    trained(tmp_path / "killed", settings, resume=True)

    assert_same_run(whole(settings), tmp_path / "killed")


@pytest.mark.train
def test_rows_are_means_over_the_steps_between_them(tmp_path: Path) -> None:
    overrides = {"optim": {"steps": 4, "decay_steps": 0}}
    trained(tmp_path / "each", tiny_settings(overrides))
    trained(tmp_path / "two", tiny_settings(overrides, log_steps=2))
    each, two = rows(tmp_path / "each"), rows(tmp_path / "two")
    for k, row in enumerate(two):
        for name in row.keys() - {"step"}:
            mean = (float(each[2 * k][name]) + float(each[2 * k + 1][name])) / 2
            assert float(row[name]) == pytest.approx(mean, rel=1e-5), name  # six digits are written


@pytest.mark.train
def test_a_bundle_of_frames_at_their_own_size_is_used_at_that_size(tmp_path: Path) -> None:
    settings = tiny_settings({"data": {"frame_size": 0}})
    trainer = Trainer(settings, tiny_sampler(settings), tmp_path)
    trainer.run()
    bundle = load_bundle(trainer.export())
    assert bundle.info.size == max(trainer.sampler.x.frames.shape[1:]) == 80
    assert json.loads((tmp_path / "config.json").read_text())["data"]["frame_size"] == 0


def test_the_average_follows_the_weights_and_is_what_the_bundle_holds(tmp_path: Path) -> None:
    """One step: average = decay · first + (1 - decay) · second; a rate of 0 shows the first weights."""
    first = Trainer(tiny_settings({"optim": {"lr": 0}}), tiny_sampler(tiny_settings()), tmp_path / "still")
    first.run()
    settings = tiny_settings({"optim": {"steps": 1, "decay_steps": 0, "ema": 0.75}})
    second = Trainer(settings, tiny_sampler(settings), tmp_path / "run")
    second.run()

    bundle = load_file(second.export() / "model.safetensors")

    before, after = (t.method.generators.state_dict() for t in (first, second))
    assert bundle
    for key, value in bundle.items():
        torch.testing.assert_close(value, 0.75 * before[key] + 0.25 * after[key], rtol=1e-5, atol=1e-8)


@pytest.mark.train
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    settings = tiny_settings({"optim": {"steps": 50, "decay_steps": 0, "lr": 1e30}}, checkpoint_minutes=0.0)
    with pytest.raises(ConfigError, match=r"step \d+: .*cyc_img.* not finite") as caught:
        trained(tmp_path / "run", settings)
    assert "optim.lr" in caught.value.hint
    step = int(str(caught.value).split()[1].rstrip(":"))
    assert step >= 1
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt")["step"] == step


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path: Path) -> None:
    settings = tiny_settings()
    trained(tmp_path, settings)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(ConfigError, match="already holds a run"):
        trained(tmp_path, settings)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_resuming_on_other_data_is_refused(tmp_path: Path) -> None:
    """The bundle would carry a false sentence about what it was trained on, and no attribution."""
    settings = tiny_settings()
    Trainer(settings, tiny_sampler(settings), tmp_path, data="A CT, by its licence.").run()

    with pytest.raises(WeightsError, match="other settings: --data"):
        Trainer(settings, tiny_sampler(settings), tmp_path, data="Nothing.").run(resume=True)

    again = Trainer(settings, tiny_sampler(settings), tmp_path, data="A CT, by its licence.")
    again.run(resume=True)
    assert json.loads((again.export() / "config.json").read_text())["data"] == "A CT, by its licence."


@pytest.mark.parametrize("text", ["", "{", "[1]", '"text"', '{"steps": 3}'])
def test_a_run_whose_config_is_damaged_is_said_to_be(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"config\.json cannot be read"):
        trained(tmp_path, tiny_settings(), resume=True)


def test_switches_that_leave_no_term_are_an_error(tmp_path: Path) -> None:
    settings = tiny_settings({"cas": {"drl": False}, "weights": dict.fromkeys(CasGan.terms, 0) | {"pred": 1}})
    with pytest.raises(ConfigError, match=r"no term of \[weights\] is computed"):
        trained(tmp_path, settings)


def test_resuming_with_other_settings_is_refused_and_names_them(tmp_path: Path) -> None:
    trained(tmp_path, tiny_settings())
    with pytest.raises(WeightsError, match=r"other settings: seed, optim$"):
        trained(tmp_path, tiny_settings({"optim": {"lr": 1.0}}, seed=2), resume=True)


def test_resuming_nothing_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no run to resume"):
        trained(tmp_path / "run", tiny_settings(), resume=True)
    assert not (tmp_path / "run").exists()


def test_settings_that_do_not_go_together_are_refused_all_at_once_before_anything_is_written(
    tmp_path: Path,
) -> None:
    settings = tiny_settings({"weights": {"gan_z": 1, "pair_l1": 1}, "data": {"whole_steps": 1}})
    x, y = (made_up_frames(seed, side=72, contrast=True) for seed in (1, 2))
    sampler = CropSampler(FrameSet(x.frames, x.levels), y, settings.data, settings.normalisation)
    with pytest.raises(ConfigError) as caught:
        Trainer(settings, sampler, tmp_path / "run").run()
    for fault in ("gan_z", "pair_l1", "whole_steps"):
        assert fault in caught.value.message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("side", "other"), [(72, 72), (80, 96)])
def test_whole_frames_that_the_networks_cannot_take_are_refused(
    tmp_path: Path, side: int, other: int
) -> None:
    settings = tiny_settings({"data": {"whole_steps": 1}})
    x, y = (made_up_frames(1, side=s, contrast=c) for s, c in ((side, False), (other, True)))
    with pytest.raises(ConfigError, match=f"one size, a multiple of 16; they have .*{other} px"):
        Trainer(settings, CropSampler(x, y, settings.data, settings.normalisation), tmp_path / "run").run()


@pytest.mark.train
@pytest.mark.parametrize("reject_input", [False, True])
def test_the_last_steps_may_see_whole_frames(tmp_path: Path, reject_input: bool) -> None:
    """Recorded where the networks take their input: sizes and batches of each step."""
    settings = tiny_settings(
        {
            "data": {"whole_steps": 2},
            "optim": {"steps": 4, "pool": 2},
            "cas": {"reject_input": reject_input},
        }
    )
    seen: list[tuple[int, ...]] = []

    class Recorded(CropSampler):
        def batch(self, size: int, generator: torch.Generator, *, whole: bool = False) -> Batch:
            drawn = super().batch(size, generator, whole=whole)
            seen.append(tuple(drawn.x.shape))
            assert drawn.x.shape == drawn.y.shape
            return drawn

    ours = tiny_sampler(settings)
    Trainer(settings, Recorded(ours.x, ours.y, ours.data, ours.normalisation), tmp_path).run()

    assert seen == [(2, 1, 64, 64)] * 2 + [(1, 1, 80, 80)] * 2


def test_a_run_of_an_earlier_version_is_resumed_with_the_defaults_of_newer_keys(tmp_path: Path) -> None:
    trained(tmp_path, tiny_settings())
    config = json.loads((tmp_path / "config.json").read_text())
    del config["data"]["whole_steps"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert trained(tmp_path, tiny_settings(), resume=True).finished


def test_weights_of_nothing_are_refused(tmp_path: Path) -> None:
    settings = tiny_settings({"weights": dict.fromkeys(tiny_settings().weights, 0)})
    with pytest.raises(ConfigError, match="no term above 0"):
        trained(tmp_path / "run", settings)


def test_a_given_segmentor_is_used_and_not_trained(tmp_path: Path) -> None:
    trained(tmp_path / "first", tiny_settings())
    path = tmp_path / "first" / "segmentor.safetensors"
    settings = tiny_settings({"segmentor": {"path": str(path)}}, seed=9)
    trained(tmp_path / "second", settings)
    given, used = load_file(path), load_file(tmp_path / "second" / "segmentor.safetensors")
    assert given.keys() == used.keys()
    assert all(torch.equal(value, used[key]) for key, value in given.items())


@pytest.mark.parametrize(
    ("origin", "told", "licence"),
    [
        (None, "Generator: Simulated cine. Segmentor: of unknown data.", "NOASSERTION"),
        ("XCAD.", "Generator: Simulated cine. Segmentor: XCAD.", "NOASSERTION"),
        ("Simulated otherwise.", "Simulated cine. Segmentor: Simulated otherwise.", "Apache-2.0"),
        ("Simulated cine.", "Simulated cine.", "Apache-2.0"),
    ],
)
def test_a_bundle_says_what_a_given_segmentor_was_trained_on(
    tmp_path: Path, origin: str | None, told: str, licence: str
) -> None:
    path = tmp_path / "unet.safetensors"
    save_unet(UNet(4), path)
    settings = tiny_settings({"segmentor": {"path": str(path)}})
    if origin is not None:
        write_lesson(path, settings, origin)
    trainer = Trainer(settings, tiny_sampler(settings), tmp_path / "run", data="Simulated cine.")
    trainer.run()
    info = load_bundle(trainer.export()).info
    assert (info.data, info.licence) == (told, licence)


@pytest.mark.parametrize(
    ("origin", "told", "licence"),
    [
        ("XCAD.", "Begun from one trained on: XCAD.", "NOASSERTION"),
        ("Simulated otherwise.", "Begun from one trained on: Simulated otherwise.", "Apache-2.0"),
    ],
)
def test_a_bundle_says_what_its_segmentor_went_on_from(
    tmp_path: Path, origin: str, told: str, licence: str
) -> None:
    path = tmp_path / "unet.safetensors"
    save_unet(UNet(4), path)
    settings = tiny_settings({"segmentor": {"start": str(path)}})
    write_lesson(path, settings, origin)
    trainer = Trainer(settings, tiny_sampler(settings), tmp_path / "run", data="Simulated cine.")
    trainer.run()

    info = load_bundle(trainer.export()).info

    assert info.data.endswith(told)
    assert "Segmentor: Simulated cine." in info.data
    assert info.licence == licence


@pytest.mark.parametrize("content", [None, b"", b"x" * 100])
def test_a_segmentor_that_cannot_be_read_is_refused_and_the_folder_stays_free(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "unet.safetensors"
    if content is not None:
        path.write_bytes(content)
    settings = tiny_settings({"segmentor": {"path": str(path)}})
    with pytest.raises(WeightsError, match=r"unet\.safetensors"):
        trained(tmp_path / "run", settings)
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_segmentor_that_a_failed_start_left_is_not_used_by_the_next(tmp_path: Path) -> None:
    trained(tmp_path / "other", tiny_settings(seed=3))
    (tmp_path / "run").mkdir()
    shutil.copy(tmp_path / "other" / "segmentor.safetensors", tmp_path / "run")
    trained(tmp_path / "run", tiny_settings(seed=4))
    left, used = (load_file(tmp_path / name / "segmentor.safetensors") for name in ("other", "run"))
    assert any(not torch.equal(value, used[key]) for key, value in left.items())


def test_networks_that_cannot_be_built_are_refused_before_a_segmentor_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained_first(*_: object) -> None:
        raise AssertionError("a segmentor was trained first")

    monkeypatch.setattr("casgan_dicom.model.training.trainer.train_segmentor", trained_first)
    with pytest.raises(ConfigError, match=r"data\.crop is 32"):
        trained(tmp_path / "run", load_settings("unit", "smoke", ["data.crop=32"]))
    assert not (tmp_path / "run").exists()


def test_resuming_with_another_method_is_refused_and_said(tmp_path: Path) -> None:
    sampler = tiny_sampler(load_settings("cyclegan", "smoke"))
    Trainer(load_settings("cyclegan", "smoke"), sampler, tmp_path).run()
    with pytest.raises(WeightsError, match="other settings: method"):
        Trainer(load_settings("casgan", "smoke"), sampler, tmp_path).run(resume=True)


def test_a_segmentor_of_another_width_is_refused(tmp_path: Path) -> None:
    trained(tmp_path / "first", tiny_settings())
    path = tmp_path / "first" / "segmentor.safetensors"
    with pytest.raises(WeightsError, match="does not fit a U-Net of this width"):
        trained(tmp_path / "run", tiny_settings({"segmentor": {"path": str(path), "base": 8}}))


def test_sample_pictures_show_four_crops_in_four_columns(tmp_path: Path) -> None:
    trained(tmp_path, tiny_settings(sample_steps=2))
    assert [p.name for p in (tmp_path / "samples").iterdir()] == ["0000002.png"]
    with Image.open(tmp_path / "samples" / "0000002.png") as picture:
        assert picture.mode == "L"
        assert min(picture.size) >= 4 * 64


@pytest.mark.train
def test_channels_last_is_another_layout_of_the_same_training(tmp_path: Path) -> None:
    """The same sums in another order: losses agree to float32."""
    for name, last in (("first", False), ("last", True)):
        settings = tiny_settings({"net": {"channels_last": last}})
        trainer = Trainer(settings, tiny_sampler(settings), tmp_path / name)
        trainer.run()
        weight = dict(trainer.method.generators.named_parameters())["enc_bg.trunk.0.body.0.conv.weight"]
        assert weight.is_contiguous(memory_format=torch.channels_last) is last
    assert_same_rows(tmp_path / "first", tmp_path / "last")


@pytest.mark.train
@pytest.mark.filterwarnings("default")  # torch's compiler warns of what torch itself does
def test_a_compiled_network_trains_as_an_eager_one_and_leaves_the_same_kind_of_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced and taken apart as for the C++ compiler, which would add minutes; one network, no adversary."""
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="aot_eager"))
    for name in ("eager", "compiled"):
        overrides = [f"optim.compile={str(name == 'compiled').lower()}", "optim.amp=false"]
        trained(tmp_path / name, load_settings("oracle", "smoke", overrides))
    assert_same_rows(tmp_path / "eager", tmp_path / "compiled")
    one, other = (load_checkpoint(tmp_path / n / "checkpoint.pt")["method"] for n in ("eager", "compiled"))
    assert one.keys() == other.keys()


@pytest.mark.train
@pytest.mark.filterwarnings("default")  # as above
def test_every_form_of_a_network_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """UNSB calls its generator in more ways than torch would compile; traced only, which counts them too."""
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="eager"))
    monkeypatch.setattr(torch._dynamo.config, "fail_on_recompile_limit_hit", True)
    more = ["optim.compile=true", "optim.steps=3", "optim.decay_steps=1"]
    assert trained(tmp_path, load_settings("unsb", "smoke", [*FLOAT32, *more])).finished


def assert_same_rows(first: Path, second: Path) -> None:
    """Losses of two runs agree to what float32 leaves after some optimiser steps."""
    for row, other in zip(figures(first), figures(second), strict=True):
        assert row == pytest.approx(other, rel=2e-3)
