"""The standard projections."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.growth import heart_direction
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


def framed(system: System, name: str, seeds: range) -> tuple[np.ndarray, np.ndarray]:
    """Where the ostium lies, (N, 2) in shares of the field, and the share of each tree in the picture."""
    ostium, seen = [], []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        view = sample_view(rng, system, size=256, preset=name)
        tree = grow_tree(rng, Heart(), system, "right")
        pixels, _ = view.project(np.concatenate([s.points for s in tree.segments]))
        seen.append(((pixels > 0) & (pixels < 255)).all(axis=1).mean())
        ostium.append(view.project(tree.ostium)[0] / 255)
    return np.array(ostium), np.array(seen)


@pytest.mark.parametrize(("system", "name"), ALL)
def test_the_ostium_lies_in_the_upper_part_and_most_of_the_artery_in_the_picture(
    system: System, name: str
) -> None:
    ostium, seen = framed(system, name, range(5))
    assert (ostium > 0.04).all()
    assert (ostium[:, 1] < 0.5).all()
    assert (ostium[:, 0] < 0.85).all()
    assert seen.min() > 0.4
    assert np.median(seen) > 0.8


def test_the_left_ostium_is_often_60_to_130_of_512_pixels_from_the_edges() -> None:
    ostium, _ = framed("LCA", "RAO20CAU20", range(12))
    nearest = 512 * ostium.min(axis=1)
    assert 55 < np.median(nearest) < 150


def test_a_round_field_stop_seldom_hides_the_ostium() -> None:
    """Of the left artery on the mean heart; only the table's jitter goes beyond."""
    ostium = Heart().to_patient(0.78 * heart_direction(np.array(80.0), np.array(-0.56)))
    views = [sample_view(np.random.default_rng(seed), "LCA", size=256) for seed in range(200)]
    from_centre = np.array([np.linalg.norm(view.project(ostium)[0] / 255 - 0.5) for view in views])
    assert from_centre.max() < 0.54
    assert (from_centre > 0.5).mean() < 0.02


def test_tight_framing_leaves_a_part_of_some_trees_outside() -> None:
    _, seen = framed("RCA", "LAO45", range(12))
    assert seen.min() < 0.97


def test_a_small_field_begins_at_the_ostium() -> None:
    """The distal artery leaves the picture, never its beginning."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        view = sample_view(rng, "LCA", size=256, field_mm=80.0)
        ostium = view.project(grow_tree(rng, Heart(), "LCA", "right").ostium)[0]
        assert ((ostium > 0) & (ostium < 0.9 * 256)).all()


def test_field_and_distances_are_drawn_within_what_rooms_have() -> None:
    views = [sample_view(np.random.default_rng(seed), "LCA", size=64) for seed in range(300)]
    field = np.array([view.field_mm for view in views])
    assert 110 <= field.min() < 120
    assert 195 < field.max() <= 200
    assert all(700 <= view.source_isocentre_mm <= 780 for view in views)
    assert all(950 <= view.source_detector_mm <= 1200 for view in views)


def test_a_fixed_field_changes_nothing_else() -> None:
    drawn, fixed = (
        sample_view(np.random.default_rng(3), "RCA", size=64, field_mm=field) for field in (None, 200.0)
    )
    assert fixed.field_mm == 200.0 != drawn.field_mm
    assert (fixed.primary_deg, fixed.source_detector_mm) == (drawn.primary_deg, drawn.source_detector_mm)


def test_view_does_not_depend_on_the_matrix() -> None:
    small, large = (sample_view(np.random.default_rng(3), "LCA", size=size) for size in (128, 512))
    assert small.primary_deg == large.primary_deg
    np.testing.assert_allclose(small.shift_mm, large.shift_mm, atol=1e-9)


def test_every_preset_is_drawn_and_something_between_them() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array(
        [(v.primary_deg, v.secondary_deg) for v in (sample_view(rng, "RCA", size=64) for _ in range(300))]
    )
    presets = np.array(list(STANDARD_VIEWS["RCA"].values()))
    away = np.linalg.norm(drawn[:, None] - presets, axis=2)
    assert (away.min(axis=0) < 5).all()
    assert (away.min(axis=1) > 18).mean() > 0.02  # three standard deviations of the jitter


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ValueError, match="LAO45"):
        sample_view(np.random.default_rng(0), "RCA", size=64, preset="PA")
