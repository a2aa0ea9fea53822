"""How far the table has moved, seen in the frames; the oracle moves a picture by known ways."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from casgan_dicom.model.atlas.panning import SIDE, table_shifts

FRAMES = 8


def anatomy(seed: int = 1) -> np.ndarray:
    """Structure of some pixels, wider than a frame: (SIDE + 40, SIDE + 40) of about 0.5."""
    rng = np.random.default_rng(seed)
    wide = gaussian_filter(rng.normal(0.0, 1.0, (SIDE + 40, SIDE + 40)), 1.5)
    return np.asarray(0.5 + 0.1 * wide / wide.std())


def filmed(ways: np.ndarray, *, blade: int = 0, grain: float = 0.0) -> np.ndarray:
    """Frames of the anatomy moved by (column, row), a still black blade at the left."""
    rng, wide = np.random.default_rng(5), anatomy()
    frames = [shift(wide, (row, column), order=1, mode="nearest")[20:-20, 20:-20] for column, row in ways]
    moving = np.stack(frames) + rng.normal(0.0, grain, (len(ways), SIDE, SIDE))
    moving[:, :, :blade] = 0.02
    return np.clip(moving, 0, 1).astype(np.float32)


def pan(column: float, row: float) -> np.ndarray:
    """A table that rests, moves and rests."""
    share = np.clip((np.arange(FRAMES) - 2) / 3, 0, 1)
    return share[:, None] * (column, row)


@pytest.mark.parametrize("way", [(6.0, 0.0), (-7.0, -4.0), (2.0, 5.5)])
def test_the_way_of_the_table_is_found(way: tuple[float, float]) -> None:
    ways = pan(*way)
    np.testing.assert_allclose(table_shifts(filmed(ways, grain=0.01)), ways, atol=0.4)


def test_a_still_blade_does_not_hold_the_table() -> None:
    ways = pan(-6.0, 3.0)
    np.testing.assert_allclose(table_shifts(filmed(ways, blade=10)), ways, atol=0.5)


def test_a_table_that_stands_still_is_exactly_still() -> None:
    assert not table_shifts(filmed(np.zeros((FRAMES, 2)), grain=0.02)).any()


def test_a_shift_that_comes_back_in_the_next_frame_is_the_heart_and_not_the_table() -> None:
    ways = np.zeros((FRAMES, 2))
    ways[3] = (4.0, 3.0)
    found = table_shifts(filmed(ways))
    assert np.abs(np.delete(found, 3, axis=0)).max() < 0.1


def test_frames_that_show_nothing_say_nothing() -> None:
    assert not table_shifts(np.full((3, SIDE, SIDE), 0.5, np.float32)).any()
    assert table_shifts(np.full((1, SIDE, SIDE), 0.5, np.float32)).shape == (1, 2)
