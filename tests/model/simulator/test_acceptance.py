"""The acceptance table on fixed seeds, with its figures printed."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from casgan_dicom.model.simulator.acceptance import ACCEPTANCE, failures, measure
from casgan_dicom.model.simulator.cine import CineSettings, SimulatedCine, simulate_cine
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds
from tests.model.simulator.phantom import WaterBaths

SEEDS = range(9000, 9012)


def test_simulated_runs_measure_like_real_ones(capsys: pytest.CaptureFixture[str]) -> None:
    settings, patients = CineSettings(size=512, frames=60), ProceduralBackgrounds()
    table = measure([simulate_cine(seed, settings, patients, well_filled=2) for seed in SEEDS])
    with capsys.disabled():
        for key, value in table.items():
            limit = ACCEPTANCE[key]
            real = "" if limit.real is None else f"real {limit.real}"
            row = f"  {limit.quantity}: {value:.3f}, accepted {limit.low}-{limit.high} {real}"
            sys.stdout.write(f"\n{row}")
    assert failures(table) == ()


def small(seed: int = 4) -> SimulatedCine:
    return simulate_cine(seed, CineSettings(size=128, frames=60), WaterBaths(), well_filled=2)


def test_a_run_without_contrast_fails_the_table() -> None:
    run = small()
    table = measure([replace(run, contrast=run.plain)])
    assert table["attenuation_p50"] == pytest.approx(0, abs=1e-6)
    assert {"attenuation_p50", "depth_p50"} <= set(failures(table))


def test_width_is_measured_in_pixels_of_512() -> None:
    """A drawn bar of 5 pixels at 128 is 20 pixels wide at 512."""
    run = small()
    bar = np.zeros_like(run.vessel_mask)
    bar[:, 60:65, 10:118] = True
    line = np.zeros_like(bar)
    line[:, 62, 20:100] = True
    table = measure([replace(run, vessel_mask=bar, centreline=line)])
    assert table["width_p50"] == pytest.approx(20, abs=1)
    assert table["cover_percent"] == pytest.approx(100 * 5 * 108 / 128**2)


def test_frames_before_the_filling_cannot_be_measured() -> None:
    run = simulate_cine(4, CineSettings(size=64, frames=60), WaterBaths(), indices=(0, 1))
    with pytest.raises(ValueError, match="none of 1 runs"):
        measure([run])
