"""Vessels and their contrast, taken out of a filled frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.model.roadmap.extraction import contrast_depth, inpaint, uncovering, vessel_mask
from casgan_dicom.model.roadmap.gaps import close_gaps, without_stray
from casgan_dicom.model.roadmap.run import FloatImage, Mask, Scale

_SIZE = 96


def _slope(size: int = _SIZE) -> FloatImage:
    rows, columns = np.mgrid[:size, :size] / size
    return np.asarray(0.5 + 0.2 * rows + 0.1 * columns, dtype=np.float32)


def _stripe(size: int = _SIZE, width: int = 4) -> Mask:
    mask = np.zeros((size, size), dtype=np.bool_)
    mask[size // 8 : -size // 8, size // 2 : size // 2 + width * size // 96] = True
    return mask


@given(st.integers(0, _SIZE), st.integers(0, 2**16))
def test_a_segmentor_sees_the_picture_go_on_below_blades(covered: int, seed: int) -> None:
    frame = np.random.default_rng(seed).uniform(0.3, 0.6, (_SIZE, _SIZE)).astype(np.float32)
    visible = np.ones((_SIZE, _SIZE), dtype=np.bool_)
    visible[:, :covered] = False
    frame[~visible] = 0.0

    seen = uncovering(visible)(frame)

    assert seen.dtype == np.float32
    if 0 < covered < _SIZE - 1:
        assert np.array_equal(seen[:, covered + 1 :], frame[:, covered + 1 :])
        assert 0.3 <= seen.min() <= seen.max() <= 0.6
    else:
        assert seen is frame  # nothing is covered, or next to nothing is seen
    assert uncovering(None)(frame) is frame


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("size", [96, 512])
def test_the_contrast_that_was_laid_over_a_slope_is_found_again(scale: Scale, size: int) -> None:
    """The oracle is the depth that the picture was made with; soft edges and smoothing take a tenth."""
    vessel, plain = _stripe(size, 6), _slope(size)
    filled = plain * np.exp(-np.float32(0.3) * vessel) if scale == "linear" else plain - 0.3 * vessel

    depth = contrast_depth(filled.astype(np.float32), vessel, scale)

    assert np.median(depth[vessel]) == pytest.approx(0.3, rel=0.1)
    assert depth.min() >= 0
    assert not depth[:, : size // 3].any()


@given(st.integers(0, 2**32 - 1))
def test_what_fills_a_hole_is_within_the_range_beside_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random((24, 24)).astype(np.float32)
    hole = rng.random((24, 24)) < 0.3

    filled = inpaint(values, hole)

    assert np.array_equal(filled[~hole], values[~hole])
    assert filled.min() >= values[~hole].min() - 1e-5
    assert filled.max() <= values[~hole].max() + 1e-5


def test_a_hole_in_a_slope_is_filled_by_the_slope() -> None:
    hole = np.zeros((48, 48), dtype=np.bool_)
    hole[15:25, 20:28] = True

    assert np.abs(inpaint(_slope(48), hole, 0.1) - _slope(48)).max() < 1e-3


def test_a_frame_that_is_all_hole_is_left() -> None:
    assert np.array_equal(inpaint(_slope(8), np.ones((8, 8), dtype=np.bool_)), _slope(8))


def test_faint_vessel_counts_only_beside_sure_vessel_and_specks_do_not() -> None:
    probability = np.zeros((256, 256), dtype=np.float32)
    probability[20:60, 50:53], probability[60:80, 50:53] = 0.9, 0.4  # sure, and faint in its continuation
    probability[20:80, 100:103] = 0.5  # faint alone
    probability[150:155, 150:155] = 0.9  # a speck of 25 pixels

    mask = vessel_mask(probability)

    assert mask.sum() == 60 * 3
    assert mask[20:80, 50:53].all()
    assert not vessel_mask(probability, np.zeros((256, 256), dtype=np.bool_)).any()


def test_a_short_gap_is_closed_and_a_long_one_is_not() -> None:
    vessel = np.zeros((256, 256), dtype=np.bool_)
    vessel[20:60, 50:54] = vessel[65:90, 50:54] = vessel[130:170, 50:54] = True

    closed = close_gaps(vessel)

    assert closed[vessel].all()
    assert closed[60:65, 51:53].all()
    assert not closed[95:125].any()
    assert close_gaps(closed).sum() == closed.sum()


def test_a_small_part_far_from_the_tree_is_no_branch() -> None:
    vessel = np.zeros((256, 256), dtype=np.bool_)
    tree = (slice(20, 200), slice(50, 56))
    beside, apart = (slice(100, 108), slice(62, 70)), (slice(200, 240), slice(150, 156))
    clip, edge = (slice(60, 70), slice(120, 125)), (slice(0, 40), slice(252, 254))
    for part in (tree, beside, apart, clip, edge):
        vessel[part] = True

    kept = without_stray(vessel)

    assert all(kept[part].all() for part in (tree, beside, apart))
    assert not any(kept[part].any() for part in (clip, edge))
    assert not without_stray(np.zeros((9, 9), dtype=np.bool_)).any()
