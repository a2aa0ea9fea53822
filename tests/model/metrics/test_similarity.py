"""PSNR and SSIM of regions against hand calculation, loops and scikit-image's own mean."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from casgan_dicom.model.metrics.similarity import psnr, ssim

Image = npt.NDArray[np.float32]


def noisy_pair(seed: int = 0, shape: tuple[int, int] = (24, 30)) -> tuple[Image, Image]:
    rng = np.random.default_rng(seed)
    a = rng.uniform(0.2, 0.8, shape)
    return a.astype(np.float32), (a + rng.normal(0, 0.1, shape)).astype(np.float32)


def brute_ssim(a: Image, b: Image, row: int, column: int) -> float:
    """Wang et al., equation 13, for one window: Gaussian weights, sigma 1.5 px, that add up to one."""
    offset = np.arange(-5, 6)
    weights = np.exp(-(offset[:, None] ** 2 + offset[None, :] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    u, v = (i[row - 5 : row + 6, column - 5 : column + 6].astype(np.float64) for i in (a, b))
    mean_u, mean_v = (weights * u).sum(), (weights * v).sum()
    var_u, var_v = (weights * (u - mean_u) ** 2).sum(), (weights * (v - mean_v) ** 2).sum()
    covariance = (weights * (u - mean_u) * (v - mean_v)).sum()
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_u * mean_v + c1) * (2 * covariance + c2)
    return float(top / ((mean_u**2 + mean_v**2 + c1) * (var_u + var_v + c2)))


def test_psnr_of_a_constant_error() -> None:
    a = np.full((4, 4), 0.5, dtype=np.float32)
    assert psnr(a, a + np.float32(0.1)) == pytest.approx(20, abs=1e-3)
    assert psnr(a, a) == math.inf


@given(error=st.floats(1e-3, 0.5))
def test_psnr_falls_by_the_logarithm_of_the_error(error: float) -> None:
    a = np.zeros((3, 3), dtype=np.float32)
    assert psnr(a, np.full((3, 3), error, dtype=np.float32)) == pytest.approx(
        -20 * math.log10(error), abs=1e-4
    )


def test_psnr_of_a_region_sees_nothing_else() -> None:
    a, b = noisy_pair()
    where = np.zeros(a.shape, dtype=bool)
    where[3:9, 4:20] = True
    squares = [(float(a[r, c]) - float(b[r, c])) ** 2 for r, c in np.argwhere(where)]
    assert psnr(a, b, where) == pytest.approx(-10 * math.log10(sum(squares) / len(squares)))
    assert psnr(np.where(where, a, 0), a, where) == math.inf


def test_an_empty_region_is_undefined() -> None:
    a, b = noisy_pair()
    nothing = np.zeros(a.shape, dtype=bool)
    assert math.isnan(psnr(a, b, nothing))
    assert math.isnan(ssim(a, b, nothing))


def test_ssim_of_the_whole_image_is_the_mean_of_scikit_image() -> None:
    a, b = noisy_pair()
    theirs = structural_similarity(  # type: ignore[no-untyped-call]
        a.astype(float), b.astype(float), data_range=1, gaussian_weights=True, use_sample_covariance=False
    )
    assert ssim(a, b) == pytest.approx(theirs, abs=1e-12)
    assert ssim(a, b, np.ones(a.shape, dtype=bool)) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_ssim_of_a_region_is_the_mean_of_its_windows(seed: int) -> None:
    a, b = noisy_pair(seed)
    where = np.random.default_rng(seed).random(a.shape) < 0.3
    inner = [(r, c) for r, c in np.argwhere(where) if 5 <= r < 19 and 5 <= c < 25]
    expected = np.mean([brute_ssim(a, b, r, c) for r, c in inner])
    assert ssim(a, b, where) == pytest.approx(expected, abs=1e-9)


def test_a_region_at_the_border_alone_is_undefined() -> None:
    a, b = noisy_pair()
    border = np.zeros(a.shape, dtype=bool)
    border[:5] = True
    assert math.isnan(ssim(a, b, border))


def test_a_closed_region_sees_nothing_outside_itself() -> None:
    a, _ = noisy_pair(shape=(40, 40))
    where = np.ones(a.shape, dtype=bool)
    where[18:22] = False
    b = np.where(where, a, 0).astype(np.float32)
    assert ssim(a, b, where, closed=True) == pytest.approx(1, abs=1e-12)
    assert ssim(a, b, where) < 0.95


def test_the_windows_of_a_closed_region_are_those_that_lie_in_it() -> None:
    a, b = noisy_pair()
    where = np.random.default_rng(4).random(a.shape) < 0.995
    windows = [
        (r, c) for r in range(5, 19) for c in range(5, 25) if where[r - 5 : r + 6, c - 5 : c + 6].all()
    ]
    expected = np.mean([brute_ssim(a, b, r, c) for r, c in windows])
    assert ssim(a, b, where, closed=True) == pytest.approx(expected, abs=1e-9)


def test_an_image_smaller_than_the_window_is_refused() -> None:
    small = np.zeros((10, 40), dtype=np.float32)
    with pytest.raises(ValueError, match="win_size"):
        ssim(small, small)
