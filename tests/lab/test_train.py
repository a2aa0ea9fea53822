"""Training from Python: what it returns, whom it tells, and what it refuses."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from casgan_dicom.errors import ConfigError, WeightsError
from casgan_dicom.lab.train import Trained, TrainOptions, train
from casgan_dicom.lab.training_data import parse_data
from casgan_dicom.model.bundle.bundle import load_bundle

TWO_STEPS = TrainOptions(overrides=("optim.steps=2",), device="cpu")


@pytest.fixture
def folders(tmp_path: Path) -> str:
    """SPEC of two folders of made-up frames."""
    rng = np.random.default_rng(0)
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "cine.npy", rng.random((3, 64, 64), np.float32))
    return f"{tmp_path / 'x'},{tmp_path / 'y'}"


@pytest.mark.train
def test_a_run_ends_with_its_bundle_and_prints_nothing(
    tmp_path: Path, folders: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    trained = train(
        "casgan", "smoke", data=folders, out=str(tmp_path / "run"), options=TWO_STEPS, log=said.append
    )

    assert trained == Trained(step=2, steps=2, bundle=tmp_path / "run" / "bundle")
    assert trained.finished
    info = load_bundle(tmp_path / "run" / "bundle").info
    assert info.name == "run"
    assert info.version == f"1+{info.weights_sha256[:8]}"
    assert info.data.startswith(
        "Frames from two folders of the user's: 3 frames of 1 series without contrast, "
        "3 frames of 1 series with."
    )
    assert "begun from preset 'smoke' with other segmentor.base, optim.steps: 2 steps of 2" in info.recipe
    assert "3 frames without contrast, 3 with" in said
    assert capsys.readouterr() == ("", "")


def test_data_may_be_read_already_and_a_run_that_is_not_there_cannot_go_on(
    tmp_path: Path, folders: str
) -> None:
    with pytest.raises(WeightsError, match="holds no run to resume"):
        train(preset="smoke", data=parse_data(folders), out=tmp_path, options=TrainOptions(resume=True))


def test_a_preset_that_is_not_there_is_an_error_that_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no preset 'desc'") as caught:
        train("casgan", "desc", data="sim:1", out=tmp_path / "run")
    assert "desk" in caught.value.hint
    assert not (tmp_path / "run").exists()


def test_an_empty_text_is_no_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="a path is an empty text"):
        train(preset="smoke", data="sim:1", out="")


def test_one_text_is_no_tuple_of_settings() -> None:
    with pytest.raises(ConfigError, match=r"want a tuple: \('optim\.steps=2',\)"):
        TrainOptions("optim.steps=2")  # type: ignore[arg-type]


def test_two_folders_of_training_data_may_be_two_paths(tmp_path: Path) -> None:
    for name in ("plain", "contrast, all"):
        (tmp_path / name).mkdir()
    data = (tmp_path / "plain", str(tmp_path / "contrast, all"))

    with pytest.raises(ConfigError, match="no PNG, NPY or DICOM frames"):
        train("casgan", "smoke", data=data, out=tmp_path / "run")
    with pytest.raises(ConfigError, match="no folder 'absent'"):
        train(data=(tmp_path / "absent", tmp_path), out=tmp_path / "run")


UNGUARDED = """
import casgan_dicom

tiny = ("data.runs=3", "data.frames_per_run=1", "data.frame_size=32", "data.crop=32")
options = casgan_dicom.TrainOptions(overrides=tiny, device="cpu")
casgan_dicom.train("casgan", "smoke", data="sim:1,cache=no", out="run", options=options)
"""


@pytest.mark.train
def test_a_script_that_its_own_processes_would_run_again_is_told_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(UNGUARDED)

    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "casgan_dicom.errors.ConfigError: a process that renders simulated runs has ended" in done.stderr
    assert "below the line `if __name__ == '__main__':`" in done.stderr


@pytest.mark.train
def test_another_thread_than_the_main_one_trains_too(tmp_path: Path, folders: str) -> None:
    handler = signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(
            train, preset="smoke", data=folders, out=tmp_path / "run", options=TWO_STEPS, log=print
        )

    assert started.result().finished
    assert signal.getsignal(signal.SIGTERM) is handler


def test_what_only_torchrun_needs_is_not_shown() -> None:
    assert repr(Trained(1, 2, None)) == "Trained(step=1, steps=2, bundle=None)"
