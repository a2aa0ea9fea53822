"""Display values to network values, and the levels that fix the mapping."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.data.normalisation import Levels, measure_levels, to_display, to_network
from casgan_dicom.model.settings import NormalisationSettings

SETTINGS = NormalisationSettings()


@pytest.mark.parametrize(("low", "high"), [(10.0, 90.0), (0.0, 100.0), (0.5, 99.5)])
def test_levels_are_the_percentiles_of_all_frames_together(low: float, high: float) -> None:
    rng = np.random.default_rng(3)
    frames = [rng.beta(2, 5, (h, 61)).astype(np.float32) for h in (40, 53, 17)]

    levels = measure_levels(iter(frames), NormalisationSettings(low_percentile=low, high_percentile=high))

    values = np.concatenate([frame.ravel() for frame in frames])
    wanted = np.percentile(values, [low, high], method="inverted_cdf")
    # Half a bin of the 16-bit histogram.
    np.testing.assert_allclose([levels.low, levels.high], wanted, atol=0.5 / 65535 + 1e-7)


def test_levels_of_eight_bit_values_are_exact() -> None:
    frame = (np.arange(256) / 255).reshape(16, 16).astype(np.float32)

    levels = measure_levels([frame], NormalisationSettings(low_percentile=25.0, high_percentile=75.0))

    assert levels.low == pytest.approx(63 / 255)
    assert levels.high == pytest.approx(191 / 255)


def test_a_constant_series_gets_levels_one_step_apart() -> None:
    levels = measure_levels([np.full((8, 8), 0.5, np.float32)], SETTINGS)

    assert levels.high - levels.low == pytest.approx(1 / 255)


def test_no_frames_have_no_levels() -> None:
    with pytest.raises(ValueError, match="no frames"):
        measure_levels([], SETTINGS)


def test_levels_need_an_order() -> None:
    with pytest.raises(ValueError, match="high > low"):
        Levels(0.5, 0.5)


def test_the_levels_become_the_two_fixed_network_values() -> None:
    levels = Levels(0.2, 0.6)

    network = to_network(np.array([0.2, 0.4, 0.6], np.float32), levels, SETTINGS)

    middle = (SETTINGS.low + SETTINGS.high) / 2
    np.testing.assert_allclose(network, [SETTINGS.low, middle, SETTINGS.high], atol=1e-7)
    assert network.dtype == np.float32


def test_network_values_stay_within_minus_one_and_one() -> None:
    network = to_network(np.array([0.0, 1.0], np.float32), Levels(0.4, 0.5), SETTINGS)

    np.testing.assert_array_equal(network, [-1, 1])


def test_what_was_not_clipped_comes_back() -> None:
    levels = Levels(0.3, 0.7)
    display = np.linspace(0.05, 0.95, 19, dtype=np.float32)

    back = to_display(to_network(display, levels, SETTINGS), levels, SETTINGS)

    np.testing.assert_allclose(back, display, atol=2e-7)  # two roundings to float32
    assert back.dtype == np.float32
