"""Compression of the background's range."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.detector import Detector, shown_range
from casgan_dicom.model.simulator.harmonise import Harmonisation, fit_harmonisation

PIXEL_MM = 0.8
OPEN = np.ones((128, 128), dtype=np.bool_)


def chest(height: float) -> np.ndarray:
    """A ramp of attenuation of the given height from lung to spine."""
    return np.tile(np.linspace(3.0, 3.0 + height, 128, dtype=np.float32), (128, 1))


@pytest.mark.parametrize("compression", [0.5, 1.0])
@pytest.mark.parametrize("height", [3.0, 6.0])
def test_a_large_range_is_made_to_fit_the_window(height: float, compression: float) -> None:
    detector = Detector(window=(0.33, 0.65), compression=compression)
    fitted = fit_harmonisation(detector, chest(height), OPEN, PIXEL_MM)
    shown = shown_range(detector, fitted.apply(chest(height)), OPEN, PIXEL_MM)
    np.testing.assert_allclose(shown, (0.33, 0.65), rtol=0.03)  # fitted on every second pixel
    assert 0 < fitted.gamma < 1


def test_a_wider_window_and_a_display_that_compresses_leave_more_of_the_range() -> None:
    gammas = [
        fit_harmonisation(Detector(window=window, compression=c), chest(4.0), OPEN, PIXEL_MM).gamma
        for window, c in (((0.33, 0.65), 1.0), ((0.12, 0.9), 1.0), ((0.33, 0.65), 0.4))
    ]
    assert gammas[0] < min(gammas[1:])


def test_a_patient_of_small_range_is_left_as_he_is() -> None:
    fitted = fit_harmonisation(Detector(), chest(0.2), OPEN, PIXEL_MM)
    np.testing.assert_array_equal(fitted.apply(chest(0.2)), chest(0.2))


def test_compression_keeps_the_order_and_the_field_stop() -> None:
    image = chest(3.0)
    image[:10] = 30.0
    out = Harmonisation(centre=4.5, gamma=0.4, base_px=3.75).apply(image)
    assert (out[:10] == 30.0).all()
    assert (np.diff(out[64]) > 0).all()
    assert np.ptp(out[64]) == pytest.approx(0.4 * 3.0, rel=0.15)
