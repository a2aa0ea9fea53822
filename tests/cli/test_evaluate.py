"""`evaluate`: what it takes, what it writes, and what it refuses before anything is trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from casgan_dicom.cli import cli
from tests.model.bundles import write_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "casgan-smoke", ["data.frame_size=64"])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two folders of noise, three series of two frames each."""
    root = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    for name in ("x", "y"):
        (root / name).mkdir()
        for k in range(3):
            np.save(root / name / f"{k}.npy", rng.random((2, 64, 64), dtype=np.float32))
    return f"{root / 'x'},{root / 'y'}"


def evaluate(*arguments: object, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, ["evaluate", *map(str, arguments)], env=env)


def test_a_run_is_measured_on_simulated_truth(bundle: Path, tmp_path: Path) -> None:
    run, out, judges = tmp_path / "run", tmp_path / "out", tmp_path / "judges"
    shutil.copytree(bundle, run / "bundle")
    small = ["--runs", 2, "--training-runs", 1, "--steps", 1, "--cue", 0.5, "--extractor", "none"]
    small += ["--frames", 1, "--cines", 0]

    result = evaluate(
        run, *small, "--judges", judges, "--out", out, "--json", env={"CASGAN_DATA": str(tmp_path)}
    )

    assert result.exit_code == 0, result.output
    figures = json.loads((out / "report.json").read_text())
    assert json.loads(result.stdout) == figures
    names = [
        "identity",
        "chance",
        "another tree",
        "another on the own heart",
        "casgan-smoke",
        "oracle",
        "truth",
    ]
    assert [row["name"] for row in figures["rows"]] == names
    assert (figures["frames"], figures["protocol"]["cue"], figures["extractor"]) == (2, 0.5, "none")
    assert sorted(file.name.split("-")[0] for file in judges.iterdir()) == ["oracle", "segmentor"]
    assert {file.name for file in out.iterdir()} == {"table.md", "table.csv", "report.json", "pictures.png"}


def test_frames_from_folders_give_distances_only_and_it_is_said(
    bundle: Path, folders: str, tmp_path: Path
) -> None:
    result = evaluate(bundle, "--data", folders, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "no vessel score" in result.stderr
    assert "kept no frames" in result.stderr
    assert result.stdout == (tmp_path / "out" / "table.md").read_text()
    rows = json.loads((tmp_path / "out" / "report.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["identity", "casgan-smoke"]
    assert all(row["sets"]["n_generated"] == 6 and row["recall_margin"] is None for row in rows)


def test_a_bundle_of_the_simulator_has_not_seen_the_frames_of_a_folder(folders: str, tmp_path: Path) -> None:
    simulated = write_bundle(tmp_path / "bundle", data="Simulated coronary X-ray cine, seed 1.")
    result = evaluate(simulated, "--data", folders, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "kept no frames" not in result.stderr


def test_folders_without_an_extractor_leave_nothing_to_measure(
    bundle: Path, folders: str, tmp_path: Path
) -> None:
    result = evaluate(bundle, "--data", folders, "--extractor", "none", "--out", tmp_path / "out")
    assert result.exit_code == 5
    assert "nothing can be measured" in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--table", "2"), "table 2 needs a bundle of CAS-GAN"),
        (("--extractor", "resnet"), "extractor 'resnet' is unknown"),
        (("--device", "tpu"), "device 'tpu' is unknown"),
        (("--data", "sim:one"), "data is 'sim:one', want sim:SEED"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(
    tmp_path: Path, arguments: tuple[str, str], told: str
) -> None:
    cut = write_bundle(tmp_path / "cut", method="cut")
    result = evaluate(cut, *arguments, "--out", tmp_path / "out")
    assert result.exit_code == 5
    assert told in result.output
    assert not (tmp_path / "out").exists()


def test_one_bundle_given_twice_is_no_table(bundle: Path, tmp_path: Path) -> None:
    result = evaluate(bundle, bundle, "--out", tmp_path / "out")
    assert result.exit_code == 5
    assert "is given twice" in result.output
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_said_before_anything_is_trained(
    bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    result = evaluate(bundle, "--extractor", "none", "--out", tmp_path / "file" / "out")
    assert result.exit_code == 3
    assert "cannot be written" in result.output


@pytest.mark.parametrize(
    "option",
    [("--runs", "1"), ("--steps", "0"), ("--training-runs", "0"), ("--cue", "-1"), ("--table", "3")],
)
def test_evaluate_refuses_values_without_a_meaning(
    bundle: Path, tmp_path: Path, option: tuple[str, str]
) -> None:
    """With one run, the tree of another run would be its own: chance would equal the truth."""
    result = evaluate(bundle, *option, "--out", tmp_path)
    assert result.exit_code == 2
    assert option[0] in result.output
