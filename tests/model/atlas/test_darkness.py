"""How dark a vessel is in a run; the oracle is a catheter of a known depth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from casgan_dicom.model.atlas.cues import GRID
from casgan_dicom.model.atlas.darkness import darkness_by, shaft_depths
from casgan_dicom.model.atlas.planner import make_plan
from tests.model.atlas.readings import FRAMES, SAMPLED, oracle_cues, patient, small_library, told


def catheter(depth: float, *, power: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Two frames with a shaft of 3 pixels before a sloping background, and where it is."""
    shaft = np.zeros((2, GRID, GRID), np.float32)
    shaft[:, 20:110, 60:63] = 1
    slope = np.linspace(0.4, 0.8, GRID, dtype=np.float32)[None, :, None]
    return ((slope * np.exp(-depth * shaft)) ** power).astype(np.float32), shaft


@pytest.mark.parametrize("depth", [0.03, 0.1, 0.2])
def test_the_depth_of_the_shaft_is_measured_against_its_surroundings(depth: float) -> None:
    np.testing.assert_allclose(shaft_depths(*catheter(depth)), depth, rtol=0.1)


def test_a_display_that_compresses_contrast_makes_vessels_fainter() -> None:
    plain, compressed = (darkness_by(shaft_depths(*catheter(0.09, power=power))) for power in (1.0, 0.5))
    assert plain is not None
    assert compressed is not None
    assert compressed < 0.7 * plain


def test_without_a_catheter_nothing_is_known() -> None:
    frames, shaft = catheter(0.1)
    assert np.isnan(shaft_depths(frames, np.zeros_like(shaft))).all()
    assert darkness_by(np.full(3, np.nan)) is None


@pytest.mark.parametrize(("depth", "bound"), [(1e-4, 0.4), (3.0, 1.2)])
def test_no_run_is_taken_to_be_flatter_or_harder_than_real_ones(depth: float, bound: float) -> None:
    assert darkness_by(np.array([depth])) == bound


def test_the_plan_says_how_dark_it_draws_and_why() -> None:
    of = patient(1)
    cues = oracle_cues(of)
    flat, blind = (
        make_plan(
            replace(cues, shaft_depth=np.full(len(SAMPLED), depth)),
            SAMPLED,
            FRAMES,
            told(of),
            small_library(),
        )
        for depth in (0.04, np.nan)
    )
    assert (flat.facts.darkness_source, blind.facts.darkness_source) == ("catheter", "usual")
    assert flat.facts.darkness < 0.7
    assert blind.facts.darkness == 1
