"""Heart beat and breathing."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.motion import Motion, contraction, draw_beats, draw_coughs

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


def test_a_pause_stretches_diastole_and_leaves_the_contraction_alone() -> None:
    regular, pausing = Motion(heart_rate_bpm=60.0), Motion(heart_rate_bpm=60.0, beats=(2.0, 1.0))
    systole, late = np.linspace(0.0, 0.7, 8), np.linspace(0.8, 1.95, 12)

    np.testing.assert_allclose(pausing.phase(systole), regular.phase(systole), atol=1e-9)
    assert (np.diff(pausing.phase(late)) > 0).all()  # one long diastole, no beat in it
    assert (contraction(pausing.phase(late)) < 0.02).all()
    assert pausing.phase(2.0) == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(pausing.phase(2.0 + systole), regular.phase(systole), atol=1e-9)


def test_an_early_beat_is_a_whole_beat_in_less_time() -> None:
    motion = Motion(heart_rate_bpm=60.0, beats=(0.6, 1.4))
    phase = motion.phase(np.linspace(0.0, 0.599, 200))
    assert (np.diff(phase) > 0).all()
    assert phase[0] == 0
    assert phase[-1] > 0.98
    assert np.abs(np.diff(contraction(motion.phase(np.linspace(0, 4, 2001))))).max() < 0.02


@pytest.mark.parametrize("phase", [0.0, 0.3, 0.76, 0.9])
@pytest.mark.parametrize("length", [0.5, 1.0, 1.8])
def test_an_irregular_heart_starts_at_its_phase(phase: float, length: float) -> None:
    motion = Motion(phase_start=phase, beats=(length, 1.0))
    assert motion.phase(0.0) == pytest.approx(phase, abs=1e-9)


def test_a_rhythm_is_repeated_when_it_is_used_up() -> None:
    motion = Motion(heart_rate_bpm=60.0, beats=(0.7, 1.3))
    np.testing.assert_allclose(motion.phase([4.1, 8.1]), motion.phase(0.1), atol=1e-9)


def test_a_cough_throws_the_diaphragm_both_ways_and_is_soon_over() -> None:
    motion = Motion(coughs_s=(1.0,), cough_mm=8.0)
    time = np.linspace(0.0, 2.0, 401)
    way = np.array([motion.breath_mm(t) for t in time])
    assert way.max() == pytest.approx(8.0, abs=0.05)
    assert way.min() == pytest.approx(-8.0, abs=0.05)
    assert time[way.argmax()] < 1.0 < time[way.argmin()]
    assert np.abs(way[np.abs(time - 1.0) > 0.7]).max() < 0.1


def test_some_hearts_are_irregular_and_few_patients_cough() -> None:
    rng = np.random.default_rng(2)
    spread = np.array([np.std(draw_beats(rng)) for _ in range(400)])
    coughs = [draw_coughs(rng) for _ in range(400)]
    assert 0.2 < (spread > 0.06).mean() < 0.4
    assert 0.04 < np.mean([len(times) > 0 for times in coughs]) < 0.13
    assert max(map(len, coughs)) == 3


def test_sampled_patients_stay_within_physiology() -> None:
    rng = np.random.default_rng(1)
    patients = [Motion.sample(rng) for _ in range(200)]
    rates = [p.heart_rate_bpm for p in patients]
    assert 45 <= min(rates) < 60
    assert 100 < max(rates) <= 120
    assert all(0.1 <= p.radial <= 0.17 for p in patients)
    breathing = [p for p in patients if p.breath_amplitude_mm >= 5]
    assert 50 < len(breathing) < 110
    calm = [p for p in patients if not p.coughs_s]
    assert all(p.breath_mm(t) <= p.breath_amplitude_mm for p in calm for t in (0.0, 0.7, 1.9))
