"""Where a picture is visible between its shutters, PS3.3 C.7.6.11 and C.7.6.15.

Shapes hide independently: what any of them covers is covered. A shape whose geometry is absent or impossible,
so that it would cover the whole picture, covers nothing, and `shutter_notes` says it. Rows and columns count
from 1 in the header, from 0 in an array; arrays are (rows, columns).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from casgan_dicom.source.elements import numbers, several, swap_bytes

SHUTTER_KEYWORDS = (
    "ShutterShape", "ShutterLeftVerticalEdge", "ShutterRightVerticalEdge", "ShutterUpperHorizontalEdge",
    "ShutterLowerHorizontalEdge", "CenterOfCircularShutter", "RadiusOfCircularShutter",
    "VerticesOfThePolygonalShutter", "ShutterOverlayGroup",
)  # fmt: skip
"""Elements that say what the shutters cover; the overlay of a bitmap shutter (`bitmap_tags`) comes on top."""
_OVERLAY_GROUPS = range(0x6000, 0x6100, 2)
_BITMAP = {"rows": 0x10, "columns": 0x11, "frames": 0x15, "origin": 0x50, "first": 0x51, "data": 0x3000}
"""Elements of an overlay group, PS3.3 C.9.2, by what they hold."""
_SHAPE = "ShutterShape (0018,1600)"
_EDGES = (
    "ShutterLeftVerticalEdge", "ShutterRightVerticalEdge", "ShutterUpperHorizontalEdge",
    "ShutterLowerHorizontalEdge",
)  # fmt: skip
_EDGE_NAMES = ("left", "right", "upper", "lower")
_ALL = "it would cover the whole picture"
_LOOKED_AT = 2**24
"""Pixels of the largest picture that is looked at for what is visible: no detector has more."""
_FAR = 2.0**20
"""Beyond any picture: coordinates are cut to this, so that no arithmetic on them overflows."""

Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def shutter_mask(ds: Dataset, rows: int, columns: int, frame: int = 0) -> Mask:
    """Say where the picture is visible between its shutters.

    Parameters
    ----------
    ds
        Header with a Display Shutter Module; Shutter Shape (0018,1600) may name several shapes. The overlay
        of a bitmap shutter is looked for in the same header.
    rows, columns
        Size of the picture.
    frame
        Which frame of the instance, from 0; only a bitmap of several frames asks.

    Returns
    -------
    bool (rows, columns)
        True where no shutter covers the picture; True everywhere without shutters. A shape without a
        possible geometry covers nothing.

    Notes
    -----
    Edges and rims belong to what is visible; a bitmap covers where its bits are 1.
    """
    visible = np.ones((rows, columns), dtype=np.bool_)
    for shape in dict.fromkeys(shutter_shapes(ds)):
        alone = _left_visible_by(shape, ds, (rows, columns), frame)
        if not isinstance(alone, str):
            visible &= alone
    return visible


def _left_visible_by(shape: str, ds: Dataset, size: tuple[int, int], frame: int = 0) -> Mask | str:
    """What one shape leaves visible; why it covers nothing, where its geometry is no possible one.

    A bitmap says of every pixel what it does, so it may cover them all. A shape of an unknown name has no
    reason.
    """
    if shape == "BITMAP":
        if _bitmap_size(ds) is None:
            return "ShutterOverlayGroup (0018,1623) leads to no whole overlay"
        alone = np.ones(size, dtype=np.bool_)
        _hide_bitmap(alone, ds, frame)
        return alone
    if shape not in _SHAPES:
        return ""
    read, inside = _SHAPES[shape]
    geometry = read(ds, *size)
    if isinstance(geometry, str):
        return geometry
    row, column = (np.arange(1, side + 1, dtype=np.float64) for side in size)
    alone = inside(geometry, row[:, None], column[None, :])
    return alone if alone.any() else _ALL


def shutter_notes(ds: Dataset, rows: int, columns: int) -> list[str]:
    """Say which shutters of a header are ignored and why, and whether the others leave nothing visible.

    `rows` and `columns` are the size of the picture. Whatever the header holds, nothing is raised.
    """
    notes, shapes = [], shutter_shapes(ds)
    looked_at = bool(shapes) and 0 < rows * columns <= _LOOKED_AT
    for shape in (*_SHAPES, "BITMAP") if looked_at else ():
        alone = _left_visible_by(shape, ds, (rows, columns)) if shape in shapes else ""
        if isinstance(alone, str) and alone:
            notes.append(f"{_SHAPE} {shape} is ignored: {alone}")
    if unknown := sum(shape not in (*_SHAPES, "BITMAP") for shape in shapes if shape):
        wanted = ", ".join((*_SHAPES, "BITMAP"))
        notes.append(f"{_SHAPE} holds {unknown} values that are none of {wanted}: they are ignored")
    alone_possible = len(shapes) == 1 and shapes[0] in _SHAPES  # or it was ignored
    if looked_at and not alone_possible and not shutter_mask(ds, rows, columns).any():
        notes.append(f"{_SHAPE} {', '.join(shapes)} leave nothing visible: nothing can be drawn there")
    return notes


def shutter_shapes(ds: Dataset) -> tuple[str, ...]:
    """Shutter Shape (0018,1600): none, one or several."""
    return tuple(str(shape).strip().upper() for shape in several(ds.get("ShutterShape")))


def shutter_group(ds: Dataset) -> int | None:
    """Group of the overlay that is a bitmap shutter; None if there is no such shutter."""
    group = ds.get("ShutterOverlayGroup")
    wanted = "BITMAP" in shutter_shapes(ds) and isinstance(group, int) and group in _OVERLAY_GROUPS
    return int(group) if wanted else None


def bitmap_tags(ds: Dataset) -> tuple[BaseTag, ...]:
    """Every element that a bitmap shutter is made of; empty if there is no such shutter."""
    group = shutter_group(ds)
    return () if group is None else tuple(Tag(group, element) for element in _BITMAP.values())


def bitmap_frames(ds: Dataset) -> int:
    """How many frames a bitmap shutter has of its own; 1 if it is the same for all, 0 if there is none."""
    group = shutter_group(ds)
    return 0 if group is None else max(1, (*_overlay_numbers(ds, group, "frames"), 1)[0])


def _hide_bitmap(visible: Mask, ds: Dataset, frame: int) -> None:
    """Hide what the bits of the overlay cover; nothing where it is not whole (PS3.3 C.9.2, PS3.5 8.1.2)."""
    group, size = shutter_group(ds), _bitmap_size(ds)
    if group is None or size is None:
        return
    number = bitmap_frames(ds)
    first = (*_overlay_numbers(ds, group, "first"), 1)[0]
    k = 0 if number == 1 else frame - (first - 1)
    bits = _overlay_bits(ds, group, k * size[0] * size[1], size[0] * size[1]) if 0 <= k < number else None
    if bits is None:
        return
    top, left = (*_overlay_numbers(ds, group, "origin"), 1, 1)[:2]
    _cover(visible, bits.reshape(size), top - 1, left - 1)


def _bitmap_size(ds: Dataset) -> tuple[int, int] | None:
    """Rows and columns of the overlay that is a bitmap shutter; None where it is not whole."""
    group = shutter_group(ds)
    if group is None:
        return None
    size = (*_overlay_numbers(ds, group, "rows"), *_overlay_numbers(ds, group, "columns"))
    if len(size) != 2 or not all(0 < side < 2**16 for side in size):
        return None
    return size if _overlay_bits(ds, group, 0, size[0] * size[1]) is not None else None


def _cover(visible: Mask, bits: Mask, top: int, left: int) -> None:
    """Hide what a bitmap at this place covers; it may stand out over the picture on any side."""
    rows, columns = visible.shape
    inside = bits[max(0, -top) : max(0, rows - top), max(0, -left) : max(0, columns - left)]
    height, width = inside.shape
    visible[max(0, top) : max(0, top) + height, max(0, left) : max(0, left) + width] &= ~inside


def _overlay_bits(ds: Dataset, group: int, start: int, count: int) -> Mask | None:
    """So many bits of Overlay Data (60xx,3000), the lowest bit of a byte first; None where it holds fewer."""
    element = ds.get(Tag(group, _BITMAP["data"]))
    data = element.value if element is not None else None
    if not isinstance(data, bytes) or 8 * len(data) < start + count:
        return None
    if element is not None and element.VR == "OW" and ds.original_encoding[1] is False:
        data = swap_bytes(data)
    part = np.frombuffer(data, np.uint8)[start // 8 : (start + count + 7) // 8]
    bits = np.unpackbits(part, bitorder="little")[start % 8 : start % 8 + count]
    return np.asarray(bits, dtype=np.bool_)


def _overlay_numbers(ds: Dataset, group: int, what: str) -> tuple[int, ...]:
    """The whole numbers of an element of an overlay group; empty where one of them is none."""
    element = ds.get(Tag(group, _BITMAP[what]))
    values = several(element.value) if element is not None else []
    return tuple(int(value) for value in values) if all(isinstance(value, int) for value in values) else ()


def _rectangle(ds: Dataset, rows: int, columns: int) -> Float | str:
    """Left, right, upper and lower edge; an edge that is missing lies outside the picture. Else why not."""
    stated = [_numbers(ds, keyword) for keyword in _EDGES]
    if not any(stated):
        return "it has no edges (0018,1602) to (0018,1608)"
    left, right, upper, lower = (
        found[0] if found else beyond
        for found, beyond in zip(stated, (-_FAR, _FAR, -_FAR, _FAR), strict=True)
    )
    if max(left, 1) < min(right, columns) and max(upper, 1) < min(lower, rows):
        return np.array([left, right, upper, lower])
    told = ", ".join(f"{name} {found[0]:g}" for name, found in zip(_EDGE_NAMES, stated, strict=True) if found)
    wanted = f"need left < right and upper < lower within {rows} rows × {columns} columns"
    return f"its edges (0018,1602) to (0018,1608) are {told}, {wanted}"


def _in_rectangle(edges: Float, row: Float, column: Float) -> Mask:
    """Between the edges, which are visible."""
    left, right, upper, lower = edges
    return np.asarray((column >= left) & (column <= right) & (row >= upper) & (row <= lower))


def _circle(ds: Dataset, rows: int, columns: int) -> Float | str:
    """Row, column and radius of the circular shutter; else why it is none."""
    centre, radius = _numbers(ds, "CenterOfCircularShutter"), _numbers(ds, "RadiusOfCircularShutter")
    if len(centre) != 2 or len(radius) != 1:
        found = f"{len(centre)} and {len(radius)} numbers"
        return f"its center (0018,1610) and radius (0018,1612) hold {found}, need 2 and 1"
    if radius[0] <= 0:
        return f"its radius (0018,1612) is {radius[0]:g}, need more than 0"
    away = [max(1 - place, place - side, 0) for place, side in zip(centre, (rows, columns), strict=True)]
    if away[0] ** 2 + away[1] ** 2 >= radius[0] ** 2:
        told = f"row {centre[0]:g}, column {centre[1]:g}, radius {radius[0]:g}"
        return f"it lies outside {rows} rows × {columns} columns ({told}; (0018,1610), (0018,1612))"
    return np.array([*centre, *radius])


def _in_circle(circle: Float, row: Float, column: Float) -> Mask:
    """On the disc, its rim included."""
    return np.asarray((row - circle[0]) ** 2 + (column - circle[1]) ** 2 <= circle[2] ** 2)


def _polygon(ds: Dataset, rows: int, columns: int) -> Float | str:
    """Vertices of the polygonal shutter, (vertices, 2) of row and column; else why it is none."""
    found = _numbers(ds, "VerticesOfThePolygonalShutter")
    if len(found) < 6 or len(found) % 2:
        return f"its vertices (0018,1620) are {len(found)} numbers, need at least 3 pairs"
    vertices = np.reshape(found, (-1, 2))
    arms = vertices[1:] - vertices[0]
    if not np.abs(arms[:-1, 0] * arms[1:, 1] - arms[:-1, 1] * arms[1:, 0]).sum():
        return "its vertices (0018,1620) lie on one line, need an area"
    if (vertices.max(axis=0) < 1).any() or (vertices.min(axis=0) > (rows, columns)).any():
        return f"its vertices (0018,1620) lie outside {rows} rows × {columns} columns"
    return np.asarray(vertices)


def _in_polygon(vertices: Float, row: Float, column: Float) -> Mask:
    """Inside the polygon of (row, column) vertices by the even-odd rule, its lower and right rim excepted."""
    inside = np.zeros(np.broadcast_shapes(row.shape, column.shape), dtype=np.bool_)
    for (r0, c0), (r1, c1) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        if r0 != r1:
            crosses = (row < r0) != (row < r1)
            inside ^= crosses & (column < c0 + (row - r0) * (c1 - c0) / (r1 - r0))
    return inside


def _numbers(ds: Dataset, keyword: str) -> list[float]:
    """The values of an element as numbers that can be counted with; empty where one of them is none."""
    return [min(max(number, -_FAR), _FAR) for number in numbers(ds, keyword)]


_Reader = Callable[[Dataset, int, int], Float | str]
_SHAPES: Mapping[str, tuple[_Reader, Callable[[Float, Float, Float], Mask]]] = {
    "RECTANGULAR": (_rectangle, _in_rectangle),
    "CIRCULAR": (_circle, _in_circle),
    "POLYGONAL": (_polygon, _in_polygon),
}
"""How the geometry of each shape is read, and what it leaves visible."""
