"""Vessels laid over a frame against the true ones."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.metrics.overlay import FARTHEST_PX, Mask, score_overlay


def _line(row: int, size: int = 256) -> Mask:
    mask = np.zeros((size, size), dtype=np.bool_)
    wide = size // 256
    mask[row * wide : (row + 3) * wide, 40 * wide : 200 * wide] = True
    return mask


def test_the_same_vessels_are_perfect() -> None:
    scores = score_overlay(_line(50), _line(50))

    assert (scores.dice, scores.recall, scores.precision, scores.distance_px) == (1, 1, 1, 0)


@pytest.mark.parametrize("size", [256, 512])
def test_distances_are_pixels_of_a_frame_of_256(size: int) -> None:
    assert score_overlay(_line(50, size), _line(56, size)).distance_px == pytest.approx(6, abs=0.6)
    assert score_overlay(_line(50, size), _line(52, size)).recall == 1
    assert score_overlay(_line(50, size), _line(54, size)).recall < 0.1


def test_nothing_drawn_is_as_far_as_it_gets() -> None:
    scores = score_overlay(np.zeros((256, 256), dtype=np.bool_), _line(50))

    assert (scores.dice, scores.recall, scores.precision, scores.distance_px) == (0, 0, 0, FARTHEST_PX)


def test_what_is_ignored_counts_neither_way() -> None:
    both = _line(50) | _line(90)

    assert score_overlay(both, _line(50), ignored=_line(90)).dice == 1
