"""Heart beat and breathing."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.motion import Motion, contraction

HEART = Heart()


def surface(height: float) -> np.ndarray:
    """A ring on the epicardium at a height of the long axis."""
    phi = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    ring = np.sqrt(1 - height**2)
    return HEART.to_patient(np.stack([np.sin(phi) * ring, np.cos(phi) * ring, np.full(36, height)], axis=1))


def test_contraction_starts_and_ends_relaxed_and_peaks_once() -> None:
    phase = np.linspace(0, 1, 2001)
    a = contraction(phase)
    assert a[0] == 0
    assert a[-1] == pytest.approx(0, abs=1e-9)
    assert a.max() == pytest.approx(1, abs=1e-4)
    assert np.count_nonzero(np.diff(np.sign(np.diff(a)[np.diff(a) != 0]))) == 1
    assert np.abs(np.diff(a)).max() < 0.005  # continuous: no frame jumps


def test_nothing_moves_at_end_diastole_with_the_breath_held() -> None:
    points = surface(0.2)
    np.testing.assert_allclose(Motion().move(HEART, points, 0.0), points, atol=1e-9)


def test_short_axes_shrink_by_the_radial_share_at_end_systole() -> None:
    points = surface(0.1)
    moved = Motion(radial=0.15).move(HEART, points, 0.36)

    def radius(p: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.norm(p - np.outer(p @ HEART.axes[2], HEART.axes[2]), axis=1))

    np.testing.assert_allclose(radius(moved) / radius(points), 0.85, atol=1e-6)


def test_groove_moves_to_the_apex_and_the_apex_stays() -> None:
    motion = Motion(long_axis_mm=15.0)
    groove, apex = surface(-0.35), HEART.axes[2] * HEART.semi_axes_mm[2]
    way = (motion.move(HEART, groove, 0.36) - groove) @ HEART.axes[2]
    np.testing.assert_allclose(way, 15.0, atol=1e-3)
    np.testing.assert_allclose(motion.move(HEART, apex, 0.36), apex, atol=1e-6)


def test_apex_twists_against_the_base() -> None:
    """The angle comes from the cross product of the ring's radii, not from the code under test."""

    def turned(height: float) -> float:
        before = surface(height)
        after = Motion(twist_deg=10.0).move(HEART, before, 0.36)
        a, b = (p @ HEART.axes[:2].T for p in (before, after))
        cross = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
        return float(
            np.rad2deg(np.arcsin(cross / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))).mean()
        )

    assert turned(0.9) - turned(-0.35) == pytest.approx(10 * 1.25 / 1.35, abs=0.1)


def test_breathing_in_moves_the_heart_to_the_feet_by_its_share() -> None:
    points = surface(0.0)
    moved = Motion(breath_heart_share=0.4).move(HEART, points, 0.0, breath_mm=10.0)
    np.testing.assert_allclose((moved - points)[:, 2], -4.0)


def test_phase_advances_by_the_heart_rate() -> None:
    motion = Motion(heart_rate_bpm=90.0, phase_start=0.25)
    assert motion.phase(0.0) == pytest.approx(0.25)
    assert motion.phase(1.0) == pytest.approx(0.75)


def test_sampled_patients_stay_within_physiology() -> None:
    rng = np.random.default_rng(1)
    patients = [Motion.sample(rng) for _ in range(200)]
    assert all(55 <= p.heart_rate_bpm <= 100 for p in patients)
    assert all(0.1 <= p.radial <= 0.17 for p in patients)
    breathing = [p for p in patients if p.breath_amplitude_mm >= 5]
    assert 50 < len(breathing) < 110
    assert all(p.breath_mm(t) <= p.breath_amplitude_mm for p in patients for t in (0.0, 0.7, 1.9))
