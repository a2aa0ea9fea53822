"""What an injection does to a frame, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from casgan_dicom.model.simulator.cine import CineSettings, SimulatedCine, simulate_cine
from casgan_dicom.model.simulator.contrast import Injection
from tests.model.simulator.phantom import WaterBaths

Render = Callable[[Injection], SimulatedCine]
PLAIN = Injection(start_s=0.3, duration_s=3.0)


@pytest.fixture
def injected(monkeypatch: pytest.MonkeyPatch) -> Render:
    """Renders one patient with an injection of choice."""

    def render(injection: Injection) -> SimulatedCine:
        monkeypatch.setattr(Injection, "sample", classmethod(lambda cls, rng, lead_in_s: injection))
        settings = CineSettings(size=96, frames=40, injected="RCA", view="LAO45")
        return simulate_cine(5, settings, WaterBaths(), indices=(3, 30))

    return render


def test_reflux_darkens_the_contrast_twin_only(injected: Render) -> None:
    none, some = injected(PLAIN), injected(replace(PLAIN, reflux=1.0))
    np.testing.assert_array_equal(none.plain, some.plain)
    for name in ("vessel_mask", "vessel_mm", "tree_mask", "centreline"):
        np.testing.assert_array_equal(getattr(none, name), getattr(some, name))
    darker = none.display(none.contrast) - some.display(some.contrast)
    assert np.abs(darker[0]).max() == 0  # before the injection
    assert darker[1].max() > 0.05


def test_layered_agent_keeps_its_amount_and_lies_to_one_side(injected: Render) -> None:
    even, layered = injected(PLAIN), injected(replace(PLAIN, layering=0.8))
    np.testing.assert_array_equal(even.vessel_mask, layered.vessel_mask)
    mixed, sunk = even.vessel_mm[1].astype(np.float64), layered.vessel_mm[1].astype(np.float64)
    assert sunk.sum() == pytest.approx(mixed.sum(), rel=0.02)
    assert np.abs(sunk - mixed).sum() > 0.1 * mixed.sum()
    # seen from LAO 45° the patient's back is at the right; 0.3 radii are less than 0.3 pixels of 2 mm
    columns = np.arange(96)
    middles = [np.average(columns, weights=image.sum(axis=0)) for image in (mixed, sunk)]
    assert 0.03 < middles[1] - middles[0] < 0.3
