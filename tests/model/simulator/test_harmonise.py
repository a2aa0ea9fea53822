"""Compression of the background's range."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.detector import Detector, calibrate
from casgan_dicom.model.simulator.harmonise import Harmonisation, fit_harmonisation

PIXEL_MM = 0.8
OPEN = np.ones((128, 128), dtype=np.bool_)


def chest(height: float) -> np.ndarray:
    """A ramp of attenuation of the given height from lung to spine."""
    return np.tile(np.linspace(3.0, 3.0 + height, 128, dtype=np.float32), (128, 1))


@pytest.mark.parametrize("height", [1.5, 3.0, 6.0])
def test_window_black_becomes_zero_intensity(height: float) -> None:
    detector = Detector(window=(0.33, 0.65))
    fitted = fit_harmonisation(detector, chest(height), OPEN, PIXEL_MM)
    calibration = calibrate(detector, fitted.apply(chest(height)), OPEN, PIXEL_MM)
    assert abs(calibration.low) < 0.05 * calibration.high
    assert 0 < fitted.gamma < 1


def test_a_patient_of_small_range_is_left_as_he_is() -> None:
    fitted = fit_harmonisation(Detector(), chest(0.2), OPEN, PIXEL_MM)
    np.testing.assert_allclose(fitted.apply(chest(0.2)), chest(0.2), atol=2e-3)


def test_compression_keeps_the_order_and_the_field_stop() -> None:
    image = chest(3.0)
    image[:10] = 30.0
    out = Harmonisation(centre=4.5, gamma=0.4, base_px=3.75).apply(image)
    assert (out[:10] == 30.0).all()
    assert (np.diff(out[64]) > 0).all()
    assert np.ptp(out[64]) == pytest.approx(0.4 * 3.0, rel=0.15)
