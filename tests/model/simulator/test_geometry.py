"""The C-arm, against hand-computed projections."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.geometry import View

FRONTAL = View(primary_deg=0.0, secondary_deg=0.0, size=200, field_mm=200.0)  # 1 mm pixels, centre 99.5


def test_isocentre_is_magnified_by_the_ratio_of_distances() -> None:
    """10 mm to the left and 30 mm up, 750 mm from the source and 1100 mm to the detector: times 1100/750."""
    pixels, scale = FRONTAL.project([10.0, 0.0, 30.0])

    np.testing.assert_allclose(pixels, [99.5 + 10 * 1100 / 750, 99.5 - 30 * 1100 / 750])
    assert scale == pytest.approx(1100 / 750)


def test_what_is_nearer_to_the_source_is_magnified_more() -> None:
    """At (0, 0) the source stands behind the patient: y = +150 is 600 mm from it, y = -150 is 900 mm."""
    _, scale = FRONTAL.project([[0.0, 150.0, 0.0], [0.0, -150.0, 0.0]])

    np.testing.assert_allclose(scale, [1100 / 600, 1100 / 900])


@pytest.mark.parametrize(
    ("primary", "secondary", "beam"),
    [
        (0.0, 0.0, (0.0, -1.0, 0.0)),
        (90.0, 0.0, (1.0, 0.0, 0.0)),
        (-90.0, 0.0, (-1.0, 0.0, 0.0)),
        (0.0, 90.0, (0.0, 0.0, 1.0)),
    ],
)
def test_detector_goes_where_the_positioner_angles_say(
    primary: float, secondary: float, beam: tuple[float, float, float]
) -> None:
    """PS3.3 C.8.7.5: positive primary to the patient's left, positive secondary towards the head."""
    np.testing.assert_allclose(View(primary, secondary).axes()[2], beam, atol=1e-12)


@pytest.mark.parametrize(("primary", "secondary"), [(0.0, 0.0), (-30.0, 25.0), (45.0, -20.0), (60.0, 30.0)])
def test_axes_are_an_orthonormal_frame_seen_against_the_beam(primary: float, secondary: float) -> None:
    axes = View(primary, secondary).axes()

    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.cross(axes[0], axes[1]), -axes[2], atol=1e-12)


@pytest.mark.parametrize(("primary", "secondary"), [(0.0, 0.0), (-30.0, 25.0), (45.0, -20.0)])
def test_every_ray_meets_its_own_pixel(primary: float, secondary: float) -> None:
    """Projection and rays are written separately: each point on a ray must fall on the ray's pixel."""
    view = View(primary, secondary, size=16, shift_mm=(12.0, -7.0))
    points = view.source() + 640.0 * view.pixel_rays()

    pixels, _ = view.project(points)

    row, column = np.mgrid[:16, :16]
    np.testing.assert_allclose(pixels, np.stack([column, row], axis=-1), atol=1e-9)


def test_shift_moves_the_picture_in_detector_millimetres() -> None:
    moved, _ = View(0.0, 0.0, size=200, field_mm=200.0, shift_mm=(8.0, -5.0)).project([0.0, 0.0, 0.0])

    np.testing.assert_allclose(moved, [99.5 + 8.0, 99.5 - 5.0])


def test_resolution_does_not_move_anatomy() -> None:
    """The same point lies at the same share of the field at 128 and at 512 pixels."""
    places = [
        (View(-30.0, 20.0, size=size).project([20.0, -10.0, 15.0])[0] + 0.5) / size for size in (128, 512)
    ]

    np.testing.assert_allclose(places[0], places[1])
