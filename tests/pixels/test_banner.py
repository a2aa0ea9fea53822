"""The text that is burned into every frame."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from casgan_dicom.pixels.banner import TEXTS, banner_for, letters

SIZES = [(64, 64), (64, 80), (128, 128), (256, 256), (512, 512), (768, 1024), (1024, 1024), (2048, 2048)]


@pytest.mark.parametrize("size", SIZES)
def test_banner_lies_within_the_last_rows_and_hides_little(size: tuple[int, int]) -> None:
    banner = banner_for(*size)
    mask = banner.mask(size)

    assert mask[-1].any()
    assert mask.sum() == banner.ink.size
    assert mask.mean() < (0.04 if size[1] >= 256 else 0.12)


@pytest.mark.parametrize("side", [256, 512, 1024])
def test_full_sentence_is_written_from_256_columns_on(side: int) -> None:
    banner = banner_for(side, side)

    assert banner.text == "AI SYNTHETIC - NOT FOR DIAGNOSIS"
    # Shown on a screen of at least 512 pixels, a letter is then 12 pixels high or more.
    assert banner.ink.shape[0] * 512 / side >= 12


def test_larger_frames_show_the_same_letters_in_larger_pixels() -> None:
    small, large = banner_for(256, 256).ink, banner_for(1024, 1024).ink

    np.testing.assert_array_equal(large, small.repeat(4, axis=0).repeat(4, axis=1))


@pytest.mark.parametrize("text", TEXTS)
def test_narrow_frames_get_the_longest_text_that_fits(text: str) -> None:
    width = letters(text).shape[1] + 2

    assert banner_for(64, width).text == text


def test_frame_narrower_than_every_text_is_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        banner_for(64, 5)


def test_burning_writes_white_on_black_and_touches_nothing_else() -> None:
    frame = np.full((256, 256), 100, dtype=np.uint8)
    banner = banner_for(256, 256)

    banner.burn(frame)

    mask = banner.mask((256, 256))
    assert (frame[~mask] == 100).all()
    assert set(np.unique(frame[mask])) == {0, 255}
    assert 0.2 < (frame[mask] == 255).mean() < 0.6  # neither a black bar nor a white one


def test_text_is_the_same_bytes_on_every_machine() -> None:
    """Looked at once and held since: with other letters, every output would get another SOP Instance UID."""
    ink = banner_for(256, 256).ink

    assert ink.shape == (8, 193)
    assert (
        hashlib.sha256(np.packbits(ink).tobytes()).hexdigest()
        == "a6e9fa970e1dc855cf8c21667b54857e12893df0afbec7c5a841f2e4059aeddd"
    )
