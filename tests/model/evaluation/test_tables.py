"""What the tables hold, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.evaluation.evaluate import Report
from casgan_dicom.model.evaluation.tables import markdown
from tests.model.evaluation.reports import report, row, subject

FULL = (True, True, True)
CASGAN = subject("casgan-table2-8", "casgan", bits=FULL)
PLAIN = subject("casgan-table2-1", "casgan", bits=(False, False, False))
GUIDED = subject("casgan-table2-3", "casgan", bits=(False, True, False))
CYCLEGAN = subject("cyclegan-paper", "cyclegan")
FASTCUT = subject("fastcut-paper", "fastcut", ours=True)


def grids(text: str) -> list[dict[str, dict[str, str]]]:
    """Every Markdown table: cells by the name of the row and the head of the column."""
    found: list[dict[str, dict[str, str]]] = []
    for block in text.split("\n\n"):
        lines = [[c.strip() for c in line.split("|")[1:-1]] for line in block.splitlines() if line[0] == "|"]
        if lines:
            head, _, *rows = lines
            found.append({cells[0]: dict(zip(head[1:], cells[1:], strict=True)) for cells in rows})
    return found


def headings(text: str) -> list[str]:
    return [line.removeprefix("### ") for line in text.splitlines() if line.startswith("#")]


def test_table_1_has_the_papers_order_and_its_figures_beside() -> None:
    text = markdown(report(FASTCUT, PLAIN, CASGAN, CYCLEGAN), "1")
    sets, vessels = grids(text)
    bundles = ["cyclegan-paper", "casgan-table2-8", "fastcut-paper (beyond the paper)"]
    assert list(sets) == ["identity", "chance", *bundles, "truth", "floor: angiograms and angiograms"]
    assert list(vessels) == ["identity", "chance", *bundles, "oracle", "truth"]
    figures = {
        name: (cells["paper: FID, XCAD"], cells["paper: MMD ×10, XCAD"]) for name, cells in sets.items()
    }
    assert figures["cyclegan-paper"] == ("6.54", "0.28")
    assert figures["casgan-table2-8"] == ("5.87", "0.16")
    assert figures[bundles[2]] == ("", "")
    assert "not comparable" in text


def test_table_2_has_the_rows_of_the_ablation_by_their_switches() -> None:
    sets, _ = grids(markdown(report(CASGAN, GUIDED, CYCLEGAN, PLAIN), "2"))
    assert list(sets)[2:5] == ["casgan-table2-1", "casgan-table2-3", "casgan-table2-8"]
    columns = ("DRL", "VSGG", "VSGL", "paper: FID, XCAD")
    assert [sets["casgan-table2-3"][c] for c in columns] == ["–", "✓", "–", "6.57"]
    assert [sets["casgan-table2-8"][c] for c in columns] == ["✓", "✓", "✓", "5.87"]


@pytest.mark.parametrize(
    ("subjects", "tables"),
    [
        ((CASGAN, CYCLEGAN, PLAIN), ["Table 1: methods", "Table 2: ablation of CAS-GAN"]),
        ((CASGAN, CYCLEGAN), ["Table 1: methods"]),
        ((CASGAN, PLAIN), ["Table 2: ablation of CAS-GAN"]),
        ((CASGAN,), ["All bundles"]),
        ((FASTCUT, CYCLEGAN, PLAIN), ["Table 1: methods", "All bundles"]),
    ],
)
def test_all_gives_the_tables_that_the_bundles_allow_and_leaves_none_out(
    subjects: tuple[object, ...], tables: list[str]
) -> None:
    text = markdown(report(*subjects))  # type: ignore[arg-type]
    assert headings(text) == tables
    for one in subjects:
        assert f"| {one.label}" in text  # type: ignore[attr-defined]


@pytest.mark.parametrize(("table", "only"), [("1", PLAIN), ("2", CYCLEGAN)])
def test_a_table_without_a_row_is_refused(table: str, only: object) -> None:
    with pytest.raises(ConfigError, match=f"table {table} needs"):
        markdown(report(only), table)  # type: ignore[arg-type]


def test_facts_of_a_run_stand_beside_its_distances() -> None:
    sets, _ = grids(markdown(report(CYCLEGAN), "1"))
    cells = sets["cyclegan-paper"]
    assert (cells["parameters"], cells["steps"], cells["images seen"]) == ("1,234", "2,000", "4,000")
    assert (cells["cue in training"], cells["N"]) == ("0.5", "120")
    floor = sets["floor: angiograms and angiograms"]
    assert (floor["FD-EffLite0"], floor["FD-EffLite0 at the floor's N"]) == ("—", "40.0")
    assert "FD-EffLite0 at the floor's N" in cells
    assert sets["identity"]["parameters"] == ""


def test_undefined_and_infinite_figures_are_not_written_as_numbers() -> None:
    _, vessels = grids(markdown(report(CYCLEGAN), "1"))
    assert vessels["identity"]["background PSNR dB"] == "∞"
    assert vessels["identity"]["mean A inside"] == "—"
    assert vessels["cyclegan-paper"]["recall less chance"] == "+0.050 ± 0.010"


def test_a_margin_without_an_error_is_written_alone() -> None:
    text = markdown(report(CYCLEGAN, rows=(row("cyclegan-paper", error=float("nan")),)))
    assert grids(text)[1]["cyclegan-paper"]["recall less chance"] == "+0.050"


def test_the_head_tells_on_what_everything_was_measured() -> None:
    head = markdown(report(CYCLEGAN)).split("###")[0]
    for fact in ("120 frames of 30 simulated runs", "seed 7", "cue strength 1 ", "extractor efflite0", "119"):
        assert fact in head


def test_frames_without_truth_have_one_table_and_are_said_to_have_no_vessel_score() -> None:
    without: Report = replace(
        report(CYCLEGAN),
        protocol=None,
        seed=None,
        rows=tuple(
            replace(row(name), scores=None, recall_margin=None, flicker=None)
            for name in ("identity", "cyclegan-paper")
        ),
    )
    text = markdown(without)
    (sets,) = grids(text)
    assert list(sets) == ["identity", "cyclegan-paper", "floor: angiograms and angiograms"]
    assert "no vessel score exists" in text
    assert "random halves" in text


def test_both_other_trees_stand_before_the_bundles() -> None:
    names = ("another tree", "another on the own heart")
    made = report(CYCLEGAN)
    others = tuple(row(name) for name in names)
    text = markdown(replace(made, rows=(*made.rows[:2], *others, *made.rows[2:])), "1")
    vessels = grids(text)[1]
    assert list(vessels)[:4] == ["identity", "chance", *names]
