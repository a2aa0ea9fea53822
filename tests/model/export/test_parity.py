"""Parity is measured, not assumed."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.errors import WeightsError
from casgan_dicom.model.export.parity import TOLERANCE, measure_parity, parity_frames


def test_frames_are_the_same_each_time_and_in_range() -> None:
    first, second = parity_frames(64), parity_frames(64)
    np.testing.assert_array_equal(first, second)
    assert first.shape == (3, 1, 64, 64)
    assert -1 <= first.min() < first.max() <= 1
    assert (first[2, 0, :8] == -1).all()


def test_deviation_is_the_largest_and_the_mean_difference() -> None:
    def run(x: np.ndarray) -> list[np.ndarray]:
        y = x.copy()
        y[0, 0, 0, 0] += 5e-4
        return [y]

    found = measure_parity(lambda x: (x,), run, ("drawn",), 32)["drawn"]

    assert found.maximum == pytest.approx(5e-4, rel=1e-3)  # float32 beside values up to 1
    assert found.mean == pytest.approx(5e-4 / (3 * 32 * 32), rel=1e-3)


@pytest.mark.parametrize("offset", [1.5 * TOLERANCE, float("nan"), float("inf")])
def test_a_graph_that_is_off_is_refused(offset: float) -> None:
    with pytest.raises(WeightsError, match="'drawn'"):
        measure_parity(lambda x: (x,), lambda x: [(x + offset).astype(np.float32)], ("drawn",), 32)


def test_outputs_of_another_shape_are_refused() -> None:
    with pytest.raises(WeightsError, match="shapes"):
        measure_parity(lambda x: (x,), lambda x: [x[:1]], ("drawn",), 32)
