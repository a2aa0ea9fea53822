"""From frames to the figures of a row."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from casgan_dicom.model.evaluation.scores import mean_scores, recall_margin
from casgan_dicom.model.metrics.flicker import FlickerScores
from casgan_dicom.model.metrics.vessels import VesselScores
from tests.model.evaluation.reports import vessel_scores

NAN = float("nan")


def test_a_margin_is_over_patients_not_over_frames() -> None:
    """Three patients of two frames each: the frames' own scatter must not make the error smaller."""

    def frames(*recalls: float) -> list[VesselScores]:
        return [vessel_scores(recall=recall) for recall in recalls]

    row = [frames(0.2, 0.4), frames(0.5, 0.5), frames(0.1, 0.9)]
    chance = [frames(0.1, 0.1), frames(0.2, 0.4), frames(0.4, 0.0)]

    margin = recall_margin(row, chance)

    differences = [0.2, 0.2, 0.3]
    assert margin.mean == pytest.approx(statistics.mean(differences))
    assert margin.error == pytest.approx(statistics.stdev(differences) / 3**0.5)


def test_one_patient_has_no_standard_error() -> None:
    one = [[vessel_scores(recall=0.5)]]
    assert np.isnan(recall_margin(one, one).error)


def test_undefined_scores_do_not_enter_a_mean() -> None:
    a, b = vessel_scores(dice=0.2, on_heart=NAN), vessel_scores(dice=0.4, on_heart=0.5)
    mean = mean_scores(VesselScores, [a, b])
    assert mean.on_heart == 0.5
    assert mean.dice == pytest.approx(0.3)
    assert np.isnan(mean.attention_inside)


def test_the_mean_of_cines_is_taken_in_the_same_way() -> None:
    mean = mean_scores(FlickerScores, [FlickerScores(0.2, NAN, 0.5, 0.5), FlickerScores(0.4, 2.0, 0.7, 0.5)])
    assert mean.background_flicker == pytest.approx(0.3)
    assert mean.background_ratio == 2
    assert mean.steadiness == pytest.approx(0.6)
    assert np.isnan(mean.warping_error)
