"""A report on disk."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.evaluation.report import write_report
from casgan_dicom.model.evaluation.tables import markdown
from casgan_dicom.model.settings import DataSettings
from tests.model.evaluation.reports import report, subject

SEEDS = [subject("cut-paper", "cut", seed=s, label=f"cut-paper-s{s}") for s in (1, 3)]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    write_report(report(*SEEDS), tmp_path / "report")
    return tmp_path / "report"


def test_a_report_is_four_files(out: Path) -> None:
    assert {file.name for file in out.iterdir()} == {"table.md", "table.csv", "report.json", "pictures.png"}
    assert (out / "table.md").read_text(encoding="utf-8") == markdown(report(*SEEDS))
    with Image.open(out / "pictures.png") as page:
        page.verify()


def test_the_json_tells_every_figure_and_what_it_was_measured_with(out: Path) -> None:
    figures = json.loads((out / "report.json").read_text())
    rows = {row["name"]: row for row in figures["rows"]}
    assert list(rows) == ["identity", "chance", "cut-paper-s1", "cut-paper-s3", "oracle", "truth"]
    assert rows["identity"]["background_psnr"] == "inf"
    assert rows["identity"]["attention_inside"] is None
    assert rows["oracle"]["sets"] is None
    assert rows["truth"]["sets"]["fd"] == 45
    assert rows["truth"]["sets"]["floor_fd"] == 40
    assert rows["cut-paper-s3"]["weights_sha256"] == f"{3:064x}"
    assert rows["cut-paper-s3"]["bundle"]["steps"] == 2000
    assert (figures["extractor"], figures["seed"], figures["frames"]) == ("efflite0", 7, 120)
    assert figures["protocol"]["cue"] == 1
    assert (rows["cut-paper-s3"]["engine"], rows["truth"]["engine"]) == ("torch-fp32 on cpu", "")
    assert (figures["source"], figures["split"]) == ("Simulated coronary X-ray cine.", None)
    assert figures["judges"] == {"segmentor-1.safetensors": "ab", "oracle-2.safetensors": "cd"}
    assert figures["versions"]["torch"] == version("torch")
    assert figures["source_revision"] == "0123abc"


def test_a_report_of_folders_says_which_part_of_them_it_measured(tmp_path: Path) -> None:
    split = DataSettings(held_out=0.2, split_by="series", split_seed=3)
    of_folders = replace(report(SEEDS[0]), data="folders", source="XCAD.", split=split, protocol=None)
    write_report(of_folders, tmp_path / "report")
    figures = json.loads((tmp_path / "report" / "report.json").read_text())
    assert figures["split"] == {"held_out": 0.2, "split_by": "series", "split_seed": 3}
    assert "120 frames. XCAD. Their vessels are not known" in (tmp_path / "report" / "table.md").read_text()


def test_seeds_of_one_recipe_are_given_together(out: Path) -> None:
    (together,) = json.loads((out / "report.json").read_text())["seeds"]
    assert together["name"] == "cut-paper, mean of 2 seeds"
    assert together["mean"]["sets.fd"] == 52
    assert together["sd"]["sets.fd"] == pytest.approx(2**0.5)


def test_the_csv_has_a_line_for_each_row_and_two_for_the_seeds(out: Path) -> None:
    with (out / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["row"], row["statistic"]) for row in rows][2:] == [
        ("cut-paper-s1", ""),
        ("cut-paper-s3", ""),
        ("oracle", ""),
        ("truth", ""),
        ("cut-paper, mean of 2 seeds", "mean"),
        ("cut-paper, mean of 2 seeds", "sd"),
    ]
    assert float(rows[3]["dice"]) == pytest.approx(0.3)
    assert (rows[3]["seed"], rows[3]["method"], rows[3]["sets.fd"]) == ("3", "cut", "53.0")
    assert rows[4]["sets.fd"] == ""  # the oracle draws no image
    assert float(rows[6]["dice"]) == pytest.approx(0.2)
    assert float(rows[7]["dice"]) == pytest.approx(0.02**0.5)


def test_no_file_is_written_for_a_table_without_rows(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="table 2 needs"):
        write_report(report(*SEEDS), tmp_path / "report", "2")
    assert not (tmp_path / "report").exists()
