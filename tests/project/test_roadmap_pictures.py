"""The picture of roadmaps in the documents: what each of its rows shows."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.data.run_pairs import PairChange
from casgan_dicom.model.evaluation.roadmap_rows import Frames
from casgan_dicom.pixels.banner import NO_ROADMAP, banner_for
from docs.roadmap_pictures import ROWS, Row, film, laid

_SIZE = 128


@pytest.mark.parametrize(
    ("row", "drawn"), [(Row(3, PairChange(), 0), True), (Row(3, ROWS[4].change, 20), False)]
)
def test_a_row_shows_what_was_what_is_what_is_drawn_and_what_is_true(row: Row, drawn: bool) -> None:
    """With a segmentor that knows the truth."""
    pair = film(row, _SIZE)

    def segment(frames: Frames) -> Frames:
        assert len(frames) == len(pair.reference.vessel_mask)
        return pair.reference.vessel_mask.astype(np.float32)

    placed, (filled, frame, made, truth) = laid(pair, segment)

    assert (placed.refused is None) == drawn
    assert filled.shape == frame.shape == made.shape == truth.shape == (_SIZE, _SIZE)
    vessel = pair.target.vessel_mask[0]
    assert (frame - truth)[vessel].mean() > 0.02
    if drawn:
        assert (frame - made)[vessel].mean() > 0.5 * (frame - truth)[vessel].mean()
    else:
        away = ~banner_for(_SIZE, _SIZE, NO_ROADMAP).mask((_SIZE, _SIZE))
        np.testing.assert_allclose(made[away], frame[away], atol=0.5 / 255)
