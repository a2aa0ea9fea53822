"""The standard projections."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.tree import System, grow_tree
from casgan_dicom.model.simulator.views import STANDARD_VIEWS, sample_view

ALL: list[tuple[System, str]] = [(system, name) for system, names in STANDARD_VIEWS.items() for name in names]


@pytest.mark.parametrize(("system", "name"), ALL)
def test_names_say_the_angles(system: System, name: str) -> None:
    primary, secondary = STANDARD_VIEWS[system][name]
    assert ("LAO" in name) is (primary > 0)
    assert ("RAO" in name) is (primary < 0)
    assert ("CRA" in name) is (secondary > 0)
    assert ("CAU" in name) is (secondary < 0)


@pytest.mark.parametrize(("system", "name"), ALL)
def test_the_artery_is_in_the_picture(system: System, name: str) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        view = sample_view(rng, system, size=256, field_mm=200.0, preset=name)
        tree = grow_tree(rng, Heart(), system, "right")
        pixels, _ = view.project(np.concatenate([s.points for s in tree.segments]))
        seen = ((pixels > 0) & (pixels < 255)).all(axis=1).mean()
        assert seen > 0.93


def test_view_does_not_depend_on_the_matrix() -> None:
    small, large = (
        sample_view(np.random.default_rng(3), "LCA", size=size, field_mm=200.0) for size in (128, 512)
    )
    assert small.primary_deg == large.primary_deg
    np.testing.assert_allclose(small.shift_mm, large.shift_mm, atol=1e-9)


def test_every_preset_is_drawn() -> None:
    rng = np.random.default_rng(0)
    drawn = [sample_view(rng, "RCA", size=64, field_mm=200.0) for _ in range(300)]
    for primary, secondary in STANDARD_VIEWS["RCA"].values():
        assert any(np.hypot(v.primary_deg - primary, v.secondary_deg - secondary) < 5 for v in drawn)
