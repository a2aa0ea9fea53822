"""A frame as it is judged: what displays do to it does not count, nor does the black around it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from casgan_dicom.model.domain.checks import oddity
from casgan_dicom.model.domain.patterns import coloured_noise, ramp, white_noise
from casgan_dicom.model.domain.view import BARE_SIDE, SIDE, bare, seen


def picture(size: int = 256) -> np.ndarray:
    """Something with edges and shades, between 0.3 and 0.9."""
    rng = np.random.default_rng(4)
    coarse = ndimage.zoom(rng.random((9, 9)), size / 9, order=3)
    coarse[size // 3 : size // 2, size // 4 :] += 0.5
    low, high = coarse.min(), coarse.max()
    return np.asarray(0.3 + 0.6 * (coarse - low) / (high - low), dtype=np.float32)


@pytest.mark.parametrize("bend", [lambda x: x**2.2, lambda x: 0.4 + 0.2 * x, lambda x: np.log1p(5 * x) / 2])
def test_the_curve_of_a_display_does_not_count(bend: object) -> None:
    plain, bent = picture(), bend(picture()).astype(np.float32)  # type: ignore[operator]

    assert float(np.abs(seen(plain) - seen(bent)).max()) < 0.06  # resized before its order is taken


def test_black_around_a_picture_does_not_count() -> None:
    framed = np.zeros((300, 320), np.float32)
    framed[30:286, 40:296] = picture()

    np.testing.assert_allclose(seen(framed), seen(picture()), atol=0.05)


@pytest.mark.parametrize("shape", [(512, 512), (64, 64), (1000, 70), (65, 900)])
def test_every_shape_becomes_one(shape: tuple[int, int]) -> None:
    frame = np.random.default_rng(1).random(shape).astype(np.float32)

    assert bare(frame).shape == (BARE_SIDE, BARE_SIDE)
    assert seen(frame).shape == (SIDE, SIDE)


def test_a_black_frame_can_be_looked_at() -> None:
    assert oddity(np.zeros((128, 128), np.float32)) == "a picture of one grey value"


@pytest.mark.parametrize("seed", range(6))
def test_noise_and_ramps_are_named_and_a_picture_is_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    even = np.linspace(0, 1, 200, dtype=np.float32)

    assert "noise" in oddity(rng.random((512, 512)).astype(np.float32))
    assert "ramp" in oddity(np.outer(even, np.ones(200)).astype(np.float32))
    assert "ramp" in oddity(((even[:, None] + 2 * even) / 3).astype(np.float32))
    assert oddity(picture()) == ""


def test_stand_ins_are_pictures() -> None:
    for draw in (white_noise, coloured_noise, ramp):
        made = draw(np.random.default_rng(3), 96)
        assert made.shape == (96, 96)
        assert 0 <= made.min() <= made.max() <= 1
