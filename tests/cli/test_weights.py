"""``casgan-dicom weights`` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from casgan_dicom.cli import cli
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.export.facts import NOTICE
from casgan_dicom.model.simulator.version import SIMULATOR
from tests.model.bundles import write_bundle


def test_info_says_which_method_a_bundle_is(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", ["data.frame_size=32"])
    result = CliRunner().invoke(cli, ["weights", "info", str(bundle), "--json"])
    assert (result.exit_code, json.loads(result.stdout)["method"]) == (0, "casgan")


def test_export_shows_the_measured_deviation_and_the_notice(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", ["data.frame_size=32"])
    words = ["weights", "export", str(bundle), "--format", "huggingface", "--out", str(tmp_path / "out")]

    result = CliRunner().invoke(cli, words)

    assert result.exit_code == 0, result.output
    assert "drawn: at most 0 from torch, mean 0" in result.stdout
    assert NOTICE in result.stdout


def test_export_as_json_is_the_file_it_wrote(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", ["data.frame_size=32"])
    words = ["weights", "export", str(bundle), "--format", "monai", "--out", str(tmp_path / "out"), "--json"]

    result = CliRunner().invoke(cli, words)

    assert json.loads(result.stdout) == json.loads((tmp_path / "out" / "export.json").read_text())


def test_export_to_a_folder_that_exists_fails(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", ["data.frame_size=32"])
    words = ["weights", "export", str(bundle), "--format", "monai", "--out", str(tmp_path)]

    result = CliRunner().invoke(cli, words)

    assert result.exit_code != 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle"]


@pytest.mark.parametrize(
    ("data", "told"), [("Simulated cine.", str(SIMULATOR)), ("Frames from a folder.", "None")]
)
def test_info_says_which_simulator_made_the_data(tmp_path: Path, data: str, told: str) -> None:
    bundle = write_bundle(tmp_path / "bundle", ["data.frame_size=32"], data=data)
    result = CliRunner().invoke(cli, ["weights", "info", str(bundle)])
    assert f"simulator       {told}" in result.stdout.splitlines()


def test_a_bundle_takes_the_segmentor_of_another(tmp_path: Path) -> None:
    small = ["data.frame_size=32"]
    one, other = (write_bundle(tmp_path / name, small, data=f"Of {name}.") for name in ("one", "other"))

    result = CliRunner().invoke(cli, ["weights", "segmentor", str(one), "--of", str(other)])

    assert result.exit_code == 0
    assert "other" in result.stdout
    assert load_bundle(one).info.data == "Of one. Segmentor: Of other."


def test_a_bundle_takes_from_another_what_tells_the_artery(tmp_path: Path) -> None:
    one = write_bundle(tmp_path / "one", ["data.frame_size=32"])
    words = ["weights", "engagement", str(one)]

    assert CliRunner().invoke(cli, words).exit_code == 2
    assert CliRunner().invoke(cli, [*words, "--data", "sim:1", "--of", "casgan"]).exit_code == 2
    cannot = CliRunner().invoke(cli, [*words, "--of", str(one)])
    assert cannot.exit_code != 0
    assert "cannot tell where a catheter lies" in cannot.output
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
    frames = CliRunner().invoke(cli, [*words, "--data", f"{tmp_path / 'x'},{tmp_path / 'y'}"])
    assert frames.exit_code != 0
    assert "only simulated data tells where a catheter lies" in frames.output
    result = CliRunner().invoke(cli, [*words, "--of", "casgan"])

    assert result.exit_code == 0, result.output
    assert load_bundle(one).engagement is not None
