"""Scores of sets: the numbers of frames, the floor, and what may be compared with what."""

from __future__ import annotations

import dataclasses
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.metrics.frechet import frechet_distance
from casgan_dicom.model.metrics.mmd import median_bandwidth, mmd_poly, mmd_rbf
from casgan_dicom.model.metrics.sets import compare_sets

Rows = npt.NDArray[np.float64]


def _draw(n: int, seed: int, shift: float = 0.0, d: int = 12) -> Rows:
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def test_scores_are_the_distances_of_all_frames_under_the_extractors_name() -> None:
    generated, real = _draw(30, 1, 0.5), _draw(50, 2)

    scores = compare_sets(generated, real, "FD-EffLite0")

    assert scores.score_name == "FD-EffLite0"
    assert (scores.n_generated, scores.n_real) == (30, 50)
    assert scores.fd == frechet_distance(generated, real)
    assert scores.mmd_poly_x10 == 10 * mmd_poly(generated, real)
    assert scores.mmd_rbf_x10 == 10 * mmd_rbf(generated, real)


def test_the_floor_compares_two_disjoint_halves_of_the_real_set() -> None:
    """One-hot rows: two halves of h rows without a common row are 2 + 2/h apart, with one they are nearer."""
    scores = compare_sets(np.eye(24), np.eye(24), "FD")
    assert scores.n_floor == (12, 12)
    assert scores.floor_fd == pytest.approx(2 + 2 / 12, rel=1e-9)


def test_the_floor_has_the_bandwidth_of_the_whole_real_set() -> None:
    """Of six frames there are twenty splits; the floor is that of one of them."""
    real = _draw(6, 2)
    sigma = median_bandwidth(real)
    splits = [(list(one), [i for i in range(6) if i not in one]) for one in combinations(range(6), 3)]
    floors = [10 * mmd_rbf(real[one], real[other], sigma) for one, other in splits]

    found = compare_sets(_draw(8, 1), real, "FD").floor_mmd_rbf_x10

    assert min(abs(found - floor) for floor in floors) < 1e-9


def test_the_second_real_set_is_the_floor_when_given() -> None:
    generated, real, second = _draw(40, 1, 0.5), _draw(50, 2), _draw(35, 3, 0.1)

    scores = compare_sets(generated, real, "FD", second_real=second)

    sigma = median_bandwidth(real)
    assert scores.n_floor == (35, 50)
    assert scores.floor_fd == pytest.approx(frechet_distance(second, real), rel=1e-9)
    assert scores.floor_mmd_poly_x10 == pytest.approx(10 * mmd_poly(second, real), rel=1e-9)
    assert scores.floor_mmd_rbf_x10 == pytest.approx(10 * mmd_rbf(second, real, sigma), rel=1e-9)


def test_a_small_generated_set_is_measured_against_an_equally_small_real_one() -> None:
    scores = compare_sets(_draw(10, 1), _draw(100, 2), "FD")
    assert scores.n_floor == (10, 50)
    scores = compare_sets(_draw(10, 1), _draw(100, 2), "FD", second_real=_draw(80, 3))
    assert scores.n_floor == (10, 100)


def test_a_perfect_generator_reaches_the_floor_at_the_floors_size() -> None:
    """With all frames it falls below: the floor has half as many and the distance is biased."""
    scores = compare_sets(_draw(400, 1, d=80), _draw(400, 2, d=80), "FD")
    assert scores.fd_at_floor == pytest.approx(scores.floor_fd, rel=0.1)
    assert scores.fd < 0.75 * scores.floor_fd


def test_a_worse_generator_stands_above_the_floor_in_every_distance() -> None:
    scores = compare_sets(_draw(100, 1, 0.5), _draw(100, 2), "FD")
    assert scores.fd_at_floor > 2 * scores.floor_fd
    assert scores.mmd_poly_x10 > 10 * abs(scores.floor_mmd_poly_x10)
    assert scores.mmd_rbf_x10 > 10 * abs(scores.floor_mmd_rbf_x10)


def test_the_draws_follow_the_seed() -> None:
    sets = _draw(60, 1), _draw(60, 2)
    assert compare_sets(*sets, "FD", seed=4) == compare_sets(*sets, "FD", seed=4)
    assert compare_sets(*sets, "FD", seed=4).floor_fd != compare_sets(*sets, "FD", seed=5).floor_fd


def test_scores_turn_into_plain_values() -> None:
    fields = dataclasses.asdict(compare_sets(_draw(8, 1), _draw(8, 2), "FD"))
    assert {type(value) for value in fields.values()} == {str, float, int, tuple}


def test_three_real_frames_have_no_floor() -> None:
    with pytest.raises(ConfigError, match="3 real frames cannot be split"):
        compare_sets(_draw(8, 1), _draw(3, 2), "FD")


def test_a_second_real_set_of_another_extractor_is_refused() -> None:
    with pytest.raises(ValueError, match="dimensions"):
        compare_sets(_draw(8, 1), _draw(8, 2), "FD", second_real=np.eye(5))
