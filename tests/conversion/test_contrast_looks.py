"""What is kept of a frame: lengths and shares by hand."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.conversion.contrast_looks import DARK_LEVELS, SIDE, look_at

DIAGONAL = 256 * 2**0.5
SEEN = np.ones((256, 256), np.bool_)


def picture(where: tuple[slice, slice], depth: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    frame, vessels = np.full((256, 256), 0.5, np.float32), np.zeros((256, 256), np.float32)
    frame[where] *= np.float32(np.exp(-depth))
    vessels[where] = 0.9
    return frame, vessels


@pytest.mark.parametrize("width", [2, 4, 8])
def test_a_line_is_as_long_as_it_is_whatever_its_width(width: int) -> None:
    look = look_at(*picture((slice(100, 100 + width), slice(20, 220))), SEEN)

    assert look.length * DIAGONAL == pytest.approx(200, rel=0.06)
    assert look.cover == pytest.approx(200 * width / 256**2)


def test_branches_count_and_other_parts_do_not() -> None:
    frame, vessels = picture((slice(100, 104), slice(20, 220)))
    vessels[104:204, 60:64] = 0.9
    vessels[10:14, 20:120] = 0.9

    assert look_at(frame, vessels, SEEN).length * DIAGONAL == pytest.approx(300, rel=0.06)


def test_darkness_is_that_of_the_line_and_not_of_what_is_around_it() -> None:
    frame, vessels = picture((slice(100, 104), slice(20, 220)))
    shade = np.linspace(1, 0.5, 256, dtype=np.float32)[:, None]

    look = look_at(frame * shade, vessels, SEEN)

    assert look.dark[50:52, 20:100] == pytest.approx(0.2 * DARK_LEVELS, abs=4)
    assert np.median(look.dark[~look.marks]) <= 2


def test_a_look_is_small_whatever_the_frame_is() -> None:
    for rows, columns in ((60, 200), (300, 1000), (1024, 1024)):
        nothing = np.zeros((rows, columns), np.float32)

        look = look_at(nothing, nothing, np.ones((rows, columns), np.bool_))

        assert max(look.marks.shape) <= SIDE
        assert look.marks.shape == look.dark.shape
        assert (look.cover, look.length) == (0, 0)


def test_a_frame_without_a_visible_pixel_has_no_picture() -> None:
    look = look_at(*picture((slice(100, 104), slice(20, 220))), ~SEEN)

    assert (look.visible, look.cover, look.length) == (0, 0, 0)
    assert not look.dark.any()
