"""``casgan-dicom reference`` and ``convert --reference`` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from casgan_dicom.cli import cli
from casgan_dicom.model import generator as module
from tests.support.factories import uid
from tests.support.roadmap import DarkIsVessel, write_reference, write_target


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A target, and a folder with its reference and a run of another view."""
    write_target(tmp_path / "target" / "a")
    write_reference(tmp_path / "study" / "a")
    other: dict[str, Any] = {"SOPInstanceUID": uid("view"), "SeriesInstanceUID": uid("series of view")}
    write_reference(tmp_path / "study" / "b", PositionerPrimaryAngle=45, PatientName="SECRET^NAME", **other)
    return tmp_path


@pytest.fixture
def dark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a segmentor that takes what is dark for vessel stand in for the shipped bundle."""
    monkeypatch.setattr(module.Generator, "load", lambda *_, **__: DarkIsVessel().as_generator())


def test_every_run_is_listed_with_every_criterion(runs: Path, dark: None) -> None:
    result = run("reference", runs / "target", "--in", runs / "study")

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"run {uid('series')}"
    assert lines[1] == f"  fits: {uid('reference series')}, 48 frames"
    assert "    + filled: 39 of 48 frames show filled vessels, 2.60 s of them in a row" in lines
    assert f"  does not fit: {uid('series of view')}, 48 frames" in lines
    assert "    - angles: 75 and 0 degrees apart, at most 2" in lines
    assert any(line.startswith("    ? frame of reference: ") for line in lines)
    assert "SECRET" not in result.stdout + result.stderr


def test_headers_alone_leave_the_filled_frames_unknown(runs: Path) -> None:
    result = run("reference", runs / "target", "--in", runs / "study", "--headers-only", "--json")

    first, second = json.loads(result.stdout)["targets"][0]["references"]
    assert (first["fits"], second["fits"]) == (True, False)
    assert first["gap_s"] == 480
    verdicts = {one["criterion"]: one["answer"] for one in first["verdicts"]}
    assert verdicts["filled"] == "unknown"
    assert verdicts["patient"] == "fits"


@pytest.mark.parametrize(("search", "code"), [([], 3), (["study/b"], 3)])
def test_no_reference_at_all_has_an_exit_code(runs: Path, search: list[str], code: int) -> None:
    options = [part for name in search for part in ("--in", str(runs / name))]

    assert run("reference", runs / "target", *options, "--headers-only").exit_code == code


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--in", "study"], "--in is of --reference"),
        (["--no-roadmap", "omit"], "--no-roadmap is of --reference"),
        (["--reference", "study/a", "--in", "study"], "--in is of --reference auto"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(runs: Path, options: list[str], told: str) -> None:
    result = run("convert", runs / "target", *options)

    assert result.exit_code == 2
    assert told in result.stderr


def test_the_nearest_run_is_laid_over_and_named(runs: Path, dark: None, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("convert", runs / "target", "--reference", "auto", "--in", runs / "study", "-o", out)

    assert result.exit_code == 0, result.stderr
    assert f"Reference series {uid('reference series')}, filled in frames 10-48" in result.stderr
    assert json.loads((out / "report.json").read_text())["outputs"][0]["roadmap"]["clock"] == "10:42"


def test_a_dry_run_names_the_reference(runs: Path, tmp_path: Path) -> None:
    asked = ("convert", runs / "target", "--reference", "auto", "--in", runs / "study", "--dry-run")

    plain, told = run(*asked), run(*asked, "--json")

    assert f"vessels of {uid('reference series')}" in plain.stdout
    (would,) = json.loads(told.stdout)["would_convert"]
    assert would["references"] == [uid("reference series")]


def test_a_refused_run_is_an_exit_code_with_its_reason(runs: Path, tmp_path: Path) -> None:
    result = run("convert", runs / "target", "--reference", runs / "study" / "b", "-o", tmp_path / "out")

    assert result.exit_code == 3
    assert "reference refused: angles: 75 and 0 degrees apart" in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.json"]
