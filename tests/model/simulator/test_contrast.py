"""Iodine over time and depth."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.contrast import IODINE_PER_MM, Injection, Mixing, iodine_attenuation

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


def test_thin_vessels_attenuate_proportionally_and_thick_ones_less() -> None:
    thin, thick = iodine_attenuation(np.array([0.01, 5.0], dtype=np.float32))
    assert thin == pytest.approx(0.01 * IODINE_PER_MM, rel=1e-3)
    assert 0.6 * 5 * IODINE_PER_MM < thick < 0.9 * 5 * IODINE_PER_MM


def test_attenuation_grows_with_depth() -> None:
    depth = np.linspace(0, 20, 200, dtype=np.float32)
    assert (np.diff(iodine_attenuation(depth)) > 0).all()


def test_weak_injections_stream_and_strong_ones_hardly_do() -> None:
    """Unevenness along a filled vessel, as standard deviation over mean."""
    rng = np.random.default_rng(3)
    drawn = [Injection.sample(rng, (0.2, 0.5)) for _ in range(120)]

    def unevenness(injection: Injection) -> float:
        c = injection.concentration(injection.start_s + injection.duration_s, ARC[:200])
        return float(c.std() / c.mean())

    weak = [unevenness(i) for i in drawn if i.layering > 0 and i.duration_s > 1.8]
    strong = [unevenness(i) for i in drawn if i.layering == 0 and i.duration_s > 1.8]
    assert 5 < len(weak) < 40
    assert np.mean(weak) > 0.06
    assert np.mean(weak) > 2 * np.mean(strong)


def test_streams_drift_down_the_vessel() -> None:
    waves = np.array([[20.0, 100.0, 0.3, 1.0]])
    mixing = Mixing(share=0.4, waves=waves)
    early, late = mixing.left(1.0, ARC), mixing.left(1.1, ARC + 10.0)
    np.testing.assert_allclose(early, late, atol=1e-9)
    assert early.min() == pytest.approx(0.6, abs=0.01)
    assert early.max() == pytest.approx(1.0, abs=0.01)


def test_most_injections_flow_back_into_the_root() -> None:
    rng = np.random.default_rng(4)
    drawn = [Injection.sample(rng, (0.2, 0.5)) for _ in range(300)]
    assert 0.6 < np.mean([i.reflux > 0 for i in drawn]) < 0.9
    assert min(i.duration_s for i in drawn) < 1.8 < max(i.duration_s for i in drawn)
