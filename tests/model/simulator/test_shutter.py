"""Shutters of the simulator, against what casgan-dicom reads from a header."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset

from casgan_dicom.model.simulator.shutter import Circle, Rectangle, Shutter, fit_shutter
from casgan_dicom.source.shutters import shutter_mask

SHAPE = (96, 80)


def header(shutter: Shutter) -> Dataset:
    ds = Dataset()
    if isinstance(shutter, Rectangle):
        ds.ShutterShape = "RECTANGULAR"
        ds.ShutterLeftVerticalEdge, ds.ShutterRightVerticalEdge = shutter.left, shutter.right
        ds.ShutterUpperHorizontalEdge, ds.ShutterLowerHorizontalEdge = shutter.upper, shutter.lower
    else:
        ds.ShutterShape = "CIRCULAR"
        ds.CenterOfCircularShutter, ds.RadiusOfCircularShutter = [shutter.row, shutter.column], shutter.radius
    return ds


@pytest.mark.parametrize("shutter", [Rectangle(5, 70, 1, 90), Circle(48, 40, 31), Circle(40, 40, 60)])
def test_visible_is_what_a_reader_of_the_header_sees(shutter: Shutter) -> None:
    np.testing.assert_array_equal(shutter.visible(SHAPE), shutter_mask(header(shutter), *SHAPE))


@pytest.mark.parametrize(
    "shutter", [Rectangle(5, 70, 1, 90), Rectangle(3, 80, 9, 96), Circle(48, 40, 31), Circle(48, 40, 43)]
)
def test_shutter_is_found_from_what_it_leaves(shutter: Shutter) -> None:
    assert fit_shutter(shutter.visible(SHAPE)) == shutter


def test_field_of_another_shape_has_no_shutter() -> None:
    row, column = np.ogrid[:96, :80]
    assert fit_shutter(np.abs(row - 48) + np.abs(column - 40) < 44) is None
    assert fit_shutter(np.ones(SHAPE, dtype=np.bool_)) is None
    assert fit_shutter(np.zeros(SHAPE, dtype=np.bool_)) is None
