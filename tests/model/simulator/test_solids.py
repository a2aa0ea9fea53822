"""Rays, tubes and voxel projections, each against the same solid computed another way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from casgan_dicom.model.simulator.drr import Grid, line_integrals, straight
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.solids import Rays, intersect, length
from casgan_dicom.model.simulator.tubes import draw_tube

VIEWS = [View(0.0, 0.0, size=64), View(-30.0, 25.0, size=64), View(60.0, -20.0, size=64)]


def sphere_chords(view: View, centre: npt.NDArray[np.float64], radius: float) -> npt.NDArray[np.float64]:
    """2·sqrt(r² - d²), d the distance of the ray from the centre: geometry, no quadratic equation."""
    distance = np.linalg.norm(np.cross(view.pixel_rays(), centre - view.source()), axis=-1)
    return np.asarray(2 * np.sqrt(np.maximum(radius**2 - distance**2, 0.0)))


@pytest.mark.parametrize("view", VIEWS)
def test_ellipsoid_with_equal_axes_is_a_sphere(view: View) -> None:
    centre = np.array([12.0, -20.0, 9.0])
    chords = length(Rays.of(view).ellipsoid(centre, np.eye(3), (30.0, 30.0, 30.0)))

    # float32 directions leave a few hundredths of a millimetre at grazing rays
    np.testing.assert_allclose(chords, sphere_chords(view, centre, 30.0), atol=0.25)


def test_elliptic_cylinder_in_a_slab_has_the_thickness_of_its_axis() -> None:
    rays = Rays.of(View(0.0, 0.0, size=65))
    cylinder = rays.ellipsoid((0.0, 0.0, 0.0), np.eye(3), (40.0, 25.0, np.inf))
    inside = length(intersect(cylinder, rays.slab((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 10.0)))

    assert inside[32, 32] == pytest.approx(50.0, abs=0.01)
    assert inside[5, 32] == 0.0  # 18 mm above the isocentre, beyond the slab


@pytest.mark.parametrize("view", VIEWS)
def test_voxel_sphere_projects_to_its_chords(view: View) -> None:
    """A sphere of 1 mm voxels with a soft edge against the analytic chord."""
    spacing, centre = 1.0, np.array([6.0, -10.0, 14.0])
    axis = spacing * (np.arange(96) - 47.5)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    depth = 30.0 - np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
    voxels = np.clip(0.5 + depth / spacing, 0.0, 1.0).astype(np.float32)
    to_isocentre = np.diag([spacing, spacing, spacing, 1.0])
    to_isocentre[:3, 3] = axis[0]

    (chords,) = line_integrals(Grid(voxels[..., None], to_isocentre, 1.0, 1), view, straight)

    expected = sphere_chords(view, centre, 30.0)
    thick = expected > 20
    np.testing.assert_allclose(chords[thick], expected[thick], rtol=0.03)
    assert chords.sum() == pytest.approx(expected.sum(), rel=0.01)
    assert chords[expected == 0].max() < 8.0  # the soft edge reaches half a voxel beyond


def test_stretched_patient_is_longer_along_the_beam() -> None:
    voxels = np.ones((40, 40, 40, 1), dtype=np.float32)
    to_isocentre = np.eye(4)
    to_isocentre[:3, 3] = -19.5
    view = View(0.0, 0.0, size=33)

    def shrink(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(points / np.array([1.0, 1.5, 1.0]))

    plain, stretched = (
        line_integrals(Grid(voxels, to_isocentre, 1.0, 1), view, warp)[0] for warp in (straight, shrink)
    )

    assert plain[16, 16] == pytest.approx(40.0, rel=1e-3)  # rays between followed ones are interpolated
    assert stretched[16, 16] == pytest.approx(60.0, rel=1e-3)


def test_channels_of_a_voxel_are_kept_apart() -> None:
    """Two channels in one read: the second is the first one's mirror image and three times as dense."""
    values = np.zeros((30, 30, 30, 2), dtype=np.uint16)
    values[:, :, :10, 0], values[:, :, 20:, 1] = 100, 300
    to_isocentre = np.eye(4)
    to_isocentre[:3, 3] = -14.5

    first, second = line_integrals(
        Grid(values, to_isocentre, 0.01, 1), View(size=64, primary_deg=0), straight
    )

    np.testing.assert_allclose(second, 3.0 * first[:, ::-1], atol=0.01)
    assert first.max() > 25


def test_bent_patient_is_seen_where_the_warp_puts_it() -> None:
    """A ball of voxels in a patient whose upper half leans over: the oracle projects the ball's new place."""
    axis = 2.0 * (np.arange(90) - 44.5)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    voxels = (np.sqrt(x**2 + (y - 10) ** 2 + (z - 40) ** 2) < 9).astype(np.float32)
    to_isocentre = np.diag([2.0, 2.0, 2.0, 1.0])
    to_isocentre[:3, 3] = axis[0]
    view = View(35.0, -20.0, size=96)

    def lean(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        way = 22.0 / (1.0 + np.exp(-points[..., 2:] / 12.0))
        return np.asarray(points - way * np.array([1.0, 0.5, 0.0]))

    (image,) = line_integrals(Grid(voxels[..., None], to_isocentre, 1.0, 1), view, lean)

    way = 22.0 / (1.0 + np.exp(-40.0 / 12.0))
    expected, _ = view.project(np.array([way, 10.0 + 0.5 * way, 40.0]))
    rows, columns = np.mgrid[:96, :96]
    seen = np.array([(columns * image).sum(), (rows * image).sum()]) / image.sum()
    np.testing.assert_allclose(seen, expected, atol=0.4)
    assert image.max() == pytest.approx(18.0, rel=0.15)


def test_empty_volume_casts_no_shadow() -> None:
    grid = Grid(np.zeros((4, 4, 4, 2), dtype=np.uint16), np.eye(4), 1.0, 1)

    assert all((image == 0).all() for image in line_integrals(grid, VIEWS[0], straight))


@pytest.mark.parametrize("radius", [0.15, 0.6, 2.0, 5.0])
def test_tube_casts_the_shadow_of_its_cross_section(radius: float) -> None:
    """Summed across the tube, chord times width is the area πr², also for tubes thinner than a pixel."""
    view = View(0.0, 0.0, size=128)
    image = np.zeros((128, 128), dtype=np.float32)

    draw_tube(image, view, np.array([[-90.0, 0.0, 0.0], [90.0, 0.0, 0.0]]), radius, 1.0)

    area = image[:, 40:90].sum(axis=0).mean() * view.pixel_mm / view.magnification
    assert area == pytest.approx(np.pi * radius**2, rel=0.08)


def test_joints_of_a_tube_do_not_count_twice() -> None:
    view = View(0.0, 0.0, size=128)
    whole, pieces = (np.zeros((128, 128), dtype=np.float32) for _ in range(2))
    x = np.array([-60.0, -20.0, 0.0, 35.0, 60.0])

    draw_tube(whole, view, np.stack([x, 0 * x, 0 * x], axis=1)[[0, -1]], 3.0, 1.0)
    draw_tube(pieces, view, np.stack([x, 0 * x, 0 * x], axis=1), 3.0, 1.0)

    np.testing.assert_allclose(pieces, whole, atol=1e-3)


def test_tube_outside_the_picture_leaves_it_empty() -> None:
    image = np.zeros((32, 32), dtype=np.float32)

    draw_tube(image, View(0.0, 0.0, size=32), np.array([[300.0, 0.0, 0.0], [320.0, 0.0, 0.0]]), 3.0, 1.0)

    assert not image.any()
