"""Posed runs: the truth lies where the picture shows it, and the cache gives back what was rendered."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from casgan_dicom.model.atlas import targets
from casgan_dicom.model.data.posed import PosedRuns, PoseSettings, path_mm, posed_runs
from casgan_dicom.model.data.rendering import SimulatedData
from casgan_dicom.model.simulator.background import BackgroundSource
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds

FEW = PoseSettings(backgrounds=1, patients=2, frames=2)


def no_backgrounds() -> BackgroundSource:
    raise AssertionError("a run was rendered although the cache holds it")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("posed")


@pytest.fixture(scope="module")
def runs(cache: Path) -> PosedRuns:
    """Two patients before one chest, two frames each."""
    return posed_runs(SimulatedData(1, ProceduralBackgrounds, "procedural", cache), FEW)


def test_every_array_has_its_shape(runs: PosedRuns) -> None:
    assert runs.frames_each == 2
    assert runs.plain.shape == (4, 256, 256)
    assert runs.mean.shape == (2, 256, 256)
    assert runs.path.shape == runs.shaft.shape == runs.clutter.shape == (4, 128, 128)
    assert runs.tip.shape == runs.isocentre.shape == (4, 2)
    assert runs.trunks.shape == (4, 10, 2)
    assert runs.right.shape == runs.scale.shape == (2,)
    assert runs.semi_axes.shape == runs.apex.shape == (2, 3)


def test_patients_before_one_chest_share_view_and_heart_and_differ_in_their_trees(runs: PosedRuns) -> None:
    np.testing.assert_array_equal(runs.angles[0], runs.angles[1])
    np.testing.assert_array_equal(runs.semi_axes[0], runs.semi_axes[1])
    assert runs.right[0] == runs.right[1]
    assert not np.array_equal(runs.path[0], runs.path[2])


def test_landmarks_lie_on_the_tree(runs: PosedRuns) -> None:
    """Those inside the picture; where a trunk gets thin it is no longer seen, and its end lies beside."""
    away = []
    for trunks, path in zip(runs.trunks, path_mm(runs.path), strict=True):
        rows, columns = np.nonzero(path > 0)
        for column, row in targets.to_pixels(trunks):
            if np.isfinite(column) and 2 < column < 125 and 2 < row < 125 and len(rows):
                away.append(np.hypot(columns - column, rows - row).min())
    assert len(away) >= 5
    assert np.median(away) < 1.5


def test_the_mean_is_that_of_each_patients_frames(runs: PosedRuns) -> None:
    for patient in range(2):
        mean = runs.plain[2 * patient : 2 * patient + 2].astype(float).mean(axis=0)
        assert np.abs(runs.mean[patient] - mean).max() <= 0.5


def test_the_cache_gives_back_what_was_rendered(runs: PosedRuns, cache: Path) -> None:
    again = posed_runs(SimulatedData(1, no_backgrounds, "procedural", cache), FEW)

    for field in fields(PosedRuns):
        np.testing.assert_array_equal(getattr(runs, field.name), getattr(again, field.name))
