"""Phase by R waves."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.atlas.ecg import phase_by_r_waves, rate_of

TIMES = np.arange(60) / 15.0


def test_phase_is_the_share_of_the_interval_between_two_r_waves() -> None:
    phase = phase_by_r_waves((0.0, 0.8, 1.8, 2.6), np.array([0.0, 0.4, 0.8, 1.05, 1.3, 2.2]))
    assert phase is not None
    np.testing.assert_allclose(phase % 1, [0.0, 0.5, 0.0, 0.25, 0.5, 0.5], atol=1e-9)


def test_a_missed_r_wave_does_not_stretch_its_beat() -> None:
    whole = phase_by_r_waves((0.1, 0.9, 1.7, 2.5, 3.3), TIMES)
    gap = phase_by_r_waves((0.1, 0.9, 2.5, 3.3), TIMES)
    assert whole is not None
    assert gap is not None
    np.testing.assert_allclose(gap, whole, atol=1e-9)


def test_doubles_and_disorder_change_nothing() -> None:
    whole = phase_by_r_waves((0.1, 0.9, 1.7, 2.5), TIMES)
    messy = phase_by_r_waves((1.7, 0.1, 0.9, 0.95, 2.5, float("nan")), TIMES)
    assert whole is not None
    assert messy is not None
    np.testing.assert_allclose(messy, whole, atol=1e-9)


def test_the_beat_runs_on_before_the_first_and_after_the_last_r_wave() -> None:
    phase = phase_by_r_waves((1.0, 1.8, 2.6), np.array([0.6, 3.0]))
    assert phase is not None
    np.testing.assert_allclose(phase % 1, [0.5, 0.5], atol=1e-9)


@pytest.mark.parametrize("waves", [(), (1.0,), (1.0, 1.1)])
def test_fewer_than_two_r_waves_tell_no_phase(waves: tuple[float, ...]) -> None:
    assert phase_by_r_waves(waves, TIMES) is None


def test_rate_is_that_of_the_median_interval() -> None:
    assert rate_of((0.0, 0.75, 1.5, 3.0)) == pytest.approx(80.0)
