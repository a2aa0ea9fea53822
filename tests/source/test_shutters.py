"""What shutters leave visible."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from casgan_dicom.pixels.display import Display
from casgan_dicom.source.series import find_series
from casgan_dicom.source.shutters import bitmap_frames, shutter_mask, shutter_notes
from tests.support.enhanced_factory import write_enhanced
from tests.support.factories import moving_frames, write_xa, write_xa_single_frames, xa_dataset


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


def shutter(shape: str | list[str], **elements: object) -> Dataset:
    """A header with shutters of these elements."""
    return xa_dataset(ShutterShape=shape, **elements)


def edges(left: int, right: int, upper: int, lower: int) -> dict[str, Any]:
    """The elements of a rectangular shutter."""
    return {
        "ShutterLeftVerticalEdge": left,
        "ShutterRightVerticalEdge": right,
        "ShutterUpperHorizontalEdge": upper,
        "ShutterLowerHorizontalEdge": lower,
    }


def between(shape: str, *elements: tuple[int, Any]) -> Dataset:
    """A shutter of fractions, which decimal strings hold where an integer is meant."""
    ds = shutter(shape)
    for element, numbers in elements:
        ds.add_new(Tag(0x0018, element), "FD", numbers)
    return ds


IMPOSSIBLE = {
    "swapped": shutter("RECTANGULAR", **edges(70, 5, 60, 3)),
    "swapped in one direction": shutter("RECTANGULAR", **edges(70, 5, 3, 60)),
    "all zero": shutter("RECTANGULAR", **edges(0, 0, 0, 0)),
    "right and lower zero": shutter("RECTANGULAR", **edges(5, 0, 5, 0)),
    "a slit": shutter("RECTANGULAR", **edges(40, 40, 3, 60)),
    "right of the picture": shutter("RECTANGULAR", **edges(81, 200, 3, 60)),
    "above the picture": shutter("RECTANGULAR", **edges(5, 70, -50, -2)),
    "no edges": shutter("RECTANGULAR"),
    "radius 0": shutter("CIRCULAR", CenterOfCircularShutter=[32, 40], RadiusOfCircularShutter=0),
    "radius below 0": shutter("CIRCULAR", CenterOfCircularShutter=[32, 40], RadiusOfCircularShutter=-30),
    "circle outside": shutter("CIRCULAR", CenterOfCircularShutter=[500, 500], RadiusOfCircularShutter=30),
    "no center": shutter("CIRCULAR", RadiusOfCircularShutter=30),
    "no vertices": shutter("POLYGONAL"),
    "two vertices": shutter("POLYGONAL", VerticesOfThePolygonalShutter=[1, 1, 30, 30]),
    "half a vertex": shutter("POLYGONAL", VerticesOfThePolygonalShutter=[1, 1, 30, 30, 60, 5, 7]),
    "one point": shutter("POLYGONAL", VerticesOfThePolygonalShutter=[9, 9, 9, 9, 9, 9]),
    "a line": shutter("POLYGONAL", VerticesOfThePolygonalShutter=[1, 1, 30, 30, 60, 60]),
    "polygon outside": shutter("POLYGONAL", VerticesOfThePolygonalShutter=[100, 1, 100, 50, 150, 50]),
    "polygon beside a corner": shutter("POLYGONAL", VerticesOfThePolygonalShutter=[1, -99, -99, 1, -99, -99]),
    "polygon beside another": shutter(
        "POLYGONAL", VerticesOfThePolygonalShutter=[60, 200, 200, 60, 200, 200]
    ),
    "polygon between pixels": between(
        "POLYGONAL", (0x1620, [20.2, 20.2, 20.2, 20.8, 20.8, 20.8, 20.8, 20.2])
    ),
    "circle between pixels": between("CIRCULAR", (0x1610, [32.5, 40.5]), (0x1612, 0.5)),
    "edges between pixels": between("RECTANGULAR", (0x1602, 40.2), (0x1604, 40.8), (0x1606, 5), (0x1608, 60)),
    "no overlay": shutter("BITMAP", ShutterOverlayGroup=0x6000),
    "no shape": shutter("STAR"),
}


@pytest.mark.parametrize("ds", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_an_impossible_shutter_hides_nothing_and_is_said(ds: Dataset) -> None:
    assert shutter_mask(ds, 64, 80).all()
    (note,) = shutter_notes(ds, 64, 80)
    assert "ShutterShape (0018,1600)" in note
    assert "ignored" in note


@pytest.mark.parametrize("name", ["RECTANGULAR", "CIRCULAR", "POLYGONAL", "BITMAP", "CIRCULAR+BITMAP"])
def test_a_possible_shutter_is_not_spoken_of(name: str) -> None:
    assert shutter_notes(two_shapes(name), 64, 80) == []


@pytest.mark.parametrize("around", [(-5, 300, -5, 300), (0, 81, 0, 65), (1, 80, 1, 64)])
def test_edges_beyond_the_picture_hide_nothing_without_a_word(around: tuple[int, int, int, int]) -> None:
    ds = shutter("RECTANGULAR", **edges(*around))

    assert shutter_mask(ds, 64, 80).all()
    assert shutter_notes(ds, 64, 80) == []


def test_an_impossible_shape_leaves_the_others_as_they_are() -> None:
    ds = two_shapes("RECTANGULAR+CIRCULAR")
    ds.RadiusOfCircularShutter = 0

    np.testing.assert_array_equal(shutter_mask(ds, 64, 80), shutter_mask(two_shapes("RECTANGULAR"), 64, 80))
    assert len(shutter_notes(ds, 64, 80)) == 1


def test_shutters_that_leave_nothing_visible_together_are_said() -> None:
    apart = shutter(
        ["RECTANGULAR", "CIRCULAR"],
        **edges(1, 10, 1, 64),
        CenterOfCircularShutter=[32, 60],
        RadiusOfCircularShutter=10,
    )
    covered = xa_dataset()
    add_bitmap(covered, np.ones((64, 80), dtype=np.uint8))

    for ds in (apart, covered):
        assert not shutter_mask(ds, 64, 80).any()
        (note,) = shutter_notes(ds, 64, 80)
        assert "nothing visible" in note


def test_impossible_shutters_of_any_object_are_said_in_its_cine(tmp_path: Path) -> None:
    swapped = edges(70, 5, 60, 3)
    write_xa(tmp_path / "a", ShutterShape="RECTANGULAR", SeriesInstanceUID="1.2", **swapped)
    odd: dict[str, Any] = {
        "ShutterShape": "CIRCULAR",
        "CenterOfCircularShutter": [32, 40],
        "RadiusOfCircularShutter": 0,
    }
    write_xa_single_frames(tmp_path / "b", moving_frames(3), SeriesInstanceUID="1.3", **odd)
    write_enhanced(
        tmp_path / "c",
        moving_frames(3),
        SeriesInstanceUID="1.4",
        SOPInstanceUID="1.4.1",
        per_frame=lambda k: {
            "FrameDisplayShutterSequence": odd if k else odd | {"RadiusOfCircularShutter": 30}
        },
    )

    cines = find_series([tmp_path]).cines

    assert [sum("is ignored" in note for note in cine.notes) for cine in cines] == [1, 1, 1]
    assert [bool(Display.of(cine).visible(1).all()) for cine in cines] == [True, True, True]
