"""What shutters leave visible."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from casgan_dicom.source.shutters import bitmap_frames, shutter_mask
from tests.support.factories import xa_dataset


def add_bitmap(
    ds: Dataset,
    bits: npt.NDArray[np.uint8],
    *,
    group: int = 0x6000,
    origin: tuple[int, int] = (1, 1),
    first: int | None = None,
) -> None:
    """Make an overlay, (rows, columns) or (frames, rows, columns), the bitmap shutter of a header."""
    ds.ShutterShape = "BITMAP"
    ds.ShutterOverlayGroup = group
    ds.ShutterPresentationValue = 0
    frames = bits if bits.ndim == 3 else bits[None]
    packed = np.packbits(frames.ravel(), bitorder="little").tobytes()
    elements: list[tuple[int, str, object]] = [
        (0x10, "US", frames.shape[1]),
        (0x11, "US", frames.shape[2]),
        (0x40, "CS", "G"),
        (0x50, "SS", list(origin)),
        (0x100, "US", 1),
        (0x102, "US", 0),
        (0x3000, "OW", packed + b"\0" * (len(packed) % 2)),
    ]
    if bits.ndim == 3:
        elements += [(0x15, "IS", len(frames)), (0x51, "US", first or 1)]
    for element, vr, value in elements:
        ds.add_new(Tag(group, element), vr, value)


def two_shapes(name: str) -> Dataset:
    """A shutter of one shape or of two, joined by +."""
    ds = xa_dataset()
    add_bitmap(ds, np.eye(64, 80, dtype=np.uint8))
    ds.ShutterLeftVerticalEdge, ds.ShutterRightVerticalEdge = 11, 70
    ds.ShutterUpperHorizontalEdge, ds.ShutterLowerHorizontalEdge = 5, 60
    ds.CenterOfCircularShutter, ds.RadiusOfCircularShutter = [30, 40], 28
    ds.VerticesOfThePolygonalShutter = [1, 1, 1, 80, 64, 80]
    ds.ShutterShape = name.split("+")
    return ds


def test_a_rectangular_shutter_shows_what_lies_between_its_edges() -> None:
    ds = Dataset()
    ds.ShutterShape = "RECTANGULAR"
    ds.ShutterLeftVerticalEdge, ds.ShutterRightVerticalEdge = 3, 10
    ds.ShutterUpperHorizontalEdge, ds.ShutterLowerHorizontalEdge = 2, 5

    mask = shutter_mask(ds, 8, 12)

    expected = np.zeros((8, 12), dtype=bool)
    expected[1:5, 2:10] = True  # counted from 1, edges visible
    np.testing.assert_array_equal(mask, expected)


def test_a_missing_edge_hides_nothing() -> None:
    ds = Dataset()
    ds.ShutterShape = "RECTANGULAR"
    ds.ShutterLeftVerticalEdge = 5

    mask = shutter_mask(ds, 4, 8)

    assert mask.any(axis=0).tolist() == [False] * 4 + [True] * 4


def test_a_circular_shutter_is_a_disc() -> None:
    ds = Dataset()
    ds.ShutterShape = "CIRCULAR"
    ds.CenterOfCircularShutter, ds.RadiusOfCircularShutter = [50, 60], 30

    mask = shutter_mask(ds, 100, 120)

    assert mask[49, 59]
    assert mask[49, 89]
    assert not mask[49, 90]
    assert mask.sum() == pytest.approx(np.pi * 30**2, rel=0.01)  # Gauss's circle


def test_a_polygonal_shutter_is_the_inside_of_its_corners() -> None:
    ds = Dataset()
    ds.ShutterShape = "POLYGONAL"
    corners = [(10, 10), (10, 40), (30, 50), (50, 20)]  # row, column: convex, clockwise
    ds.VerticesOfThePolygonalShutter = [value for corner in corners for value in corner]

    mask = shutter_mask(ds, 64, 64)

    for row in range(1, 65):
        for column in range(1, 65):
            sides = [
                (c1 - c0) * (row - r0) - (r1 - r0) * (column - c0)
                for (r0, c0), (r1, c1) in zip(corners, corners[1:] + corners[:1], strict=True)
            ]
            if min(sides) != 0:  # the rim belongs to either side
                assert mask[row - 1, column - 1] == (min(sides) > 0)


def test_several_shutters_all_hide() -> None:
    ds = Dataset()
    ds.ShutterShape = ["RECTANGULAR", "CIRCULAR"]
    ds.ShutterLeftVerticalEdge = 33
    ds.CenterOfCircularShutter, ds.RadiusOfCircularShutter = [32, 32], 20

    mask = shutter_mask(ds, 64, 64)

    assert not mask[:, :32].any()
    assert 0 < mask.sum() < np.pi * 20**2 / 2 + 64


@pytest.mark.parametrize("shape", [None, "CIRCULAR", "POLYGONAL", "BITMAP"])
def test_without_a_geometry_everything_is_visible(shape: str | None) -> None:
    ds = Dataset()
    if shape:
        ds.ShutterShape = shape

    assert shutter_mask(ds, 5, 7).all()


@pytest.mark.parametrize(("rows", "columns"), [(64, 80), (33, 41)])
def test_a_bitmap_covers_where_its_bits_are_1(rows: int, columns: int) -> None:
    """The oracle is pydicom's reading of the overlay."""
    bits = np.random.default_rng(1).integers(0, 2, (rows, columns), dtype=np.uint8)
    ds = xa_dataset(Rows=rows, Columns=columns)
    add_bitmap(ds, bits, group=0x6002)

    mask = shutter_mask(ds, rows, columns)

    np.testing.assert_array_equal(mask, ds.overlay_array(0x6002) == 0)
    np.testing.assert_array_equal(mask, bits == 0)


def test_a_bitmap_in_big_endian_words_covers_the_same() -> None:
    bits = np.random.default_rng(2).integers(0, 2, (16, 16), dtype=np.uint8)
    ds = xa_dataset()
    add_bitmap(ds, bits)
    data = ds[0x60003000].value
    ds[0x60003000].value = np.frombuffer(data, "<u2").astype(">u2").tobytes()
    ds.set_original_encoding(False, False)

    np.testing.assert_array_equal(shutter_mask(ds, 16, 16), bits == 0)


@pytest.mark.parametrize("origin", [(1, 1), (3, 5), (-3, -2), (60, 70), (200, 200), (-100, 1)])
def test_a_bitmap_of_another_size_covers_from_its_origin(origin: tuple[int, int]) -> None:
    ds = xa_dataset()
    add_bitmap(ds, np.ones((10, 12), dtype=np.uint8), origin=origin)

    mask = shutter_mask(ds, 64, 80)

    for row, column in np.ndindex(64, 80):
        inside = 0 <= row + 1 - origin[0] < 10 and 0 <= column + 1 - origin[1] < 12
        assert mask[row, column] == (not inside)


@pytest.mark.parametrize(
    ("element", "value"),
    [
        (0x10, 0), (0x11, None), (0x3000, b""), (0x3000, bytes(10)), (0x10, 65535), (0x10, [64, 64]),
    ],
)  # fmt: skip
def test_a_bitmap_that_is_not_whole_covers_nothing(element: int, value: object) -> None:
    ds = xa_dataset()
    add_bitmap(ds, np.ones((64, 80), dtype=np.uint8))
    ds[Tag(0x6000, element)].value = value

    assert shutter_mask(ds, 64, 80).all()


@pytest.mark.parametrize("group", [None, 0x6001, 0x7FE0, 0x6004])
def test_a_bitmap_shutter_without_its_overlay_covers_nothing(group: int | None) -> None:
    ds = xa_dataset()
    add_bitmap(ds, np.ones((64, 80), dtype=np.uint8))
    ds.ShutterOverlayGroup = group

    assert shutter_mask(ds, 64, 80).all()
    assert bitmap_frames(ds) == (1 if group == 0x6004 else 0)


@pytest.mark.parametrize(
    "pair", list(combinations(["RECTANGULAR", "CIRCULAR", "POLYGONAL", "BITMAP"], 2)), ids="+".join
)
def test_two_shapes_hide_what_either_hides(pair: tuple[str, str]) -> None:
    alone = [shutter_mask(two_shapes(name), 64, 80) for name in pair]

    both = shutter_mask(two_shapes("+".join(pair)), 64, 80)

    np.testing.assert_array_equal(both, alone[0] & alone[1])
    assert not np.array_equal(both, alone[0])
    assert not np.array_equal(both, alone[1])


@pytest.mark.parametrize("value", [1e300, -1e300, float("nan")])
def test_a_geometry_beyond_any_picture_never_warns(value: float) -> None:
    ds = xa_dataset()
    ds.ShutterShape = ["CIRCULAR", "POLYGONAL"]
    ds.CenterOfCircularShutter, ds.RadiusOfCircularShutter = [32, 40], 1000
    for element, numbers in ((0x1610, [value, 40.0]), (0x1620, [value, 1.0, 5.0, 5.0, 9.0, -value])):
        ds.add_new(Tag(0x0018, element), "FD", numbers)  # FD, as IS would not hold them

    assert shutter_mask(ds, 64, 80).shape == (64, 80)
