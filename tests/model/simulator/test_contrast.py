"""Iodine over time and depth."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.contrast import IODINE_PER_MM, Injection, iodine_attenuation

ARC = np.linspace(0, 200, 401)


def test_no_agent_before_the_injection() -> None:
    injection = Injection(start_s=0.4)
    for time in (0.0, 0.2, 0.4):
        assert not injection.concentration(time, ARC).any()


@pytest.mark.parametrize("speed", [150.0, 250.0, 400.0])
def test_front_travels_at_its_speed(speed: float) -> None:
    injection = Injection(start_s=0.3, speed_mm_s=speed)
    for time in (0.5, 0.7):
        reached = ARC[injection.concentration(time, ARC) > 0].max()
        assert reached == pytest.approx((time - 0.3) * speed, abs=0.6)  # arc is sampled every 0.5 mm


def test_vessel_fills_to_the_peak_and_washes_out_from_the_ostium() -> None:
    injection = Injection(start_s=0.2, duration_s=2.0, peak=0.8, washout_s=1.0)
    np.testing.assert_allclose(injection.concentration(2.1, ARC), 0.8)
    late = injection.concentration(3.5, ARC)
    assert (np.diff(late) >= 0).all()
    assert late[0] == pytest.approx(0.8 * np.exp(-1.3), abs=1e-6)


def test_concentration_never_leaves_its_range() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        injection = Injection.sample(rng, (0.2, 0.5))
        assert 0.2 <= injection.start_s <= 0.5
        for time in np.linspace(0, 6, 25):
            c = injection.concentration(float(time), ARC)
            assert c.min() >= 0
            assert c.max() <= injection.peak + 1e-12
            assert 0 <= injection.cloud(float(time)) <= max(injection.reflux, 0)


def test_thin_vessels_attenuate_proportionally_and_thick_ones_less() -> None:
    thin, thick = iodine_attenuation(np.array([0.01, 5.0], dtype=np.float32))
    assert thin == pytest.approx(0.01 * IODINE_PER_MM, rel=1e-3)
    assert 0.6 * 5 * IODINE_PER_MM < thick < 0.9 * 5 * IODINE_PER_MM


def test_attenuation_grows_with_depth() -> None:
    depth = np.linspace(0, 20, 200, dtype=np.float32)
    assert (np.diff(iodine_attenuation(depth)) > 0).all()
