"""Composition: what a dye takes from a frame, and what it leaves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from casgan_dicom.model.drawing import (
    GRAIN_MOST,
    GRAIN_PX,
    ROUNDING,
    UNTOUCHED,
    VESSEL_FROM,
    Frames,
    darkened,
)

FRAMES = np.linspace(0.2, 1, 3 * 40 * 32, dtype=np.float32).reshape(3, 40, 32)


def test_a_dye_takes_the_share_that_lambert_and_beer_say() -> None:
    depth = np.linspace(0.05, 3, FRAMES.size, dtype=np.float32).reshape(FRAMES.shape)
    even = np.full_like(FRAMES, 0.7)

    made = darkened(even, depth)

    assert made.attention is not None
    np.testing.assert_allclose(made.frames, even * np.exp(-depth), rtol=1e-5)
    np.testing.assert_allclose(made.attention, 1 - np.exp(-depth), rtol=1e-5)
    assert made.frames.dtype == np.float32


def test_grain_falls_with_the_root_of_the_light() -> None:
    grain = np.random.default_rng(1).normal(0.0, 0.02, FRAMES.shape).astype(np.float32)
    depth = 1.2

    made = darkened(0.7 + grain, np.full_like(FRAMES, depth))

    assert made.frames.mean() == pytest.approx(0.7 * np.exp(-depth), rel=0.01)
    # of white noise a mean over 25 pixels takes little away, and that part absorbs as the frame does
    assert made.frames.std() == pytest.approx(0.02 * np.exp(-depth / 2), rel=0.05)


def test_an_edge_is_no_grain() -> None:
    """Beside the black of a shutter a vessel is as dark as elsewhere, to two levels, and nothing is cut."""
    shut = np.full_like(FRAMES, 0.7)
    shut[:, :, :10] = 0

    made = darkened(shut, np.full_like(FRAMES, 0.46))

    np.testing.assert_allclose(made.frames, shut * np.exp(np.float32(-0.46)), atol=2.5 / 255)
    assert made.out_of_range is not None
    assert not made.out_of_range.any()


@pytest.mark.parametrize("rows", [slice(0, 3), slice(17, 18), slice(36, 40), slice(0, 40)])
@pytest.mark.parametrize("columns", [slice(0, 1), slice(9, 20), slice(31, 32)])
def test_work_on_a_part_of_the_picture_changes_no_bit(rows: slice, columns: slice) -> None:
    rng = np.random.default_rng(3)
    frames = (rng.integers(0, 256, FRAMES.shape) / 255).astype(np.float32)
    depth = np.zeros_like(frames)
    depth[1:, rows, columns] = rng.uniform(0, 2, depth[1:, rows, columns].shape)

    made = darkened(frames, depth)

    whole = everywhere(frames, depth)
    np.testing.assert_array_equal(made.frames, np.clip(whole, 0, 1))
    beyond = (whole < -ROUNDING) | (whole > 1 + ROUNDING)
    assert made.out_of_range is not None
    np.testing.assert_allclose(made.out_of_range, beyond.mean(axis=(1, 2)), rtol=1e-6)


def everywhere(frames: Frames, depth: Frames) -> Frames:
    """The formula on whole pictures, not cut to what can be displayed."""
    share = -np.expm1(-depth)
    share[share < UNTOUCHED] = 0
    above = frames - ndimage.uniform_filter(frames, (0, GRAIN_PX, GRAIN_PX), mode="nearest")
    grain = np.clip(above, -np.minimum(frames, GRAIN_MOST), GRAIN_MOST)
    return np.asarray(frames * (1 - share) + grain * (np.sqrt(1 - share) - (1 - share)))


def test_vessels_are_what_takes_a_twentieth_of_the_light() -> None:
    limit = -np.log1p(-VESSEL_FROM)
    depth = np.zeros_like(FRAMES)
    depth[0, 5:9], depth[0, 9:12] = 0.99 * limit, 1.01 * limit

    made = darkened(FRAMES, depth)

    assert made.vessels is not None
    assert made.vessels[0, 9:12].all()
    assert made.vessels.sum() == made.vessels[0, 9:12].size


def test_no_dye_leaves_every_bit() -> None:
    made = darkened(FRAMES, np.zeros_like(FRAMES))
    np.testing.assert_array_equal(made.frames, FRAMES)


def test_absorption_just_below_the_limit_is_none() -> None:
    """A = 1 - exp(-T) reaches 1/512 at T = -ln(1 - 1/512)."""
    limit = -np.log1p(-UNTOUCHED)
    depth = np.full(FRAMES.shape, 0.99 * limit, np.float32)
    depth[:, 20:] = 1.01 * limit

    made = darkened(FRAMES, depth)

    np.testing.assert_array_equal(made.frames[:, :20], FRAMES[:, :20])
    assert (made.frames[:, 20:] < FRAMES[:, 20:]).all()
    assert made.out_of_range is not None
    assert not made.out_of_range.any()
