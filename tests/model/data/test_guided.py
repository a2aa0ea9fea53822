"""Guided pairs: the guide lies on the vessels, and the cache gives back what was rendered."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from casgan_dicom.model.atlas.render import DARKEST
from casgan_dicom.model.data.guided import GuidedRuns, depth_of, guided_runs
from casgan_dicom.model.data.posed import PoseSettings, join
from casgan_dicom.model.data.rendering import SimulatedData
from casgan_dicom.model.simulator.background import BackgroundSource
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds

FEW = PoseSettings(backgrounds=1, patients=2, frames=2)


def no_backgrounds() -> BackgroundSource:
    raise AssertionError("a run was rendered although the cache holds it")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guided")


@pytest.fixture(scope="module")
def runs(cache: Path) -> GuidedRuns:
    """Two patients before one chest, two frames each."""
    return guided_runs(SimulatedData(1, ProceduralBackgrounds, "procedural", cache), FEW)


def test_every_array_has_its_shape(runs: GuidedRuns) -> None:
    assert {field.name: getattr(runs, field.name).shape for field in fields(runs)} == dict.fromkeys(
        ("plain", "contrast", "guide", "vessel"), (1, 2, 2, 256, 256)
    )


def test_all_vessels_that_hold_contrast_lie_in_the_guide(runs: GuidedRuns) -> None:
    depth = depth_of(runs.guide)

    assert (depth[runs.vessel] > 0.02).mean() > 0.99
    assert 0.1 < np.median(depth[runs.vessel]) < depth.max() < DARKEST


def test_the_guide_is_no_wider_than_the_vessels(runs: GuidedRuns) -> None:
    """Deep in the guide the twin is darker than the plain frame; beside it, it is the same."""
    depth = depth_of(runs.guide)
    darker = runs.plain.astype(float) - runs.contrast
    for patient in range(2):
        inside, outside = depth[0, patient] > 0.15, depth[0, patient] == 0
        assert (darker[0, patient][inside] > 2).mean() > 0.9
        assert np.median(np.abs(darker[0, patient][outside])) <= 1


def test_patients_before_one_chest_have_trees_of_their_own(runs: GuidedRuns) -> None:
    assert not np.array_equal(runs.guide[0, 0], runs.guide[0, 1])


def test_the_cache_gives_back_what_was_rendered(runs: GuidedRuns, cache: Path) -> None:
    again = guided_runs(SimulatedData(1, no_backgrounds, "procedural", cache), FEW)

    for field in fields(runs):
        np.testing.assert_array_equal(getattr(runs, field.name), getattr(again, field.name))
    assert join([runs, again]).plain.shape == (2, 2, 2, 256, 256)
