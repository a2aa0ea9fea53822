"""Path length through tubes; the oracle is the geometry of rays and cylinders."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.render import Tubes, centreline, make_tubes, path_length, path_lengths

VIEW = View(primary_deg=0.0, secondary_deg=0.0, size=128, field_mm=100.0)
RIGHT, DOWN, BEAM = VIEW.axes()


def straight(start: Array, end: Array, radius: float, view: View = VIEW) -> Tubes:
    points = np.linspace(start, end, 80)
    arc = np.linalg.norm(points - points[0], axis=1)
    return make_tubes([(points, np.full(80, radius), arc)], view)


def chord_through_cylinder(axis: Array, radius: float, view: View = VIEW) -> Array:
    """Exact length of each pixel's ray in an endless cylinder through the isocentre."""
    rays = view.pixel_rays()
    across = rays - (rays @ axis)[..., None] * axis
    start = view.source() - (view.source() @ axis) * axis
    a, b, c = (across**2).sum(-1), 2 * across @ start, start @ start - radius**2
    root = b**2 - 4 * a * c
    return np.where(root > 0, np.sqrt(np.maximum(root, 0)) / a, 0.0)


@pytest.mark.parametrize("radius", [0.9, 2.0, 4.0])
@pytest.mark.parametrize("tilt_deg", [0.0, 30.0, 55.0])
def test_chords_agree_with_rays_through_a_cylinder(radius: float, tilt_deg: float) -> None:
    tilt = np.deg2rad(tilt_deg)
    axis = np.cos(tilt) * (0.8 * RIGHT + 0.6 * DOWN) + np.sin(tilt) * BEAM
    tubes = straight(-60 * axis, 60 * axis, radius)

    ours = path_length(tubes, tubes.points, VIEW)[44:84, 44:84]

    exact = chord_through_cylinder(axis, radius)[44:84, 44:84]
    # Soft edges are one pixel (0.53 mm) wide, so the comparison is of sums and of the inside.
    assert ours.sum() == pytest.approx(exact.sum(), rel=0.03)
    inside = exact > 0.8 * exact.max()
    np.testing.assert_allclose(ours[inside], exact[inside], rtol=0.12)


@pytest.mark.parametrize("radius", [0.2, 0.3, 0.5, 1.5])
def test_volume_is_kept_down_to_the_thinnest_vessel(radius: float) -> None:
    """The sum over the detector is the tube's volume times the magnified pixel density."""
    tubes = straight(-20 * RIGHT, 20 * RIGHT, radius)
    total = path_length(tubes, tubes.points, VIEW).sum()
    per_mm2 = (VIEW.magnification / VIEW.pixel_mm) ** 2
    assert total == pytest.approx(np.pi * radius**2 * 40 * per_mm2, rel=0.01)


@pytest.mark.parametrize("shift_px", [0.0, 0.25, 0.5, 0.75])
def test_position_is_sub_pixel_accurate(shift_px: float) -> None:
    mm = shift_px * VIEW.pixel_mm / VIEW.magnification
    tubes = straight(-20 * RIGHT, 20 * RIGHT, 0.6)
    image = path_length(tubes, tubes.points + mm * DOWN, VIEW).astype(np.float64)
    rows = np.arange(VIEW.size)
    centre = (image.sum(axis=1) * rows).sum() / image.sum()
    assert centre == pytest.approx((VIEW.size - 1) / 2 + shift_px, abs=0.03)


def test_straight_tube_has_no_ripple_along_its_axis() -> None:
    tubes = straight(-30 * RIGHT, 30 * RIGHT, 1.0)
    profile = path_length(tubes, tubes.points, VIEW)[63:65, 40:88].sum(axis=0)
    assert np.ptp(profile) / profile.mean() < 0.02


def test_weights_scale_each_point_and_zero_removes_it() -> None:
    tubes = straight(-30 * RIGHT, 30 * RIGHT, 1.0)
    full = path_length(tubes, tubes.points, VIEW)
    np.testing.assert_allclose(
        path_length(tubes, tubes.points, VIEW, np.full(len(tubes.radius), 0.5)), full / 2, rtol=1e-5
    )
    left = path_length(tubes, tubes.points, VIEW, (tubes.points @ RIGHT < 0) * 1.0)
    assert not left[:, 70:].any()
    assert left[:, :60].any()


def test_tubes_outside_the_picture_are_cut_and_harmless() -> None:
    tubes = straight(-500 * RIGHT, 500 * RIGHT, 1.0)
    image = path_length(tubes, tubes.points, VIEW)
    assert np.isfinite(image).all()
    assert (image[63:65].sum(axis=0) > 0).all()


def test_centreline_is_connected_and_in_the_middle() -> None:
    tubes = straight(-20 * RIGHT - 10 * DOWN, 20 * RIGHT + 10 * DOWN, 1.2)
    line = centreline(tubes.points, VIEW)
    image = path_length(tubes, tubes.points, VIEW)
    rows, columns = np.nonzero(line)
    assert (np.diff(np.unique(columns)) == 1).all()
    assert (image[line] > 0.7 * image.max()).mean() > 0.9
    assert len(rows) < 2 * len(np.unique(columns))


def test_centreline_keeps_only_the_chosen_points() -> None:
    tubes = straight(-20 * RIGHT, 20 * RIGHT, 1.0)
    assert not centreline(tubes.points, VIEW, tubes.points @ RIGHT > 100).any()
    assert not centreline(tubes.points, VIEW, tubes.points @ RIGHT > 0)[:, :62].any()


def test_several_pictures_at_once_equal_those_made_one_by_one() -> None:
    tubes = straight(-30 * RIGHT, 30 * RIGHT, 1.0)
    weights = np.stack([np.ones(len(tubes.radius)), (tubes.points @ RIGHT > 0) * 0.3, 0 * tubes.radius])
    together = path_lengths(tubes, tubes.points, VIEW, weights)
    for image, row in zip(together, weights, strict=True):
        np.testing.assert_allclose(image, path_length(tubes, tubes.points, VIEW, row), atol=1e-6)
    assert not together[2].any()


@pytest.mark.parametrize("radius", [0.02, 0.08])
def test_vessels_thinner_than_a_pixel_do_not_break_up(radius: float) -> None:
    tubes = straight(-20 * (RIGHT + 0.3 * DOWN), 20 * (RIGHT + 0.3 * DOWN), radius)
    columns = path_length(tubes, tubes.points, VIEW)[:, 50:78].sum(axis=0)
    assert np.ptp(columns) / columns.mean() < 0.2  # discs lie one pixel apart
