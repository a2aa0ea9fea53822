"""What is said of a roadmap that was measured on simulated pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.lab.evaluate_roadmap import evaluate_roadmap
from casgan_dicom.model.data.run_pairs import PairChange, another_target, film_pair
from casgan_dicom.model.evaluation.roadmap_failures import OF_BOTH, OF_TARGET, Outcome, failure_scores
from casgan_dicom.model.evaluation.roadmap_report import PairProtocol, PairReport, markdown
from casgan_dicom.model.metrics.overlay import OverlayScores
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds
from casgan_dicom.model.simulator.run import CineSettings

_GOOD, _BAD = OverlayScores(0.8, 0.9, 0.9, 1.0), OverlayScores(0.1, 0.2, 0.1, 9.0)


def test_a_refused_frame_is_no_failure_and_a_wrong_one_is() -> None:
    outcomes = [Outcome((True, False, False), (_BAD, _BAD, _GOOD)), Outcome.unusable(1)]

    scores = failure_scores(outcomes)

    assert (scores.runs, scores.unusable) == (2, 1)
    assert scores.refused == pytest.approx(2 / 4)
    assert scores.refused_or_right == pytest.approx(3 / 4)
    assert scores.recall == pytest.approx((0.2 + 0.9) / 2)
    assert np.isnan(failure_scores([Outcome.unusable(2)]).recall)


def test_the_page_has_every_row_and_every_failure() -> None:
    rows = {"roadmap": _GOOD, "static, diastole": _BAD}
    failures = {"another patient": failure_scores([Outcome.unusable(3)])}
    report = PairReport(PairProtocol(), (rows, {**rows, "chance": _BAD}), ((0.9, 1.0),) * 2, 1, failures, "")

    page = markdown(report)

    assert "| roadmap | 2 | 0.80 | 0.90 | 0.90 | 1.0 | 0.80 |" in page
    assert "| chance | 1 |" in page
    assert "in 100 % of the patients" in page
    assert "1 of 3" in page
    assert "| another patient | 1 | 100 % | 100 % | - |" in page
    assert "No failures" in markdown(replace(report, failures={}))


def test_only_changes_of_the_second_run_are_laid_over_a_first_one() -> None:
    settings = CineSettings(size=64, frames=20)
    source = ProceduralBackgrounds()
    pair = film_pair(3, settings, source, indices=((0, 19), (0, 1)))

    panned = another_target(pair, source, PairChange(pan_mm=15.0), (0, 19))

    assert panned.reference is pair.reference
    assert np.linalg.norm(panned.target.run.pan_px(1.2) - pair.target.run.pan_px(1.2)) > 3
    assert panned.table_mm[1] == pytest.approx(pair.table_mm[1])  # in no header
    assert pair.filled == (False, True)
    assert pair.target.vessel_mask.any(axis=(1, 2)).all()
    with pytest.raises(ValueError, match="irregular"):
        another_target(pair, source, PairChange(irregular=True))
    assert not set(OF_TARGET) & set(OF_BOTH)


def test_folders_are_no_pairs(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(ConfigError, match="simulated runs"):
        evaluate_roadmap(["casgan-desk"], data=f"{tmp_path / 'x'},{tmp_path / 'x'}", out=tmp_path / "out")
