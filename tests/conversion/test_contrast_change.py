"""The opening in time, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.conversion.contrast_change import opened

VALUES = st.lists(st.floats(-8, 8), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ([0, 0, 5, 5, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]),
        ([0, 0, 5, 5, 5, 0, 0], [0, 0, 5, 5, 5, 0, 0]),
        ([0, 0, 0, 0, 0, 5, 5], [0, 0, 0, 0, 0, 5, 5]),
        ([5, 0, 0, 0, 0, 0, 0], [5, 0, 0, 0, 0, 0, 0]),
        ([0, 5, 3, 5, 5, 0, 0], [0, 3, 3, 3, 3, 0, 0]),
        ([4], [4]),
    ],
)
def test_only_a_rise_of_three_looks_or_one_that_an_end_cuts_off_stays(
    values: list[float], left: list[float]
) -> None:
    assert opened(np.array(values, float), 3).tolist() == left


@given(VALUES, st.integers(1, 9))
def test_opening_only_takes_away_and_twice_is_once(values: list[float], window: int) -> None:
    series = np.array(values)

    once = opened(series, window)

    assert np.all(once <= series)
    assert opened(once, window).tolist() == once.tolist()
