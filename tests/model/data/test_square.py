"""Frames of any shape as squares, and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from casgan_dicom.model.data.square import from_square, masks_to_square, to_square


def test_resizing_keeps_brightness_range_and_place() -> None:
    """A checkerboard of single pixels must become grey, not alias; a square stays where it was."""
    board = np.indices((64, 64)).sum(0)[None].astype(np.float32) % 2
    np.testing.assert_allclose(to_square(board, 16)[0, 2:-2, 2:-2], 0.5, atol=0.02)
    square = np.zeros((1, 64, 64), np.float32)
    square[0, 16:32, 32:48] = 1
    small = to_square(square, 32)
    rows, columns = np.nonzero(small[0] > 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 15, 16, 23)
    assert small.min() >= 0
    assert small.max() <= 1
    assert to_square(square, 64) is square


@pytest.mark.parametrize(("side", "size"), [(40, 24), (24, 40), (512, 286)])
def test_a_resized_mask_pixel_is_that_of_the_nearest_place(side: int, size: int) -> None:
    mask = np.random.default_rng(0).random((2, side, side)) < 0.3
    nearest = [int((k + 0.5) * side / size) for k in range(size)]
    np.testing.assert_array_equal(masks_to_square(mask, size), mask[:, nearest][:, :, nearest])


@pytest.mark.parametrize("shape", [(64, 32), (32, 64), (64, 60)])
def test_the_longer_side_fits_and_the_shorter_is_continued_by_its_edge(shape: tuple[int, int]) -> None:
    """Halved, a ramp stays a ramp of twice the slope, whatever the other side."""
    rows, columns = np.indices(shape)
    ramp = ((rows + columns) / 128)[None].astype(np.float32)
    square = to_square(ramp, 32)
    height, width = shape[0] // 2, shape[1] // 2
    expected = (2 * np.indices((height, width)).sum(0) + 1) / 128
    np.testing.assert_allclose(square[0, 2 : height - 2, 2 : width - 2], expected[2:-2, 2:-2], atol=1e-3)
    np.testing.assert_array_equal(square[:, height:, :width], square[:, [height - 1] * (32 - height), :width])
    np.testing.assert_array_equal(square[:, :, width:], square[:, :, [width - 1] * (32 - width)])
    np.testing.assert_allclose(from_square(square, shape)[0, 6:-6, 6:-6], ramp[0, 6:-6, 6:-6], atol=1e-2)


def test_nothing_is_marked_where_a_frame_was_continued() -> None:
    square = masks_to_square(np.ones((1, 64, 40), dtype=bool), 32)
    assert square[:, :, :20].all()
    assert not square[:, :, 20:].any()


@pytest.mark.parametrize(("shape", "size"), [((512, 512), 256), ((300, 512), 256), ((90, 100), 256)])
def test_resizing_is_that_of_torch_which_older_bundles_were_trained_with(
    shape: tuple[int, int], size: int
) -> None:
    """To the last digits, so that what they draw stays within one stored value of what it was."""
    frames = np.random.default_rng(3).random((2, *shape), np.float32)
    height, width = (round(n * size / max(shape)) for n in shape)
    theirs = torch.from_numpy(frames)[:, None]
    small = F.interpolate(theirs, (height, width), mode="bicubic", antialias=True)[:, 0].clamp(0, 1)

    square = to_square(frames, size)

    np.testing.assert_allclose(square[:, :height, :width], small.numpy(), atol=3e-5)
    if max(shape) > size:
        large = F.interpolate(small[:, None], shape, mode="bilinear", align_corners=False)[:, 0]
        np.testing.assert_allclose(from_square(square, shape), large.numpy(), atol=3e-5)
