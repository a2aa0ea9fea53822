"""``casgan-dicom train`` from the outside: what it prints, leaves behind and ends with."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from safetensors.torch import save_file

from casgan_dicom.cli import cli
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.methods.registry import method_names
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import presets
from casgan_dicom.model.training.checkpoint import load_checkpoint


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, ["train", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def folders(tmp_path: Path) -> str:
    """SPEC of two folders of made-up frames."""
    rng = np.random.default_rng(0)
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "cine.npy", rng.random((3, 64, 64), np.float32))
    return f"{tmp_path / 'x'},{tmp_path / 'y'}"


@pytest.fixture
def segmentor(tmp_path: Path) -> str:
    """Override that names a segmentor, because folders hold no masks to train one on."""
    torch.manual_seed(0)
    save_file(UNet(4).state_dict(), tmp_path / "unet.safetensors")
    return f"segmentor.path={tmp_path / 'unet.safetensors'}"


def test_list_names_every_preset_and_stops() -> None:
    result = run("--list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[::2]] == method_names()
    listed = {
        (m, p)
        for m, line in zip(method_names(), lines[1::2], strict=True)
        for p in line.split(": ")[1].split(", ")
    }
    assert listed == set(presets())
    assert "(beyond the paper)" in result.stdout


@pytest.mark.parametrize("given", [("--data", "sim:1"), ("--out", "run"), ()])
def test_data_and_out_are_needed(given: tuple[str, ...]) -> None:
    result = run(*given)
    assert result.exit_code == 2
    assert "--data and --out are needed" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--preset", "desc"), "no preset 'desc'"),
        (("--method", "pix2pix"), "no method 'pix2pix'"),
        (("--set", "optim.step=3"), "did you mean 'optim.steps'"),
        (("--data", "sim:one"), "want sim:SEED"),
        (("--device", "tpu"), "device 'tpu' is unknown"),
        (("--preset", "smoke", "--set", "weights.nonsense=1"), "unknown loss terms in [weights]: nonsense"),
        (("--preset", "smoke", "--set", "data.crop=128"), "data.crop is 128"),
    ],
)
def test_a_wrong_setting_ends_with_code_5_and_leaves_the_folder_free(
    tmp_path: Path, folders: str, arguments: tuple[str, ...], told: str
) -> None:
    result = run("--data", folders, "--out", tmp_path / "run", *arguments)
    assert result.exit_code == 5
    assert told in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run" / "config.json").exists()


def test_what_cannot_begin_is_said_before_anything_is_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rendered(*_: object) -> None:
        raise AssertionError("frames were read first")

    monkeypatch.setattr("casgan_dicom.lab.train.load_domains", rendered)
    (tmp_path / "file").touch()
    for arguments, code, told in (
        (("--out", tmp_path / "none", "--resume"), 5, "holds no run to resume"),
        (("--out", tmp_path / "file" / "run"), 3, "cannot be written"),
        (("--out", tmp_path / "run", "--device", "tpu"), 5, "device 'tpu' is unknown"),
        (("--out", tmp_path / "run", "--set", "weights.nonsense=1"), 5, "unknown loss terms"),
    ):
        result = run("--preset", "smoke", "--data", "sim:1", *arguments)
        assert result.exit_code == code
        assert told in result.stderr


def test_paired_terms_on_folders_are_refused(tmp_path: Path, folders: str, segmentor: str) -> None:
    overrides = [f"--set={o}" for o in (segmentor, "segmentor.base=4", "data.frame_size=0", "data.crop=64")]
    result = run("--preset", "desk-paired", "--data", folders, "--out", tmp_path / "run", *overrides)
    assert result.exit_code == 5
    assert "pair_l1, pair_dice, pair_attention in [weights] need simulated data" in result.stderr


@pytest.mark.train
def test_frames_from_folders_are_trained_on_with_the_shipped_segmentor(tmp_path: Path, folders: str) -> None:
    result = run("--preset", "smoke", "--data", folders, "--out", tmp_path / "run", "--set", "optim.steps=2")
    assert result.exit_code == 0, result.stderr
    assert "the segmentor is that of the bundle 'atlas'" in result.stderr
    own, shipped = (
        load_bundle(name).segmentor.state_dict() for name in (tmp_path / "run" / "bundle", "atlas")
    )
    assert own.keys() == shipped.keys()
    assert all(torch.equal(value, shipped[key]) for key, value in own.items())


@pytest.mark.train
def test_xcad_is_trained_on_with_a_segmentor_of_its_labelled_angiograms(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("train/trainB", "train/trainC", "test/images", "test/masks"):
        (tmp_path / "xcad" / part).mkdir(parents=True)
        for sequence in range(3):
            pixels = rng.integers(0, 256, (64, 64), np.uint8)
            pixels = np.where(pixels > 230, 255, 0).astype(np.uint8) if part == "test/masks" else pixels
            name = f"{sequence:03}_PPA_44_PSA_00_8.png"
            Image.fromarray(pixels).save(tmp_path / "xcad" / part / name)

    result = run("--preset", "smoke", "--data", f"xcad:{tmp_path / 'xcad'}", "--out", tmp_path / "run")

    assert result.exit_code == 0, result.stderr
    assert "segmentor step 0" in result.stderr
    assert "may not be redistributed" in load_bundle(tmp_path / "run" / "bundle").info.data


@pytest.mark.train
def test_a_smoke_run_on_folders_ends_with_a_bundle_that_translates(
    tmp_path: Path, folders: str, segmentor: str
) -> None:
    out = tmp_path / "run"

    result = run("--preset", "smoke", "--data", folders, "--out", out, "--device", "cpu", "--set", segmentor)

    assert result.exit_code == 0
    assert result.stdout == f"bundle: {out / 'bundle'}\n"
    generator = Generator.load(out / "bundle", device="cpu", engine="torch")
    frames = np.random.default_rng(1).random((2, 64, 64), np.float32)
    synthesis = generator(frames)
    assert synthesis.frames.shape == (2, 64, 64)
    assert np.isfinite(synthesis.frames).all()
    assert run("--preset", "smoke", "--data", folders, "--out", out, "--set", segmentor).exit_code == 5


@pytest.mark.train
def test_a_smoke_run_on_the_simulator_needs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASGAN_DATA", str(tmp_path / "data"))
    out = tmp_path / "run"

    result = run(
        "--preset", "smoke", "--data", "sim:1", "--out", out, "--device", "cpu", "--set", "data.runs=1"
    )

    assert result.exit_code == 0
    info = Generator.load(out / "bundle", device="cpu", engine="torch").info
    assert (info.name, info.data) == (
        "run",
        "Simulated coronary X-ray cine, seed 1, procedural backgrounds.",
    )
    with (out / "metrics.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_the_name_of_a_shipped_bundle_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    for arguments in (("--out", tmp_path / "run", "--name", "casgan-desk"), ("--out", tmp_path / "casgan")):
        result = run("--preset", "smoke", "--data", "sim:1", *arguments)

        assert result.exit_code == 5
        assert "is the name of a shipped bundle" in result.output
    assert list(tmp_path.iterdir()) == []


_TERMINATED = """
import os, signal
from casgan_dicom.cli import main
from casgan_dicom.model.data.sampler import CropSampler

draw, drawn = CropSampler.batch, []

def batch(self, size, generator, *, whole=False):
    drawn.append(size)
    if len(drawn) == 3:
        os.kill(os.getpid(), signal.SIGTERM)
    return draw(self, size, generator, whole=whole)

CropSampler.batch = batch
main()
"""
"""The program, which is told to stop while it draws the batch of its third step."""


@pytest.mark.train
def test_sigterm_saves_and_resume_ends_where_the_uninterrupted_run_does(
    tmp_path: Path, folders: str, segmentor: str
) -> None:
    steps = 8
    overrides = (segmentor, f"optim.steps={steps}", "sample_steps=1000", "optim.ema=0.9")
    fixed = ["train", "--preset", "smoke", "--data", folders, "--device", "cpu", "--name", "same"]
    fixed += [f"--set={override}" for override in overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"

    process = subprocess.run(
        [sys.executable, "-c", _TERMINATED, *fixed, "--out", stopped],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )

    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("stopped at step ")
    at = load_checkpoint(stopped / "checkpoint.pt")["step"]
    assert f"stopped at step {at} of {steps}" in process.stdout
    assert 2 <= at < steps
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the subprocess: sums must be made in the same order
    for out, more in ((stopped, ["--resume"]), (whole, [])):
        assert run(*fixed[1:], "--out", out, *more).exit_code == 0
    torch.set_num_threads(threads)
    assert (stopped / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    for name in ("model.safetensors", "segmentor.safetensors", "config.json"):
        assert (stopped / "bundle" / name).read_bytes() == (whole / "bundle" / name).read_bytes(), name
    first, second = (load_checkpoint(out / "checkpoint.pt")["method"] for out in (stopped, whole))
    assert all(torch.equal(value, second[key]) for key, value in first.items())
