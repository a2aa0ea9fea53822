"""Rays, tubes and voxel projections, each against the same solid computed another way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from casgan_dicom.model.simulator.drr import Grid, line_integrals
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

    (chords,) = line_integrals(Grid(voxels[None], to_isocentre, 1.0, 1), view, np.eye(3))

    expected = sphere_chords(view, centre, 30.0)
    thick = expected > 20
    np.testing.assert_allclose(chords[thick], expected[thick], rtol=0.03)
    assert chords.sum() == pytest.approx(expected.sum(), rel=0.01)
    assert chords[expected == 0].max() < 8.0  # the soft edge reaches half a voxel beyond


def test_stretched_patient_is_longer_along_the_beam() -> None:
    voxels = np.ones((1, 40, 40, 40), dtype=np.float32)
    to_isocentre = np.eye(4)
    to_isocentre[:3, 3] = -19.5
    view = View(0.0, 0.0, size=33)

    plain, stretched = (
        line_integrals(Grid(voxels, to_isocentre, 1.0, 1), view, np.diag([1.0, factor, 1.0]))[0]
        for factor in (1.0, 1.5)
    )

    assert plain[16, 16] == pytest.approx(40.0)
    assert stretched[16, 16] == pytest.approx(60.0)


def test_empty_volume_casts_no_shadow() -> None:
    grid = Grid(np.zeros((2, 4, 4, 4), dtype=np.uint16), np.eye(4), 1.0, 1)

    assert all((image == 0).all() for image in line_integrals(grid, VIEWS[0], np.eye(3)))


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
