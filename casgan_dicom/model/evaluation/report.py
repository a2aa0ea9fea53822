"""A report as files: table.md and pictures.png for people, table.csv and report.json for programs."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from casgan_dicom.disk import write_json, write_whole
from casgan_dicom.model.evaluation.evaluate import Report
from casgan_dicom.model.evaluation.lines import Line, line_of, subject_lines
from casgan_dicom.model.evaluation.scores import Row
from casgan_dicom.model.evaluation.subjects import Subject
from casgan_dicom.model.evaluation.tables import TableName, markdown
from casgan_dicom.model.training.environment import package_versions
from casgan_dicom.model.training.pictures import save_page

PACKAGES = ("casgan-dicom", "torch", "numpy", "scipy", "scikit-image", "openvino")
"""Whose versions the report tells."""
FACTS = ("name", "method", "seed", "parameters", "steps", "images", "cue", "weights_sha256")
"""What table.csv says about a bundle."""


SPLIT = ("held_out", "split_by", "split_seed")
"""Which settings say what part of folders was measured."""


def write_report(report: Report, out: Path, table: TableName = "all") -> None:
    """Write table.md, table.csv, report.json and pictures.png into `out`, made if it is not there.

    Raises ConfigError when no bundle belongs to `table`.
    """
    text = markdown(report, table)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "table.md", text.encode())
    write_whole(out / "table.csv", table_csv(report).encode())
    write_json(out / "report.json", report_figures(report))
    save_page(out / "pictures.png", report.pictures)


def report_figures(report: Report) -> dict[str, Any]:
    """Give the report as JSON values; an undefined score is null, an infinite one the string "inf"."""
    subjects = {subject.label: subject for subject in report.subjects}
    seeds = [line for line in subject_lines(report, report.subjects) if line.seeds > 1]
    return {
        "rows": [_row(row, subjects.get(row.name)) for row in report.rows],
        "seeds": [
            {"name": line.label, "mean": _numbers(line.figures), "sd": _numbers(line.spread)}
            for line in seeds
        ],
        "protocol": None if report.protocol is None else dataclasses.asdict(report.protocol),
        "data": report.data,
        "source": report.source,
        "split": None if report.split is None else {key: getattr(report.split, key) for key in SPLIT},
        "seed": report.seed,
        "frames": report.frames,
        "extractor": report.extractor,
        "judges": dict(report.judges),
        "versions": {"python": platform.python_version(), **package_versions(PACKAGES)},
        "source_revision": report.source_revision,
    }


def table_csv(report: Report) -> str:
    """Give all figures of all rows as CSV, undefined ones empty; seeds of one recipe as mean and sd too."""
    subjects = {subject.label: subject for subject in report.subjects}
    lines = [line_of(row, subjects.get(row.name)) for row in report.rows]
    lines += [line for line in subject_lines(report, report.subjects) if line.seeds > 1]
    keys = list(dict.fromkeys(key for line in lines for key in line.figures))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "statistic", *FACTS, *keys])
    for line in lines:
        of_several = line.seeds > 1
        writer.writerow(
            [line.label, "mean" if of_several else "", *_facts(line), *_cells(line.figures, keys)]
        )
        if of_several:
            writer.writerow([line.label, "sd", *_facts(line), *_cells(line.spread, keys)])
    return text.getvalue()


def _facts(line: Line) -> list[object]:
    if line.subject is None:
        return [""] * len(FACTS)
    return [
        "" if line.seeds > 1 and name in ("seed", "weights_sha256") else getattr(line.subject, name)
        for name in FACTS
    ]


def _cells(figures: Mapping[str, float], keys: list[str]) -> list[object]:
    values = (figures.get(key, math.nan) for key in keys)
    return ["" if math.isnan(value) else value for value in values]


def _row(row: Row, subject: Subject | None) -> dict[str, Any]:
    scores = {} if row.scores is None else dataclasses.asdict(row.scores)
    parts = {"recall_margin": row.recall_margin, "place": row.place, "flicker": row.flicker, "sets": row.sets}
    bundle = None
    if subject is not None:
        bundle = {name: getattr(subject, name) for name in FACTS} | {
            "bits": subject.bits,
            "beyond_paper": subject.beyond_paper,
        }
    return {
        "name": row.name,
        **_numbers(scores),
        **{
            name: None if part is None else _numbers(dataclasses.asdict(part)) for name, part in parts.items()
        },
        "weights_sha256": "" if subject is None else subject.weights_sha256,
        "engine": row.engine,
        "bundle": bundle,
    }


def _numbers(values: Mapping[str, object]) -> dict[str, object]:
    return {key: _number(value) for key, value in values.items()}


def _number(value: object) -> object:
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return None
    return "inf" if math.isinf(value) else value
