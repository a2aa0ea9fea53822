"""Where no picture is; the oracle is a blade, a field stop or a shutter that was put there."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.atlas.border import Rim, border_of, cut_at

SIDE = 64
ROW, COLUMN = np.mgrid[:SIDE, :SIDE]
ROUND = np.hypot(ROW - 31.5, COLUMN - 31.5) < 30
BLADE = COLUMN >= 9


def lit(field: np.ndarray, *, black: float = 0.01) -> np.ndarray:
    rng = np.random.default_rng(1)
    picture = rng.uniform(0.1, 0.9, (3, SIDE, SIDE)).astype(np.float32)
    return np.where(field, picture, rng.uniform(0, black, picture.shape)).astype(np.float32)


@pytest.mark.parametrize("field", [ROUND, BLADE, ROUND & BLADE])
@pytest.mark.parametrize("black", [0.0, 0.03])
def test_what_is_black_at_the_edge_is_no_picture(field: np.ndarray, black: float) -> None:
    np.testing.assert_array_equal(border_of(lit(field, black=black)), ~field)


def test_a_dark_thing_in_the_picture_is_one() -> None:
    frames = lit(ROUND)
    frames[:, 28:36, 28:36] = 0.0
    np.testing.assert_array_equal(border_of(frames), ~ROUND)


def test_what_is_bright_in_one_frame_is_picture() -> None:
    frames = lit(BLADE)
    frames[1] = 0.5
    assert not border_of(frames).any()


def test_a_shutter_of_the_header_counts_whatever_lies_under_it() -> None:
    visible = ROW < 50
    np.testing.assert_array_equal(border_of(lit(np.ones_like(ROUND)), visible), ~visible)


@pytest.mark.parametrize("enlarged", [1, 2, 3])
def test_vessels_end_at_the_pixel_where_the_picture_does(enlarged: int) -> None:
    border = border_of(lit(ROUND))
    row, column = np.mgrid[: SIDE * enlarged, : SIDE * enlarged]
    middle = (SIDE * enlarged - 1) / 2
    field = np.hypot(row - middle, column - middle) < 30 * enlarged
    frames = np.where(field, 0.5, 0.01).astype(np.float32)[None]

    cut = cut_at(Rim.of(border, frames.shape[1:]), np.ones_like(frames), frames)

    np.testing.assert_array_equal(cut[0] > 0, field)


def test_a_dark_spine_at_the_edge_keeps_its_vessels() -> None:
    frames = np.full((2, SIDE, SIDE), 0.12, np.float32)
    border = border_of(frames)
    assert not border.any()
    assert cut_at(Rim.of(border, frames.shape[1:]), np.ones_like(frames), frames).all()
