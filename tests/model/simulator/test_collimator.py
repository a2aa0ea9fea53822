"""Beam limits: their shapes, their soft edges, and how much they leave."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.collimator import Collimator
from casgan_dicom.model.simulator.detector import FIELD_STOP

SEEDS = range(120)


@pytest.fixture(scope="module")
def drawn() -> list[Collimator]:
    return [Collimator.sample(np.random.default_rng(seed), 128) for seed in SEEDS]


def blades(collimator: Collimator) -> np.ndarray:
    """Line integral where neither stop nor open field is."""
    covered = ~collimator.field & (collimator.attenuation < FIELD_STOP)
    return np.asarray(collimator.attenuation[covered])


def test_some_blades_let_the_patient_be_seen_and_some_do_not(drawn: list[Collimator]) -> None:
    thickness = np.array([np.percentile(b, 95) for c in drawn if (b := blades(c)).size > 400])

    assert thickness.size > 30
    assert 0.25 < np.mean(thickness < 3.0) < 0.75
    assert thickness.min() > 0.8


def test_edges_are_soft_to_different_degrees(drawn: list[Collimator]) -> None:
    """Steepest change between neighbours over the whole step: 1 is a hard edge, 0.1 a wide penumbra."""
    steepness = []
    for collimator in drawn:
        if blades(collimator).size > 400:
            image = np.where(collimator.attenuation < FIELD_STOP, collimator.attenuation, np.nan)
            steps = [np.nanmax(np.abs(np.diff(image, axis=axis))) for axis in (0, 1)]
            steepness.append(max(steps) / np.nanmax(image))

    assert min(steepness) < 0.4
    assert max(steepness) > 0.7


def test_wedges_lie_softly_over_open_field_in_some_runs(drawn: list[Collimator]) -> None:
    inside = [collimator.attenuation[collimator.field].max() for collimator in drawn]

    wedged = np.array(inside) > 0.15
    assert 0.15 < wedged.mean() < 0.6
    assert max(inside) < 1.5


def test_field_is_cut_at_several_sides_in_some_runs_and_at_none_in_others(drawn: list[Collimator]) -> None:
    middle = [(c.field[64, 0], c.field[64, -1], c.field[0, 64], c.field[-1, 64]) for c in drawn]
    cut = np.array([sum(not side for side in sides) for sides in middle])

    assert {0, 1, 2, 3} <= set(cut.tolist())
    assert all(c.field[40:88, 40:88].all() for c in drawn)


def test_a_narrow_border_of_black_columns_is_found(drawn: list[Collimator]) -> None:
    """One to nine columns of 512, so one or two here, the rest of the row open."""
    stopped = [c.attenuation[64] == FIELD_STOP for c in drawn]

    assert any(0 < row.sum() <= 3 for row in stopped)
