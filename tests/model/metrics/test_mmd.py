"""The maximum mean discrepancies against loops, closed forms and torch-fidelity."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations, permutations, product

import numpy as np
import numpy.typing as npt
import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.metrics import mmd
from casgan_dicom.model.metrics.mmd import median_bandwidth, mmd_poly, mmd_rbf

Rows = npt.NDArray[np.float64]
Pair = Callable[[Rows, Rows], float]
"""A kernel of two vectors, or a score of two sets."""


def _poly(u: Rows, v: Rows) -> float:
    return float((u @ v / len(u) + 1) ** 3)


def _rbf(u: Rows, v: Rows, sigma: float) -> float:
    return math.exp(-(math.dist(u, v) ** 2) / (2 * sigma**2))


def _loop(a: Rows, b: Rows, kernel: Pair) -> float:
    """The estimator as the poster of CAS-GAN writes it, term by term."""
    within_a = sum(kernel(u, v) for u, v in permutations(a, 2)) / (len(a) * (len(a) - 1))
    within_b = sum(kernel(u, v) for u, v in permutations(b, 2)) / (len(b) * (len(b) - 1))
    return float(within_a + within_b - 2 * sum(kernel(u, v) for u, v in product(a, b)) / (len(a) * len(b)))


def _sets(n: int, m: int, d: int, seed: int = 0) -> tuple[Rows, Rows]:
    chance = np.random.default_rng(seed)
    return chance.normal(size=(n, d)) + 0.3, chance.exponential(size=(m, d))


@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (7, 12, 3), (15, 4, 20)])
def test_both_agree_with_a_loop_over_pairs(n: int, m: int, d: int) -> None:
    a, b = _sets(n, m, d)
    assert mmd_poly(a, b) == pytest.approx(_loop(a, b, _poly), rel=1e-9)
    assert mmd_rbf(a, b, 1.7) == pytest.approx(_loop(a, b, lambda u, v: _rbf(u, v, 1.7)), rel=1e-9)


def test_blocks_of_rows_give_the_sum_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = _sets(23, 31, 4)
    whole = mmd_poly(a, b), mmd_rbf(a, b)
    monkeypatch.setattr(mmd, "BLOCK", 7)
    assert (mmd_poly(a, b), mmd_rbf(a, b)) == pytest.approx(whole, rel=1e-12)


def test_both_agree_with_torch_fidelity() -> None:
    """The numbers are those of torch-fidelity 0.4.0 for the same features, sigma 10, one subset of all."""
    chance = np.random.default_rng(5)
    a = chance.normal(size=(300, 64)) @ chance.normal(size=(64, 64)) * 0.1
    b = chance.normal(size=(300, 64)) * 1.3 + 0.2
    assert mmd_poly(a, b) == pytest.approx(0.205965760469, rel=1e-9)
    assert mmd_rbf(a, b, 10) == pytest.approx(0.0653651354478, rel=1e-9)


def test_gaussians_follow_the_closed_form_of_the_gaussian_kernel() -> None:
    """E k = (σ²/(σ² + 2s²))^(D/2) · exp(-|Δ|² / (2 (σ² + 2s²))) for two normal sets of spread s, Δ apart."""
    sigma, spread, apart, d = 1.5, 0.8, 1.0, 3
    chance = np.random.default_rng(0)
    shift = np.array([apart, 0, 0])
    found = [
        mmd_rbf(a + shift, b, sigma) for a, b in (chance.normal(size=(2, 400, d)) * spread for _ in range(40))
    ]

    wide = sigma**2 + 2 * spread**2
    wanted = 2 * (sigma**2 / wide) ** (d / 2) * (1 - math.exp(-(apart**2) / (2 * wide)))
    error = float(np.std(found)) / math.sqrt(len(found))
    assert error < 0.04 * wanted
    assert np.mean(found) == pytest.approx(wanted, abs=3 * error)


@pytest.mark.parametrize("score", [mmd_poly, mmd_rbf])
def test_equal_distributions_score_zero_on_average_at_small_and_unequal_sizes(score: Pair) -> None:
    chance = np.random.default_rng(3)
    scores = np.array([score(chance.normal(size=(9, 4)), chance.normal(size=(6, 4))) for _ in range(1500)])
    error = scores.std() / math.sqrt(len(scores))
    assert abs(scores.mean()) < 3 * error
    assert scores.min() < 0 < scores.max()


@pytest.mark.parametrize("score", [mmd_poly, mmd_rbf])
def test_a_set_far_away_scores_far_above_the_floor(score: Pair) -> None:
    chance = np.random.default_rng(0)
    real, other, shifted = chance.normal(size=(3, 60, 8))
    assert score(shifted + 1, real) > 10 * abs(score(other, real))


def test_the_bandwidth_is_the_median_distance_of_real_pairs() -> None:
    real = _sets(2, 14, 5)[1]
    wanted = float(np.median([math.dist(u, v) for u, v in combinations(real, 2)]))
    assert median_bandwidth(real) == pytest.approx(wanted, rel=1e-9)


def test_the_bandwidth_comes_from_the_real_set_whatever_was_generated() -> None:
    generated, real = _sets(20, 25, 5)
    sigma = median_bandwidth(real)
    for scale in (0.01, 100):
        assert mmd_rbf(scale * generated, real) == mmd_rbf(scale * generated, real, sigma)


def test_the_bandwidth_of_a_large_set_comes_from_all_over_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ordered by size, so that the first rows alone would give another median."""
    real = np.linspace(0, 1, 101)[:, None] ** 2
    monkeypatch.setattr(mmd, "MEDIAN_ROWS", 51)
    wanted = float(np.median([abs(u - v) for u, v in combinations(real[::2, 0], 2)]))
    assert median_bandwidth(real) == pytest.approx(wanted, rel=1e-6)


def test_an_offset_common_to_both_sets_changes_nothing_in_the_gaussian_kernel() -> None:
    a, b = _sets(20, 25, 5)
    assert mmd_rbf(a + 1e7, b + 1e7) == pytest.approx(mmd_rbf(a, b), rel=1e-6)  # 1e7 costs 7 of 16 digits


@pytest.mark.parametrize("different", [0, 2])
def test_real_frames_that_are_mostly_equal_have_no_bandwidth(different: int) -> None:
    real = np.full((10, 3), 0.7)
    real[:different] = np.random.default_rng(0).normal(size=(different, 3)) * 1000
    with pytest.raises(ConfigError, match="no bandwidth"):
        median_bandwidth(real)


@pytest.mark.parametrize("sigma", [0, -1, math.nan, math.inf])
def test_a_bandwidth_that_is_not_above_zero_is_refused(sigma: float) -> None:
    with pytest.raises(ValueError, match="bandwidth"):
        mmd_rbf(*_sets(4, 4, 2), sigma)


@pytest.mark.parametrize("score", [mmd_poly, mmd_rbf])
def test_sets_that_cannot_be_compared_are_refused(score: Pair) -> None:
    good, nan = np.eye(3), np.full((3, 3), np.nan)
    for a, b in ((good[:1], good), (good, good[:1])):
        with pytest.raises(ConfigError, match="1 frames"):
            score(a, b)
    for a, b in ((nan, good), (good, nan)):
        with pytest.raises(ConfigError, match="3 of 3 frames are not finite"):
            score(a, b)
    with pytest.raises(ValueError, match="of 3 and of 2 dimensions"):
        score(good, good[:, :2])
