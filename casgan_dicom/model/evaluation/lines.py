"""A report as lines of plain figures: one for each row, and one for the seeds of one recipe together."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from casgan_dicom.model.evaluation.evaluate import Report
from casgan_dicom.model.evaluation.scores import Row
from casgan_dicom.model.evaluation.subjects import Subject

Figures = dict[str, float]

COUNTS = ("sets.n_", "sets.floor_")
"""How the names of figures begin that are no result of a run."""


@dataclass(frozen=True)
class Line:
    """One line of a table."""

    label: str
    """Its first cell."""
    figures: Mapping[str, float]
    """By dotted name: "dice", "recall_margin.mean", "sets.fd" … NaN or absent: undefined."""
    spread: Mapping[str, float] = field(default_factory=dict)
    """What follows ±: the standard error over patients, or the standard deviation over seeds."""
    subject: Subject | None = None
    """The bundle, the first one of several seeds; None for a row that is no bundle."""
    seeds: int = 1
    """Runs that the figures are the mean of."""


def line_of(row: Row, subject: Subject | None = None) -> Line:
    """Give a row as a line."""
    figures = flat_figures(row)
    spread = {} if row.recall_margin is None else {"recall_margin.mean": row.recall_margin.error}
    if row.place is not None:
        spread["place.less_another"] = row.place.less_another_error
    return Line(row.name, figures, spread, subject)


def flat_figures(row: Row) -> Figures:
    """Give every number of a row by its dotted name."""
    figures: Figures = {} if row.scores is None else dataclasses.asdict(row.scores)
    parts = {"recall_margin": row.recall_margin, "place": row.place, "flicker": row.flicker, "sets": row.sets}
    for name, part in parts.items():
        if part is not None:
            values = dataclasses.asdict(part)
            figures |= {f"{name}.{k}": float(v) for k, v in values.items() if isinstance(v, int | float)}
    return figures


def subject_lines(report: Report, subjects: Sequence[Subject]) -> list[Line]:
    """Lines of these bundles in their order; after the last seed of a recipe the mean of its seeds."""
    rows = {row.name: row for row in report.rows}
    lines: list[Line] = []
    for k, subject in enumerate(subjects):
        lines.append(line_of(rows[subject.label], subject))
        same = [line for line in lines if line.subject is not None and line.subject.recipe == subject.recipe]
        last = all(later.recipe != subject.recipe for later in subjects[k + 1 :])
        seeds = {line.subject.seed for line in same if line.subject is not None}
        if last and len(same) == len(seeds) > 1:  # one seed on two machines is no spread over seeds
            lines.append(mean_of_seeds(same))
    return lines


def mean_of_seeds(lines: Sequence[Line]) -> Line:
    """Mean of the lines of one recipe; ± is the standard deviation over its seeds (divisor n - 1).

    A figure that is undefined for one of them is left out.
    """
    subject = lines[0].subject
    assert subject is not None
    means: Figures = {}
    spread: Figures = {}
    for key in lines[0].figures:
        values = [line.figures.get(key, math.nan) for line in lines]
        if all(map(math.isfinite, values)):
            means[key] = statistics.mean(values)
            if not key.startswith(COUNTS):
                spread[key] = statistics.stdev(values)
    return Line(f"{subject.name}, mean of {len(lines)} seeds", means, spread, subject, len(lines))
