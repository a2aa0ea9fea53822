"""Centreline scores against loops over pixels and values counted by hand."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from casgan_dicom.model.metrics.centreline import (
    cl_dice,
    distance_to,
    radius_on,
    recall_by_radius,
    share_near,
    skeleton,
)

Mask = npt.NDArray[np.bool_]
masks = arrays(np.bool_, (9, 11))
EMPTY = np.zeros((32, 32), dtype=bool)


def bar(top: int, width: int = 1, columns: slice = slice(4, 28)) -> Mask:
    mask = EMPTY.copy()
    mask[top : top + width, columns] = True
    return mask


def brute_distance(mask: Mask, row: int, column: int) -> float:
    """Distance to the nearest pixel of a mask by looking at each of them."""
    return min((math.hypot(row - r, column - c) for r, c in np.argwhere(mask)), default=math.inf)


@settings(max_examples=40)
@given(mask=masks)
def test_distance_is_that_to_the_nearest_pixel(mask: Mask) -> None:
    expected = [[brute_distance(mask, r, c) for c in range(11)] for r in range(9)]
    np.testing.assert_allclose(distance_to(mask), expected, rtol=1e-12)


@settings(max_examples=40)
@given(line=masks, other=masks, tolerance=st.floats(0, 4))
def test_share_near_counts_pixels_with_a_neighbour_in_reach(
    line: Mask, other: Mask, tolerance: float
) -> None:
    hits = [brute_distance(other, r, c) <= tolerance for r, c in np.argwhere(line)]
    both_empty = not line.any() and not other.any()
    expected = float(np.mean(hits)) if hits else float(both_empty)
    assert share_near(line, other, tolerance) == pytest.approx(expected)


@pytest.mark.parametrize(("shift", "share"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_a_line_counts_within_two_pixels_only(shift: int, share: float) -> None:
    assert share_near(bar(10), bar(10 + shift)) == share


def test_half_a_line_found_is_recall_one_half_and_precision_one() -> None:
    found = bar(10, columns=slice(4, 16))
    assert share_near(bar(10), found, tolerance=0) == pytest.approx(0.5)
    assert share_near(found, bar(10), tolerance=0) == 1


def test_share_near_an_empty_line_is_zero_unless_both_are_empty() -> None:
    assert share_near(bar(3), EMPTY) == 0
    assert share_near(EMPTY, bar(3)) == 0
    assert share_near(EMPTY, EMPTY) == 1


def test_the_skeleton_of_a_bar_is_a_line_in_its_middle() -> None:
    line = skeleton(bar(10, 5))
    assert line[12, 8:24].all()
    assert line[:, 8:24].sum() == 16, "one pixel wide; at a bar's ends it may bend"


@given(mask=masks)
def test_the_skeleton_lies_within_the_mask_and_is_empty_only_with_it(mask: Mask) -> None:
    line = skeleton(mask)
    assert not (line & ~mask).any()
    assert line.any() == mask.any()


def test_cl_dice_of_lines_is_the_harmonic_mean_of_their_shares() -> None:
    """A line one pixel wide is its own skeleton: 16 of 24 drawn pixels are true, 16 of 20 true ones drawn."""
    drawn, true = bar(10, columns=slice(4, 28)), bar(10, columns=slice(0, 20))
    precision, sensitivity = 16 / 24, 16 / 20
    expected = 2 * precision * sensitivity / (precision + sensitivity)
    assert cl_dice(drawn, true) == pytest.approx(expected)


def test_cl_dice_forgives_width_where_dice_does_not() -> None:
    thin, wide = bar(11, 3), bar(10, 5)
    assert cl_dice(thin, wide) == 1
    assert 2 * (thin & wide).sum() / (thin.sum() + wide.sum()) == pytest.approx(3 / 4)


def test_cl_dice_is_one_for_two_empty_masks_and_zero_for_one_or_for_masks_apart() -> None:
    assert cl_dice(EMPTY, EMPTY) == 1
    assert cl_dice(EMPTY, bar(3)) == 0
    assert cl_dice(bar(3), EMPTY) == 0
    assert cl_dice(bar(3), bar(20)) == 0


@given(a=masks, b=masks)
def test_cl_dice_is_symmetric_and_one_for_a_mask_against_itself(a: Mask, b: Mask) -> None:
    assert cl_dice(a, b) == pytest.approx(cl_dice(b, a))
    assert 0 <= cl_dice(a, b) <= 1
    assert cl_dice(a, a) == 1


@pytest.mark.parametrize("width", [1, 3, 5, 7])
def test_radius_is_half_the_width_of_a_bar(width: int) -> None:
    radius = radius_on(bar(10 + width // 2, columns=slice(10, 20)), bar(10, width))
    np.testing.assert_array_equal(radius, np.full(10, width / 2))


def test_radius_is_zero_off_the_vessel_and_without_end_in_a_frame_of_vessel() -> None:
    np.testing.assert_array_equal(radius_on(bar(3), bar(10)), np.zeros(24))
    np.testing.assert_array_equal(radius_on(bar(3), ~EMPTY), np.full(24, np.inf))


def test_recall_by_radius_sorts_branches_by_their_width() -> None:
    """Bars 1, 3 and 7 px wide; all of the first is found, half of the second, none of the third."""
    vessel = bar(2) | bar(10, 3) | bar(20, 7)
    middle = slice(8, 24)  # away from the ends, where a bar's border is nearer
    line = bar(2, columns=middle) | bar(11, columns=middle) | bar(23, columns=middle)
    found = bar(2) | bar(11, columns=slice(0, 16))

    recall = recall_by_radius(line, vessel, found, tolerance=0)

    assert (recall.thin, recall.middle, recall.thick) == (1.0, 0.5, 0.0)


def test_recall_is_undefined_for_widths_that_a_frame_lacks() -> None:
    recall = recall_by_radius(bar(2), bar(2), EMPTY)
    assert recall.thin == 0
    assert math.isnan(recall.middle)
    assert math.isnan(recall.thick)


@settings(max_examples=40)
@given(line=masks, vessel=masks, found=masks)
def test_recalls_by_radius_add_up_to_the_whole(line: Mask, vessel: Mask, found: Mask) -> None:
    radius = radius_on(line, vessel)
    counts = [(radius < 1.5).sum(), ((radius >= 1.5) & (radius < 2.5)).sum(), (radius >= 2.5).sum()]
    recall = recall_by_radius(line, vessel, found)
    parts = [n * r for n, r in zip(counts, (recall.thin, recall.middle, recall.thick), strict=True) if n]
    hits = sum(brute_distance(found, r, c) <= 2 for r, c in np.argwhere(line))
    assert sum(parts) == pytest.approx(hits)
