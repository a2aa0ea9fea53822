"""The measure by which a frame is recognised on the screen, without a screen."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tests.viewer.browser import likeness


def test_a_frame_is_recognised_in_its_enlarged_middle_and_no_other_is() -> None:
    frames = np.random.default_rng(3).integers(0, 4096, (2, 50, 100), dtype=np.uint16)
    middle = Image.fromarray(frames[0, 10:40, 20:80].astype(np.float32) / 16)
    seen = np.asarray(middle.resize((420, 210), Image.Resampling.BILINEAR), dtype=np.float64)

    assert likeness(seen, frames[0]) > 0.95
    assert abs(likeness(seen, frames[1])) < 0.2


def test_nothing_is_like_a_black_screen() -> None:
    assert likeness(np.zeros((30, 60)), np.eye(50)) == 0
