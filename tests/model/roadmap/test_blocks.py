"""Which blocks of background tell how far the vessels have moved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from casgan_dicom.model.roadmap.blocks import (
    Blocks,
    Scene,
    block_centres,
    block_displacements,
    weighted_median,
)


def _learnt(noise: float) -> tuple[Blocks, np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """Three blocks: one moves half as far as the vessels, one moves by itself, one is never found."""
    rng = np.random.default_rng(5)
    vessels = rng.normal(0, 4, (60, 2))
    blocks = np.stack([vessels / 2, rng.normal(0, 4, (60, 2)), np.full((60, 2), np.nan)], axis=1)
    blocks[:, 0] += rng.normal(0, noise, (60, 2))
    return Blocks.learn(np.zeros((3, 2)), list(blocks), list(vessels)), vessels


def test_only_blocks_that_move_with_the_vessels_tell() -> None:
    blocks, _ = _learnt(0.1)

    assert (blocks.weight[0] > 0).all()
    assert not blocks.weight[1:].any()
    assert blocks.slope[0] == pytest.approx([2, 2], rel=0.1)
    assert blocks.informative == 1


def test_vessels_move_as_the_telling_blocks_say() -> None:
    blocks, _ = _learnt(0.1)

    said = blocks.shift(np.array([[1.0, -2.0], [9.0, 9.0], [np.nan, np.nan]]))

    assert said.shift == pytest.approx((2, -4), rel=0.1)
    assert said.blocks == 1
    assert said.spread == 0


def test_blocks_that_were_not_found_say_nothing() -> None:
    said = _learnt(0.1)[0].shift(np.full((3, 2), np.nan))

    assert (said.shift, said.spread, said.blocks) == ((0.0, 0.0), None, 0)


def test_too_few_pairs_teach_nothing() -> None:
    few = Blocks.learn(np.zeros((1, 2)), [np.ones((1, 2))] * 3, [np.ones(2)] * 3)

    assert few.informative == 0


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(0.1, 5)), min_size=1, max_size=20))
def test_half_of_the_weight_lies_on_either_side_of_the_median(words: list[tuple[float, float]]) -> None:
    values, weights = np.array(words).T
    middle = weighted_median(values, weights)

    assert weights[values < middle].sum() <= weights.sum() / 2 + 1e-6
    assert weights[values > middle].sum() <= weights.sum() / 2 + 1e-6


def test_blocks_are_found_where_the_picture_went() -> None:
    texture = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(90, 90)), 2).astype(np.float32)
    open_ = np.ones((80, 80), np.float32)
    moving, fixed = Scene(texture[5:85, 5:85], open_), Scene(texture[2:82, 7:87], open_)
    centres = block_centres(open_)

    found = block_displacements(fixed, moving, centres)

    inner = ((centres > 25) & (centres < 55)).all(axis=1)
    assert inner.any()
    assert found[inner] == pytest.approx(np.broadcast_to([3.0, -2.0], found[inner].shape), abs=0.3)


def test_there_are_no_blocks_far_from_vessels() -> None:
    assert block_centres(np.zeros((40, 40), np.float32)).shape == (0, 2)
