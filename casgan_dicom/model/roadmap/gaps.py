"""One tree out of the parts that the segmentor marks.

Where it loses a vessel for a stretch, parts of the mask that lie near each other are joined, the nearest
first, by a straight piece as wide as the thinner of both ends. A small part that lies far from all others is
no branch: an electrode, a clip, the edge of the field.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from casgan_dicom.model.roadmap.extraction import size_unit
from casgan_dicom.model.roadmap.run import Array, Mask

LONGEST_PX = 8.0
"""Longest gap that is closed, pixels of a 256 px frame."""
STRAY_PX, STRAY_SHARE = 12.0, 0.1
"""A part is stray that is farther than this from the rest, pixels of a 256 px frame, and smaller than this
share of the largest part."""
_ALL_ROUND = np.ones((3, 3), dtype=np.bool_)
_MOST_PARTS = 40


def close_gaps(vessel: Mask) -> Mask:
    """Join parts of a mask (H, W) that lie within LONGEST_PX of each other; only adds pixels."""
    parts, count = ndimage.label(vessel, _ALL_ROUND)
    if not 1 < count <= _MOST_PARTS:
        return vessel.copy()
    longest = LONGEST_PX * size_unit((vessel.shape[0], vessel.shape[1]))
    inside = ndimage.distance_transform_edt(vessel)
    closed = vessel.copy()
    order = np.argsort(np.bincount(parts.ravel())[1:])  # the smallest looks for a neighbour first
    for number in (order + 1)[:-1]:
        others = vessel & (parts != number)
        away, nearest = ndimage.distance_transform_edt(~others, return_indices=True)
        own = np.argwhere(parts == number)
        gaps = away[own[:, 0], own[:, 1]]
        at = int(gaps.argmin())
        if gaps[at] <= longest:
            begin = own[at]
            end = nearest[:, begin[0], begin[1]]
            width = min(_near_radius(inside, begin), _near_radius(inside, end))
            _draw(closed, (begin, end), width)
    return closed


def without_stray(vessel: Mask) -> Mask:
    """A mask (H, W) without its small parts that lie far from the tree.

    The tree is the largest part, every part of STRAY_SHARE of its area, and what lies within STRAY_PX of it.
    """
    parts, count = ndimage.label(vessel, _ALL_ROUND)
    if count < 2:
        return vessel.copy()
    area = np.bincount(parts.ravel())
    area[0] = 0
    tree = (area >= STRAY_SHARE * area.max())[parts]
    near = ndimage.distance_transform_edt(~tree) <= STRAY_PX * size_unit((vessel.shape[0], vessel.shape[1]))
    reached = np.bincount(parts.ravel(), weights=near.ravel()) > 0
    reached[0] = False
    return np.asarray(reached[parts])


def _near_radius(inside: Array, place: Array) -> float:
    """Half the vessel's width near one of its border pixels."""
    row, column = (int(value) for value in place)
    return float(inside[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3].max())


def _draw(mask: Mask, ends: tuple[Array, Array], radius: float) -> None:
    """Put a straight piece with round ends into a mask."""
    begin, end = (np.asarray(place, dtype=np.float64) for place in ends)
    low = np.maximum(np.minimum(begin, end) - radius - 1, 0).astype(int)
    high = np.minimum(np.maximum(begin, end) + radius + 2, mask.shape).astype(int)
    rows, columns = np.mgrid[low[0] : high[0], low[1] : high[1]]
    way = end - begin
    length = max(float(way @ way), 1e-9)
    along = np.clip(((rows - begin[0]) * way[0] + (columns - begin[1]) * way[1]) / length, 0, 1)
    off = np.hypot(rows - begin[0] - along * way[0], columns - begin[1] - along * way[1])
    mask[low[0] : high[0], low[1] : high[1]] |= off <= max(radius, 0.5)
