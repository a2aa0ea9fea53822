"""The paired table on a few simulated runs, and the card made of it."""

from __future__ import annotations

import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from casgan_dicom.cli import cli
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.bundle import save_bundle
from casgan_dicom.model.card import judge, write_card
from casgan_dicom.model.evaluate import find_vessels, mean_scores, recall_margin
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import load_settings
from casgan_dicom.model.vessel_metrics import VesselScores


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of untrained networks, as small as they go."""
    torch.manual_seed(0)
    settings = load_settings("casgan", "smoke")
    folder = tmp_path_factory.mktemp("bundle") / "casgan-smoke"
    nets = method_class(settings.method).build_generators(settings)
    save_bundle(folder, settings, nets.state_dict(), UNet(settings.segmentor.base).state_dict(), data="none")
    return folder


@pytest.fixture(scope="module")
def report(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of `casgan-dicom evaluate` on two runs."""
    folder = tmp_path_factory.mktemp("evaluation")
    arguments = ["evaluate", str(bundle), "--runs", "2", "--training-runs", "2", "--steps", "2"]
    result = CliRunner().invoke(
        cli, [*arguments, "--out", str(folder / "report")], env={"CASGAN_DATA": str(folder)}
    )
    assert result.exit_code == 0, result.output
    return folder / "report"


def test_the_report_has_the_rows_that_give_a_score_its_meaning(report: Path) -> None:
    figures = json.loads((report / "report.json").read_text())
    assert [row["name"] for row in figures["rows"]] == [
        "identity",
        "chance",
        "casgan-smoke",
        "oracle",
        "truth",
    ]
    assert figures["frames"] == 8
    assert figures["protocol"]["cue"] == 1.0


def test_the_identity_row_leaves_the_background_alone_and_the_truth_holds_contrast(report: Path) -> None:
    rows = {row["name"]: row for row in json.loads((report / "report.json").read_text())["rows"]}
    assert rows["identity"]["background_psnr"] == "inf"
    assert 20 < rows["truth"]["background_psnr"] < 80


def test_only_generators_with_attention_have_it_in_the_table(report: Path) -> None:
    rows = {row["name"]: row for row in json.loads((report / "report.json").read_text())["rows"]}
    assert rows["identity"]["attention_inside"] is None
    assert 0 < rows["casgan-smoke"]["attention_inside"] < 1


def test_the_table_and_a_page_of_pictures_are_written(report: Path) -> None:
    assert (report / "table.md").read_text().count("\n") == 7
    assert (report / "pictures.png").stat().st_size > 10_000


def test_the_judges_are_kept_for_the_next_evaluation(report: Path) -> None:
    kept = sorted(file.name.split("-")[0] for file in report.glob("*.safetensors"))
    assert kept == ["oracle", "segmentor"]


def test_a_card_says_what_was_measured_and_what_was_missed(
    bundle: Path, report: Path, tmp_path: Path
) -> None:
    (tmp_path / "metrics.csv").write_text("step,lr_factor,gan_y,rec\n10,1,0.5,0.2\n20,1,0.4,0.1\n")
    card = write_card(bundle, report, tmp_path).read_text()
    assert "never for\ndiagnosis" in card
    assert (report / "table.md").read_text() in card
    assert "Aims missed" in card
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


def test_a_card_refuses_a_report_on_other_weights(bundle: Path, report: Path, tmp_path: Path) -> None:
    figures = json.loads((report / "report.json").read_text())
    for row in figures["rows"]:
        row["weights_sha256"] = "0" * 64
    (tmp_path / "report.json").write_text(json.dumps(figures))
    with pytest.raises(ConfigError, match="'casgan-smoke' measured other weights"):
        write_card(bundle, tmp_path, tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"rows": [{"name": "casgan-smoke"}]}'])
def test_a_report_of_another_version_is_said_to_be_one(bundle: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ConfigError, match="no report of this version"):
        write_card(bundle, tmp_path, tmp_path)


def test_two_bundles_of_one_name_are_no_table(bundle: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", str(bundle), str(bundle), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 5
    assert "two bundles are named 'casgan-smoke'" in result.output
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_said_before_anything_is_trained(
    bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(cli, ["evaluate", str(bundle), "--out", str(tmp_path / "file" / "out")])
    assert result.exit_code == 3
    assert "cannot be written" in result.output


@pytest.mark.parametrize(
    "option", [("--runs", "1"), ("--steps", "0"), ("--training-runs", "0"), ("--cue", "-1")]
)
def test_evaluate_refuses_numbers_without_a_meaning(
    bundle: Path, tmp_path: Path, option: tuple[str, str]
) -> None:
    """With one run, the tree of another run would be its own: chance would equal the truth."""
    result = CliRunner().invoke(cli, ["evaluate", str(bundle), *option, "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert option[0] in result.output


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


def test_a_margin_is_over_patients_not_over_frames() -> None:
    """Three patients of two frames each: the frames' own scatter must not make the error smaller."""

    def frames(*recalls: float) -> list[VesselScores]:
        return [VesselScores(0.0, recall, 0.0, 0.0, 0.0, 0.0) for recall in recalls]

    row = [frames(0.2, 0.4), frames(0.5, 0.5), frames(0.1, 0.9)]
    chance = [frames(0.1, 0.1), frames(0.2, 0.4), frames(0.4, 0.0)]

    margin = recall_margin(row, chance)

    differences = [0.2, 0.2, 0.3]
    assert margin.mean == pytest.approx(statistics.mean(differences))
    assert margin.error == pytest.approx(statistics.stdev(differences) / 3**0.5)


def test_one_patient_has_no_standard_error() -> None:
    one = [[VesselScores(0.0, 0.5, 0.0, 0.0, 0.0, 0.0)]]
    assert np.isnan(recall_margin(one, one).error)


def test_undefined_scores_do_not_enter_a_mean() -> None:
    nan = float("nan")
    a = VesselScores(0.2, 0.2, 0.2, 0.0, nan, 30.0)
    b = VesselScores(0.4, 0.4, 0.4, 0.02, 0.5, 40.0)
    mean = mean_scores([a, b])
    assert mean.on_heart == 0.5
    assert mean.dice == pytest.approx(0.3)
    assert np.isnan(mean.attention_inside)


def test_vessels_are_found_by_what_the_segmentor_marks() -> None:
    net = UNet(4)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.head.bias = torch.nn.Parameter(torch.ones(1))
    frames = np.random.default_rng(0).random((5, 32, 32), dtype=np.float32)
    assert find_vessels(net.eval(), frames).all()


def test_evaluate_needs_simulated_truth(bundle: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", str(bundle), "--data", f"{tmp_path},{tmp_path}", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 5
    assert "must be sim:SEED" in result.output
