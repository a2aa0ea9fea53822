"""The exposure control's first frames."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

from casgan_dicom.model.simulator.cine import CineSettings, simulate_cine
from casgan_dicom.model.simulator.detector import Detector
from casgan_dicom.model.simulator.exposure import Ramp
from casgan_dicom.model.simulator.run import stream
from tests.model.simulator.phantom import WaterBaths


def test_a_settled_control_changes_nothing() -> None:
    assert [Ramp().factor(k) for k in (0, 1, 50)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("start", [0.15, -0.1])
def test_the_first_frame_is_off_by_the_start_and_the_swing_dies(start: float) -> None:
    ramp = Ramp(start=start)

    logarithm = [float(np.log(ramp.factor(k))) for k in range(40)]

    assert logarithm[0] == pytest.approx(start)
    assert abs(logarithm[5]) < 0.2 * abs(start)
    assert abs(logarithm[39]) < 1e-3


def test_half_of_the_runs_begin_too_bright_or_too_dark() -> None:
    starts = np.array([Ramp.sample(np.random.default_rng(seed)).start for seed in range(400)])

    assert np.mean(starts != 0) == pytest.approx(0.5, abs=0.08)  # three standard errors
    assert (starts > 0).sum() > (starts < 0).sum() > 20
    assert np.abs(starts[starts != 0]).min() >= 0.03
    assert np.abs(starts).max() <= 0.16


def test_both_twins_of_a_run_begin_as_its_control_has_it() -> None:
    settings = CineSettings(size=64, frames=30, bits=12)
    starts = (Detector.sample(stream(seed, "detector")).ramp.start for seed in count())
    seed = next(seed for seed, start in enumerate(starts) if start > 0.12)
    cine = simulate_cine(seed, settings, WaterBaths(), indices=(0, 29))

    first, settled = (np.median(cine.intensity(cine.plain[t])) for t in (0, 1))

    # patient, breath and vessels are the same bath; the readout's noise lifts neither
    assert np.log(first / settled) == pytest.approx(cine.detector.ramp.start, abs=0.02)
    assert np.median(cine.intensity(cine.contrast[0])) == pytest.approx(first, rel=0.02)
