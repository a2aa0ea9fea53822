"""Figures of one row, and of the seeds of one recipe."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest

from casgan_dicom.model.evaluation.lines import flat_figures, line_of, mean_of_seeds, subject_lines
from tests.model.evaluation.reports import report, row, subject


def test_every_figure_of_a_row_has_a_dotted_name() -> None:
    figures = flat_figures(row("identity", dice=0.25, fd=77.0))
    assert figures["dice"] == 0.25
    assert figures["recall_margin.mean"] == 0.05
    assert figures["flicker.background_ratio"] == 1.5
    assert figures["sets.fd"] == 77
    assert not any(name.startswith("sets") for name in flat_figures(row("oracle", fd=None)))


def test_after_the_last_seed_of_a_recipe_comes_their_mean() -> None:
    seeds = [subject("cut-paper", "cut", seed=s, label=f"cut-paper-s{s}") for s in (1, 2)]
    alone = subject("unit-paper", "unit")
    lines = subject_lines(report(seeds[0], alone, seeds[1]), [seeds[0], seeds[1], alone])
    labels = ["cut-paper-s1", "cut-paper-s2", "cut-paper, mean of 2 seeds", "unit-paper"]
    assert [line.label for line in lines] == labels


def test_runs_of_one_name_that_differ_in_more_than_their_seed_have_no_mean() -> None:
    first, second = (subject("cut-paper", "cut", seed=s, label=f"cut-paper-s{s}") for s in (1, 2))
    other = replace(second, recipe="longer")
    lines = subject_lines(report(first, other), [first, other])
    assert [line.label for line in lines] == ["cut-paper-s1", "cut-paper-s2"]


def test_the_spread_over_seeds_is_their_standard_deviation() -> None:
    lines = [line_of(row("a", dice=dice), subject("a", "cut")) for dice in (0.1, 0.2, 0.6)]
    mean = mean_of_seeds(lines)
    assert mean.figures["dice"] == pytest.approx(0.3)
    assert mean.spread["dice"] == pytest.approx(statistics.stdev([0.1, 0.2, 0.6]))
    assert mean.seeds == 3
    assert "sets.n_real" not in mean.spread  # a count, and no result


def test_a_figure_that_one_seed_lacks_has_no_mean() -> None:
    whole, lacking = (line_of(row("a", fd=fd), subject("a", "cut")) for fd in (50.0, math.nan))
    mean = mean_of_seeds([whole, lacking])
    assert "sets.fd" not in mean.figures
    assert "dice" in mean.figures
