"""What a reader sees in a picture, on pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, special

from casgan_dicom.model.simulator.appearance import (
    clutter_cover,
    contrast_beside,
    depth_of,
    edge_width,
    is_round_or_cut,
    mean_width,
    nearest_edge,
    plain_to_the_eye,
)

SIZE = 256
OPEN = np.ones((SIZE, SIZE), dtype=np.bool_)
ROWS, COLUMNS = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2


def shaft(width: int) -> np.ndarray:
    mask = np.zeros_like(OPEN)
    mask[20:230, 100 : 100 + width] = True
    return mask


def picture(depth: float, noise: float = 0.01) -> np.ndarray:
    """A shaft of 5 pixels on a slope from dark to bright, with grain."""
    slope = 0.3 + 0.4 * np.linspace(0, 1, SIZE)[None, :] + np.zeros((SIZE, 1))
    grain = np.random.default_rng(0).normal(0.0, noise, (SIZE, SIZE))
    return np.asarray(slope * np.exp(-depth * shaft(5)) + grain)


@pytest.mark.parametrize("depth", [0.0, 0.05, 0.15, 0.3])
def test_depth_of_a_shaft_is_found_on_a_slope(depth: float) -> None:
    found, _ = depth_of(picture(depth), shaft(5), OPEN)
    assert found == pytest.approx(depth, abs=0.005)


def test_a_shaft_is_plain_when_it_is_dark_and_the_grain_is_fine() -> None:
    seen, drowned, faint = (
        plain_to_the_eye(*depth_of(picture(depth, noise), shaft(5), OPEN))
        for depth, noise in ((0.1, 0.01), (0.1, 0.2), (0.01, 0.001))
    )
    assert (seen, drowned, faint) == (True, False, False)


def test_no_device_has_no_depth_and_no_width() -> None:
    assert np.isnan(depth_of(picture(0.1), ~OPEN, OPEN)).all()
    assert np.isnan(mean_width(~OPEN))


def test_width_is_in_pixels_of_512() -> None:
    assert mean_width(shaft(5)) == pytest.approx(10, abs=0.1)
    assert mean_width(shaft(9)) == pytest.approx(18, abs=0.1)


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_edge_width_is_that_of_the_penumbra(sigma: float) -> None:
    """A straight edge blurred by a Gaussian goes from 10 to 90 % over 2.563 of its deviations."""
    field = COLUMNS > -80
    blade = 0.1 + 0.5 * special.ndtr((COLUMNS + 80) / sigma)
    assert edge_width(blade, field) == pytest.approx(2 * 2.563 * sigma, abs=1.5)


def test_a_field_without_edge_or_step_has_no_edge_width() -> None:
    assert np.isnan(edge_width(picture(0.0), OPEN))
    assert np.isnan(edge_width(np.full((SIZE, SIZE), 0.5), COLUMNS > 0))


def test_circles_and_octagons_are_no_rectangles() -> None:
    assert is_round_or_cut(np.hypot(ROWS, COLUMNS) < 120)
    assert is_round_or_cut(np.abs(ROWS) + np.abs(COLUMNS) < 200)
    assert not is_round_or_cut(COLUMNS > -90)
    assert not is_round_or_cut(~OPEN)


def test_contrast_beside_the_vessels_leaves_them_out() -> None:
    depth = 0.3 * shaft(9) + 0.02 * (COLUMNS > 0)
    beside = contrast_beside(ndimage.gaussian_filter(depth, 0.5), COLUMNS < -40, shaft(9), 8.0)
    assert np.abs(beside).max() < 0.002
    muscle = contrast_beside(depth, COLUMNS > 40, shaft(9), 8.0)
    assert np.median(muscle) == pytest.approx(0.02)


def test_the_nearer_edge_counts_and_frames_without_a_catheter_do_not() -> None:
    tip = np.array([[60.0, 40.0], [np.nan, np.nan], [30.0, 90.0], [35.0, 200.0]])
    assert nearest_edge(tip, SIZE) == 70.0
    assert np.isnan(nearest_edge(tip[1:2], SIZE))


def test_clutter_cover_is_a_share_of_the_field() -> None:
    clutter = np.stack([shaft(4), ~OPEN])
    assert clutter_cover(clutter, COLUMNS < 0) == pytest.approx(100 * 0.5 * 210 * 4 / (SIZE * 128))
