"""Frames that a plan is made from: the ones asked for, at a size that memory can hold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from casgan_dicom.conversion.run_sample import LONGEST_SIDE, RunSample
from casgan_dicom.errors import PixelError
from casgan_dicom.model.atlas.context import RunContext

Frame = npt.NDArray[np.float32]


def run(frames: int, rows: int = 6, columns: int = 8) -> Iterator[Frame]:
    """Frames of one value each: their number over 100."""
    for k in range(frames):
        yield np.full((rows, columns), k / 100, np.float32)


def test_every_frame_passes_and_only_those_asked_for_stay() -> None:
    sample = RunSample((0, 3, 9))

    passed = [frame[0, 0] for frame in sample.passing(run(10))]

    assert passed == [np.float32(k / 100) for k in range(10)]
    frames, numbers = sample.without([False] * 10)
    assert numbers == (0, 3, 9)
    np.testing.assert_allclose(frames[:, 0, 0], [0, 0.03, 0.09])


@pytest.mark.parametrize(
    ("shown", "left"), [((), (0, 3, 9)), ((3, 4, 9), (0,)), ((0, 1, 3, 9), (0, 3, 9)), ((5, 6), (0, 3, 9))]
)
def test_frames_that_show_contrast_are_left_out_where_others_are_left(
    shown: tuple[int, ...], left: tuple[int, ...]
) -> None:
    sample = RunSample((0, 3, 9))
    list(sample.passing(run(10)))

    frames, numbers = sample.without([k in shown for k in range(10)])

    assert numbers == left
    np.testing.assert_allclose(frames[:, 0, 0], [k / 100 for k in left])


def test_a_run_that_breaks_off_is_no_run_to_plan_for() -> None:
    sample = RunSample((0, 9))
    list(sample.passing(run(5)))
    with pytest.raises(PixelError, match="1 of 2 frames"):
        sample.without([False] * 10)


@pytest.mark.parametrize("shape", [(512, 512), (300, 512)])
def test_frames_of_usual_size_stay_as_they_are(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    frame, sample = rng.random(shape, np.float32), RunSample((0,))
    list(sample.passing([frame]))

    context = RunContext(pixel_mm=0.3, visible=np.ones(shape, np.bool_))
    np.testing.assert_array_equal(sample.without([False])[0][0], frame)
    assert sample.scaled(context) is context


def test_large_frames_are_reduced_and_what_is_known_of_them_with_them() -> None:
    """1021 × 1024 become 511 × 512: the mean of each square of two pixels, the last row repeated."""
    rng = np.random.default_rng(3)
    frame, sample = rng.random((1021, 1024), np.float32), RunSample((0,))
    list(sample.passing([frame]))
    visible = np.ones(frame.shape, np.bool_)
    visible[10, 21] = False

    kept = sample.without([False])[0][0]
    scaled = sample.scaled(RunContext(pixel_mm=0.2, visible=visible, key="k"))

    assert kept.shape == (511, LONGEST_SIDE)
    np.testing.assert_allclose(kept[4, 7], frame[8:10, 14:16].mean(), rtol=1e-5)
    np.testing.assert_allclose(kept[510, 0], frame[1020, :2].mean(), rtol=1e-5)
    assert scaled.visible is not None
    assert np.argwhere(~scaled.visible).tolist() == [[5, 10]]
    assert (scaled.pixel_mm, scaled.key) == (0.4, "k")


def test_white_stays_within_the_range_of_display_values() -> None:
    sample = RunSample((0,))
    list(sample.passing([np.ones((2048, 2048), np.float32)]))
    assert sample.without([False])[0].max() <= 1
