"""The card of a bundle, made of a report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.bundle.card import judge, write_card
from casgan_dicom.model.evaluation.report import write_report
from casgan_dicom.model.evaluation.subjects import find_subjects
from tests.model.bundles import write_bundle
from tests.model.evaluation.reports import report as report_on


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of untrained networks, as small as they go."""
    return write_bundle(tmp_path_factory.mktemp("bundle") / "casgan-smoke")


@pytest.fixture(scope="module")
def report(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on it."""
    folder = tmp_path_factory.mktemp("evaluation") / "report"
    write_report(report_on(*find_subjects([bundle])), folder)
    return folder


def test_a_card_says_what_was_measured_and_what_was_missed(
    bundle: Path, report: Path, tmp_path: Path
) -> None:
    (tmp_path / "metrics.csv").write_text("step,lr_factor,gan_y,rec\n10,1,0.5,0.2\n20,1,0.4,0.1\n")
    card = write_card(bundle, report, tmp_path).read_text()
    assert "never for diagnosis" in card
    assert (report / "table.md").read_text() in card
    assert "Aims missed" in card
    assert "| Simulator | none |" in card  # its weights are drawn at random
    assert (bundle / "curve.png").is_file()
    assert (bundle / "pictures.png").is_file()


def test_a_card_without_a_run_keeps_the_learning_curve(bundle: Path, report: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    (copy / "curve.png").unlink(missing_ok=True)
    with pytest.raises(ConfigError, match=r"holds no curve\.png"):
        write_card(copy, report)
    (copy / "curve.png").write_bytes(b"drawn before")
    write_card(copy, report)
    assert (copy / "curve.png").read_bytes() == b"drawn before"


def test_a_card_needs_its_row_in_the_report(bundle: Path, report: Path, tmp_path: Path) -> None:
    figures = json.loads((report / "report.json").read_text())
    figures["rows"] = [row for row in figures["rows"] if row["name"] != "casgan-smoke"]
    (tmp_path / "report.json").write_text(json.dumps(figures))
    with pytest.raises(ConfigError, match="no row 'casgan-smoke'"):
        write_card(bundle, tmp_path, tmp_path)


def test_a_card_is_written_of_the_row_that_measured_its_seed(
    bundle: Path, report: Path, tmp_path: Path
) -> None:
    """Where several seeds were measured, a row's name is the bundle's and its seed."""
    figures = json.loads((report / "report.json").read_text())
    seeds = [row | {"name": f"casgan-smoke-s{k}"} for k in (1, 2) for row in figures["rows"][2:3]]
    seeds[1] |= {"weights_sha256": "0" * 64, "cover": 0.0}
    others = [row for row in figures["rows"] if row["name"] != "casgan-smoke"]
    shutil.copytree(report, tmp_path / "report")
    (tmp_path / "report" / "report.json").write_text(json.dumps(figures | {"rows": others + seeds}))
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    (copy / "curve.png").write_bytes(b"drawn before")
    assert "vessel cover is 1.00 of the truth's" in write_card(copy, tmp_path / "report").read_text()


def test_a_card_refuses_a_report_on_other_weights(bundle: Path, report: Path, tmp_path: Path) -> None:
    figures = json.loads((report / "report.json").read_text())
    for row in figures["rows"]:
        row["weights_sha256"] = "0" * 64
    (tmp_path / "report.json").write_text(json.dumps(figures))
    with pytest.raises(ConfigError, match="'casgan-smoke' measured other weights"):
        write_card(bundle, tmp_path, tmp_path)


def test_a_card_needs_vessel_scores(bundle: Path, report: Path, tmp_path: Path) -> None:
    """A report on a folder's frames has distances between sets only."""
    figures = json.loads((report / "report.json").read_text()) | {"protocol": None}
    (tmp_path / "report.json").write_text(json.dumps(figures))
    with pytest.raises(ConfigError, match="holds no vessel scores"):
        write_card(bundle, tmp_path, tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"rows": [{"name": "casgan-smoke"}]}'])
def test_a_report_of_another_version_is_said_to_be_one(bundle: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ConfigError, match="no report of this version"):
        write_card(bundle, tmp_path, tmp_path)


def test_aims_are_judged_against_chance_and_truth() -> None:
    truth = {"cover": 0.03, "recall": 0.9}
    chance = {"cover": 0.03, "recall": 0.2}
    good: dict[str, Any] = {
        "cover": 0.02,
        "recall": 0.3,
        "on_heart": 0.8,
        "attention_inside": 0.4,
        "attention_outside": 0.1,
    }
    good |= {"recall_margin": {"mean": 0.1, "error": 0.04}}
    bad: dict[str, Any] = {
        "cover": 0.001,
        "recall": 0.1,
        "on_heart": 0.2,
        "attention_inside": 0.1,
        "attention_outside": 0.1,
    }
    bad |= {"recall_margin": {"mean": -0.1, "error": 0.01}}
    rows = {"truth": truth, "chance": chance}
    assert [met for met, _ in judge(good, rows)] == [True, True, True, True]
    assert [met for met, _ in judge(bad, rows)] == [False, False, False, False]


@pytest.mark.parametrize(
    ("mean", "error", "met"),
    [(0.05, 0.02, True), (0.03, 0.02, False), (0.05, None, False), (0.0, 0.0, False)],
)
def test_recall_is_above_chance_only_beyond_two_standard_errors(
    mean: float, error: float | None, met: bool
) -> None:
    row: dict[str, Any] = {"cover": 0.03, "recall": 0.3, "on_heart": 0.8, "attention_inside": None}
    row |= {"recall_margin": {"mean": mean, "error": error}}
    findings = judge(row, {"truth": row, "chance": row})
    assert [found for found, text in findings if "recall" in text] == [met]


def test_a_planned_tree_has_aims_of_its_own() -> None:
    place = {
        **{"less_another": 0.2, "less_another_error": 0.02, "recall_wide": 0.85, "cover_ratio": 1.1},
        **{"artery_right": 0.98, "angle_error_deg": 4.0, "ostium_px": 2.5},
    }
    row = {
        **{"cover": 0.03, "on_heart": 0.95, "attention_inside": None, "recall": 0.4, "dice": 0.45},
        **{"recall_margin": {"mean": 0.25, "error": 0.02}, "place": place},
    }
    off = {**place, "recall_wide": 0.6, "cover_ratio": 1.8, "artery_right": 0.9}
    off |= {"angle_error_deg": 14.0, "ostium_px": 8}
    poor = {
        **row,
        "dice": 0.2,
        "recall_margin": {"mean": 0.15, "error": 0.02},
        "place": {**off, "ostium_px": 8},
    }
    rows = {"truth": row, "chance": {**row, "recall": 0.1}}

    good, bad = ({text: met for met, text in judge(one, rows)} for one in (row, poor))

    assert all(good.values())
    missed = [text for text, met in bad.items() if not met]
    assert len(missed) == 7
    assert "the artery is right in 90 %, aim 97 %" in missed
    assert "the ostium is 8 px of 256 off in the median, aim 3" in missed
