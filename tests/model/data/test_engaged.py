"""Patients with either artery engaged: one moment twice, and only the catheter and its tree are others."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from casgan_dicom.model.data.engaged import EngagedRuns, EngagedSettings, engaged_runs
from casgan_dicom.model.data.rendering import SimulatedData
from casgan_dicom.model.simulator.background import BackgroundSource
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds

FEW = EngagedSettings(backgrounds=1, patients=2, frames=2)


def no_backgrounds() -> BackgroundSource:
    raise AssertionError("a run was rendered although the cache holds it")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engaged")


@pytest.fixture(scope="module")
def runs(cache: Path) -> EngagedRuns:
    """Two patients before one chest, two frames with the catheter in either artery."""
    return engaged_runs(SimulatedData(1, ProceduralBackgrounds, "procedural", cache), FEW)


def test_every_array_has_its_shape(runs: EngagedRuns) -> None:
    assert runs.plain.shape == runs.contrast.shape == (8, 256, 256)
    assert runs.tree.shape == (8, 128, 128)
    assert runs.laid.shape == (8, 40, 2)
    assert runs.tree.any(axis=(1, 2)).all()


def test_the_partner_is_the_same_moment_with_the_catheter_in_the_other_artery(runs: EngagedRuns) -> None:
    index = np.arange(8)
    partner = runs.partner(index, FEW.frames)

    assert partner.tolist() == [2, 3, 0, 1, 6, 7, 4, 5]
    for one, other in zip(index, partner, strict=True):
        changed = np.abs(runs.plain[one].astype(int) - runs.plain[other]) > 20
        assert changed.mean() < 0.1  # the catheter, not the chest
        both = runs.tree[one] & runs.tree[other]
        assert both.sum() < 0.5 * min(runs.tree[one].sum(), runs.tree[other].sum())


def test_contrast_darkens_the_tree(runs: EngagedRuns) -> None:
    for plain, contrast, tree in zip(runs.plain, runs.contrast, runs.tree, strict=True):
        lost = plain.astype(float) - contrast
        inside = np.kron(tree, np.ones((2, 2))) > 0
        assert lost[inside].mean() > lost[~inside].mean() + 3


def test_the_cache_gives_back_what_was_rendered(runs: EngagedRuns, cache: Path) -> None:
    again = engaged_runs(SimulatedData(1, no_backgrounds, "procedural", cache), FEW)

    for field in fields(EngagedRuns):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(runs, field.name))
