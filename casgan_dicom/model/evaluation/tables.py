"""The tables of a report, as Markdown: the paper's two, with vessel scores beside, or one plain table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.bundle.bundle import is_simulated
from casgan_dicom.model.evaluation.evaluate import Report
from casgan_dicom.model.evaluation.lines import Line, line_of, subject_lines
from casgan_dicom.model.evaluation.paper import TABLE_1, TABLE_2
from casgan_dicom.model.evaluation.rows import ANOTHER_TREE, NO_CATHETER, NO_VIEW, OWN_HEART
from casgan_dicom.model.evaluation.subjects import ALL_ON, Subject, paper_order

TableName = Literal["1", "2", "all"]


@dataclass(frozen=True)
class Column:
    """One column of figures."""

    title: str
    """Its head."""
    key: str
    """Dotted name of the figure."""
    form: str = ".3f"
    """How it is written."""
    scale: float = 1.0
    """It is written times this."""

    def cell(self, line: Line) -> str:
        """Write the figure of a line."""
        value = line.figures.get(self.key, math.nan)
        if math.isnan(value):
            return "—"
        if math.isinf(value):
            return "∞"
        text = format(value * self.scale, self.form)
        error = line.spread.get(self.key)
        if error is None or not math.isfinite(error):
            return text
        return f"{text} ± {format(error * self.scale, self.form.lstrip('+'))}"


@dataclass(frozen=True)
class Fact:
    """One column of what is known about a bundle."""

    title: str
    """Its head."""
    text: Callable[[Subject], str]
    """What to write of a bundle."""

    def cell(self, line: Line) -> str:
        """Write the fact of a line's bundle."""
        return "" if line.subject is None else self.text(line.subject)


VESSELS = (
    Column("Dice", "dice"),
    Column("clDice", "cldice"),
    Column("centreline recall", "recall"),
    Column("recall less chance", "recall_margin.mean", "+.3f"),
    Column("centreline precision", "precision"),
    Column("hallucination %", "hallucination", ".0f", 100),
    Column("contrast drawn / true", "contrast_ratio", ".2f"),
    Column("background PSNR dB", "background_psnr", ".1f"),
    Column("background flicker / true", "flicker.background_ratio", ".2f"),
    Column("steadiness", "flicker.steadiness"),
    Column("cover %", "cover", ".2f", 100),
    Column("on the heart %", "on_heart", ".0f", 100),
    Column("mean A inside", "attention_inside"),
    Column("mean A outside", "attention_outside"),
)
PLACE = (
    Column("recall less another tree", "place.less_another", "+.3f"),
    Column("recall at 8 px", "place.recall_wide"),
    Column("recall of thick vessels", "recall_thick"),
    Column("cover over truth", "place.cover_ratio", ".2f"),
    Column("largest part %", "place.largest", ".0f", 100),
    Column("artery right %", "place.artery_right", ".0f", 100),
    Column("angle error °", "place.angle_error_deg", ".1f"),
    Column("ostium px", "place.ostium_px", ".1f"),
    Column("ostium p90 px", "place.ostium_p90_px", ".1f"),
    Column("nothing drawn %", "place.refused", ".0f", 100),
)
TRAINED = (
    Fact("parameters", lambda s: f"{s.parameters:,}"),
    Fact("steps", lambda s: f"{s.steps:,}"),
    Fact("images seen", lambda s: f"{s.images:,}"),
    Fact("cue in training", lambda s: f"{s.cue:g}" if is_simulated(s.data) else "—"),
)
PAPER_1 = (
    Fact("paper: FID, XCAD", lambda s: "" if s.beyond_paper else f"{TABLE_1[s.method][0]:.2f}"),
    Fact("paper: MMD ×10, XCAD", lambda s: "" if s.beyond_paper else f"{TABLE_1[s.method][1]:.2f}"),
)
PAPER_2 = (
    Fact("DRL", lambda s: _mark(s, 0)),
    Fact("VSGG", lambda s: _mark(s, 1)),
    Fact("VSGL", lambda s: _mark(s, 2)),
    Fact("paper: FID, XCAD", lambda s: "" if s.beyond_paper or s.bits is None else f"{TABLE_2[s.bits]:.2f}"),
)


def _mark(subject: Subject, bit: int) -> str:
    return "✓" if subject.bits is not None and subject.bits[bit] else "–"


def table_1(subjects: Sequence[Subject]) -> list[Subject]:
    """The bundles of Table I: every method, CAS-GAN with all switches on; in the paper's order."""
    return sorted((s for s in subjects if s.bits in (None, ALL_ON)), key=paper_order)


def table_2(subjects: Sequence[Subject]) -> list[Subject]:
    """The bundles of Table II: CAS-GAN with any switches; in the paper's order."""
    rows = [s for s in subjects if s.bits is not None]
    return sorted(rows, key=lambda s: (s.bits or ALL_ON, s.beyond_paper, s.label))


def check_table(subjects: Sequence[Subject], table: TableName) -> None:
    """Raise ConfigError when none of the bundles belongs to the table."""
    wanted = {"1": table_1, "2": table_2}.get(table)
    if wanted is not None and not wanted(subjects):
        needs = "a bundle of CAS-GAN" if table == "2" else "a bundle of a method with all its parts"
        raise ConfigError(f"table {table} needs {needs}", hint="leave --table out for a plain table")


def markdown(report: Report, table: TableName = "all") -> str:
    """Write the tables of a report.

    "all" gives Table 1 where there are two methods, Table 2 where there are two settings of CAS-GAN's
    switches, and a plain table of all bundles where these would leave one out.
    """
    check_table(report.subjects, table)
    one, two = table_1(report.subjects), table_2(report.subjects)
    parts = [conditions(report)]
    if table == "1" or (table == "all" and len({s.method for s in one}) > 1):
        parts.append(_section("Table 1: methods", report, one, PAPER_1))
    else:
        one = []
    if table == "2" or (table == "all" and len({s.bits for s in two}) > 1):
        parts.append(_section("Table 2: ablation of CAS-GAN", report, two, PAPER_2))
    else:
        two = []
    if table == "all" and {s.label for s in report.subjects} - {s.label for s in (*one, *two)}:
        parts.append(_section("All bundles", report, report.subjects, ()))
    return "\n".join(parts)


def conditions(report: Report) -> str:
    """Say on what everything was measured."""
    if (protocol := report.protocol) is not None:
        text = (
            f"{report.frames} frames of {protocol.runs} simulated runs ({report.data} backgrounds, seed "
            f"{report.seed}) that no training saw; cue strength {protocol.cue:g} in the input. ± is the "
            "standard error over runs, or the standard deviation over seeds."
        )
        steady = next((row.flicker.true_steadiness for row in report.rows if row.flicker), math.nan)
        if not math.isnan(steady):
            text += f" Steadiness: Dice of vessels in one frame and the next; true vessels have {steady:.3f}."
        if report.data == "ct":
            text += " Every chest, here and in training, is a variant of one CT."
        real, floor = "simulated angiograms of other runs", "two such sets of other runs"
    else:
        text = (
            f"{report.frames} frames. {report.source} Their vessels are not known, so no vessel score exists."
        )
        if any(subject.kept_nothing for subject in report.subjects):
            text += " **Training kept no frames back: these may be frames that the bundles were trained on.**"
        real, floor = "real angiograms", "random halves of these"
    sets = next((row.sets for row in report.rows if row.sets is not None), None)
    if sets is None:
        return f"{text}\nNo distances between sets: no extractor.\n"
    a, b = sets.n_floor
    return (
        f"{text}\n{sets.score_name} and MMD (extractor {report.extractor}) compare {sets.n_generated} images "
        f"with {sets.n_real} {real}; the floor is the distance of {floor}, {a} and {b} frames. A Fréchet "
        f"distance grows as sets get smaller: only the one at the floor's {a} images may be held against the "
        "floor. None of them sees whether a vessel lies in its place.\n"
    )


def _section(title: str, report: Report, subjects: Sequence[Subject], paper: Sequence[Fact]) -> str:
    rows = {row.name: row for row in report.rows}
    lines = [line_of(rows[name]) for name in ("identity", "chance", ANOTHER_TREE, OWN_HEART) if name in rows]
    lines += subject_lines(report, subjects)
    lines += [line_of(rows[name]) for name in rows if name.endswith((NO_VIEW, NO_CATHETER))]
    lines += [line_of(rows[name]) for name in ("oracle", "truth") if name in rows]
    parts = [f"### {title}", ""]
    if paper:
        parts += [
            "The paper's figures (XCAD, an extractor that is not published) are not comparable.",
            "",
        ]
    sets = next((row.sets for row in report.rows if row.sets is not None), None)
    floor = []
    figures: list[Column] = []
    if sets is not None:
        figures = _set_columns(sets.score_name)
        floor = [
            Line(
                "floor: angiograms and angiograms",
                {
                    "sets.fd_at_floor": sets.floor_fd,
                    "sets.mmd_poly_x10": sets.floor_mmd_poly_x10,
                    "sets.mmd_rbf_x10": sets.floor_mmd_rbf_x10,
                    "sets.n_generated": sets.n_floor[0],
                },
            )
        ]
    images = [line for line in lines if line.subject is not None or "sets.fd" in line.figures]
    parts += [_grid(images + floor, [*paper, *figures, *TRAINED]), ""]
    if any(row.scores is not None for row in report.rows):
        parts += [_grid(lines, VESSELS), ""]
    if any(row.place is not None for row in report.rows):
        parts += [_grid(lines, PLACE), ""]
    return "\n".join(parts)


def _set_columns(score_name: str) -> list[Column]:
    return [
        Column(score_name, "sets.fd", ".1f"),
        Column(f"{score_name} at the floor's N", "sets.fd_at_floor", ".1f"),
        Column("MMD poly ×10", "sets.mmd_poly_x10"),
        Column("MMD rbf ×10", "sets.mmd_rbf_x10"),
        Column("N", "sets.n_generated", ".0f"),
    ]


def _grid(lines: Sequence[Line], columns: Sequence[Column | Fact]) -> str:
    head = f"| row | {' | '.join(column.title for column in columns)} |"
    rows = [f"| {_label(line)} | {' | '.join(column.cell(line) for column in columns)} |" for line in lines]
    return "\n".join([head, "|---" * (len(columns) + 1) + "|", *rows])


def _label(line: Line) -> str:
    beyond = line.subject is not None and line.subject.beyond_paper
    return f"{line.label} (beyond the paper)" if beyond else line.label
