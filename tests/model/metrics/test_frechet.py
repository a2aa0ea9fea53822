"""The Fréchet distance against closed forms, scipy's matrix root and torch-fidelity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.metrics.frechet import Features, frechet_distance

Rows = npt.NDArray[np.float64]


def _white(n: int, d: int, seed: int) -> Rows:
    """(n, d) whose sample mean is 0 and whose sample covariance is the identity, exactly."""
    drawn = np.random.default_rng(seed).normal(size=(n, d))
    root: Rows = np.linalg.qr(drawn - drawn.mean(axis=0))[0] * np.sqrt(n - 1)
    return root


def _by_root(a: Features, b: Features) -> float:
    """The textbook formula, with scipy's root of the product."""
    sigma_a, sigma_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(sigma_a @ sigma_b).real
    between = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    return float(between + np.trace(sigma_a + sigma_b - 2 * root))


@pytest.mark.parametrize(("n", "m"), [(40, 40), (40, 90), (7, 1000)])
def test_gaussians_with_common_axes_follow_the_closed_form(n: int, m: int) -> None:
    """|μ_a - μ_b|² + Σ (s_a - s_b)²: the distance of two Gaussians whose covariances commute."""
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    mean_a, mean_b = np.arange(5.0), np.array([1.0, -1, 2, 0, 9])
    spread_a, spread_b = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 2, 1, 0.5, 7])

    found = frechet_distance(
        _white(n, 5, 1) * spread_a @ axes.T + mean_a, _white(m, 5, 2) * spread_b @ axes.T + mean_b
    )

    wanted = ((mean_a - mean_b) ** 2).sum() + ((spread_a - spread_b) ** 2).sum()
    assert found == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize(("n", "m", "d"), [(50, 50, 6), (30, 200, 20), (8, 9, 7)])
def test_it_agrees_with_scipys_matrix_root(n: int, m: int, d: int) -> None:
    chance = np.random.default_rng(n)
    a = chance.normal(size=(n, d)) @ chance.normal(size=(d, d))
    b = chance.exponential(size=(m, d))
    assert frechet_distance(a, b) == pytest.approx(_by_root(a, b), rel=1e-8)


@pytest.mark.parametrize(
    ("n", "d", "theirs"),
    [(300, 64, 43.8597077414), (200, 256, 427.925200073)],
    ids=["more frames", "more dimensions"],
)
def test_it_agrees_with_torch_fidelity(n: int, d: int, theirs: float) -> None:
    """The numbers are those of torch-fidelity 0.4.0 for the same features; it roots by eigenvalues."""
    chance = np.random.default_rng(5)
    a = chance.normal(size=(n, d)) @ chance.normal(size=(d, d)) * 0.1
    b = chance.normal(size=(n, d)) * 1.3 + 0.2
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [(30, 5), (5, 30)])
def test_a_set_has_no_distance_to_itself(n: int, d: int) -> None:
    a = np.random.default_rng(0).normal(size=(n, d)) + 100
    assert 0 <= frechet_distance(a, a[::-1]) < 1e-9


def test_a_shift_alone_costs_its_square() -> None:
    a = np.random.default_rng(0).normal(size=(20, 50)).astype(np.float32)
    assert frechet_distance(a, a + np.float32(0.5)) == pytest.approx(50 * 0.25, rel=1e-5)  # float32 input


@given(seed=st.integers(0, 1000), n=st.integers(2, 12), m=st.integers(2, 12), d=st.integers(1, 9))
def test_it_is_symmetric_and_never_negative(seed: int, n: int, m: int, d: int) -> None:
    chance = np.random.default_rng(seed)
    a, b = chance.normal(size=(n, d)), chance.normal(size=(m, d))
    there, back = frechet_distance(a, b), frechet_distance(b, a)
    assert there >= 0
    assert there == pytest.approx(back, rel=1e-9, abs=1e-12)


def test_equal_distributions_score_higher_the_smaller_the_sets() -> None:
    """The bias that makes the number of frames part of every score."""
    chance = np.random.default_rng(0)
    scores = [frechet_distance(*chance.normal(size=(2, n, 30))) for n in (40, 160, 640)]
    assert scores[0] > 3 * scores[1] > 9 * scores[2]


def test_one_frame_is_refused() -> None:
    with pytest.raises(ConfigError, match="1 frames"):
        frechet_distance(np.zeros((5, 3)), np.zeros((1, 3)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused_and_counted(bad: float) -> None:
    a = np.zeros((5, 3))
    a[1:3] = bad
    with pytest.raises(ConfigError, match="2 of 5 frames are not finite"):
        frechet_distance(np.zeros((5, 3)), a)


def test_features_of_different_extractors_are_refused() -> None:
    with pytest.raises(ValueError, match="of 3 and of 4 dimensions"):
        frechet_distance(np.zeros((5, 3)), np.zeros((5, 4)))


def test_features_that_are_not_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"want \(N, D\)"):
        frechet_distance(np.zeros(5), np.zeros((5, 1)))
