"""What is laid over a frame changes nothing beside it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from casgan_dicom.model.roadmap.contrast_layer import ContrastLayer
from casgan_dicom.model.roadmap.placed import compose
from casgan_dicom.model.roadmap.run import FloatImage, Scale

_SHAPE = (7, 9)
_PICTURES = arrays.arrays(np.float32, _SHAPE, elements=st.floats(0, 1, width=32))


@given(frame=_PICTURES, depth=_PICTURES, scale=st.sampled_from(["linear", "log"]))
def test_vessels_only_darken_and_leave_the_rest_bit_for_bit(
    frame: FloatImage, depth: FloatImage, scale: Scale
) -> None:
    drawn = compose(frame, depth, scale)

    assert np.array_equal(drawn[depth == 0], frame[depth == 0])
    assert (drawn <= frame).all()
    assert drawn.min() >= 0


def test_layers_on_logarithms_add() -> None:
    frame, depth = np.full(_SHAPE, 0.5, np.float32), np.full(_SHAPE, 0.2, np.float32)

    assert compose(frame, depth, "log") == pytest.approx(0.3)
    assert compose(frame, depth, "linear") == pytest.approx(0.5 * np.exp(-0.2))


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="two equal shapes"):
        compose(np.zeros((2, 3), np.float32), np.zeros((3, 2), np.float32))


@given(down=st.integers(-9, 9), right=st.integers(-9, 9))
def test_a_layer_moves_by_whole_pixels_as_its_pixels_do(down: int, right: int) -> None:
    depth, vessel = np.zeros(_SHAPE, np.float32), np.zeros(_SHAPE, np.bool_)
    depth[3, 4], depth[3, 5], vessel[3, 4] = 0.5, 0.25, True
    layer = ContrastLayer.of(depth, vessel)

    moved, mask = layer.depth_at((down, right)), layer.mask_at((down, right))

    for row, column, value in ((3, 4, 0.5), (3, 5, 0.25)):
        inside = 0 <= row + down < _SHAPE[0] and 0 <= column + right < _SHAPE[1]
        assert not inside or moved[row + down, column + right] == value
    assert mask.sum() == int(0 <= 3 + down < _SHAPE[0] and 0 <= 4 + right < _SHAPE[1])
    assert moved.sum() <= depth.sum()
