"""Backgrounds compared over all shifts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from casgan_dicom.model.roadmap.background import Spectrum, correlation, grid_factor, peak, to_grid
from casgan_dicom.model.roadmap.run import FloatImage


def _texture(seed: int, side: int = 48) -> FloatImage:
    noise = np.random.default_rng(seed).normal(size=(side, side))
    return np.asarray(ndimage.gaussian_filter(noise, 1.5) * 5, dtype=np.float32)


@given(down=st.integers(-6, 6), right=st.integers(-6, 6), seed=st.integers(0, 99))
def test_a_shift_is_found_where_it_was_made(down: int, right: int, seed: int) -> None:
    whole = _texture(seed, 64)
    moving = whole[8:56, 8:56]
    fixed = whole[8 - down : 56 - down, 8 - right : 56 - right]
    open_ = np.ones_like(moving)

    shift, height = peak(correlation(Spectrum.of(fixed, open_, 8), Spectrum.of(moving, open_, 8)))

    assert shift == pytest.approx((down, right), abs=0.3)
    assert height > 0.99


def test_each_correlation_is_that_of_numpy_over_the_overlap() -> None:
    """The oracle counts only pixels with weight in both."""
    rng = np.random.default_rng(3)
    fixed, moving = _texture(1, 20), _texture(2, 20)
    here, there = ((rng.random((20, 20)) < 0.7).astype(np.float32) for _ in range(2))

    found = correlation(Spectrum.of(fixed, here, 3), Spectrum.of(moving, there, 3))

    for down, right in ((0, 0), (3, -2), (-1, 3)):
        both = (slice(max(down, 0), 20 + min(down, 0)), slice(max(right, 0), 20 + min(right, 0)))
        back = (slice(max(-down, 0), 20 + min(-down, 0)), slice(max(-right, 0), 20 + min(-right, 0)))
        seen = (here[both] * there[back]) > 0
        expected = np.corrcoef(fixed[both][seen], moving[back][seen])[0, 1]
        assert found[3 + down, 3 + right] == pytest.approx(expected, abs=1e-3)


def test_nothing_that_overlaps_correlates_with_nothing() -> None:
    left, right = np.zeros((16, 16), np.float32), np.zeros((16, 16), np.float32)
    left[:, :4], right[:, 12:] = 1, 1

    one, other = Spectrum.of(_texture(1, 16), left, 2), Spectrum.of(_texture(2, 16), right, 2)

    assert not correlation(one, other).any()


def test_the_grid_is_at_most_128_pixels_long() -> None:
    assert [grid_factor(shape) for shape in ((512, 512), (128, 64), (1000, 1024), (60, 130))] == [4, 1, 8, 2]
    assert to_grid(np.ones((10, 7), np.float32), 4).shape == (3, 2)
    assert to_grid(np.arange(16, dtype=np.float32).reshape(4, 4), 2) == pytest.approx(
        np.array([[2.5, 4.5], [10.5, 12.5]])
    )
