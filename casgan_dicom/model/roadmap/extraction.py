"""Which pixels of a filled frame are vessel, and how much contrast darkens them.

    L = -ln x                  (or 1 - x where x is a logarithm already)
    L̂ = L, and in the widened mask the solution of Laplace's equation with L around it
    T = max(0, L - L̂) · soft mask

Sizes are given for a frame whose longer side is 256 pixels and grow with it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

from casgan_dicom.model.roadmap.run import Array, FloatImage, Mask, Scale

LOW, HIGH = 0.35, 0.6
"""Hysteresis: a pixel is vessel from LOW where it is connected to one of HIGH."""
LEAST_PX = 40
"""Area in pixels of a 256 px frame below which a part of the mask is a speck."""
DARKEST = 0.02
"""Display value below which the logarithm says nothing more."""
_PENUMBRA_PX = 2.0
"""Within this distance of a blade its edge still darkens the picture."""
_GONE_ON_PX = 8.0
"""How smoothly the picture goes on below a blade, sigma: no lines, which would look like vessels."""
_GROWN_PX, _RIM_PX, _EDGE_PX = 2.0, 1.5, 1.0
_SOFTENED_PX = 0.5
_HALF_KNOWN = 0.5
"""Share of a coarse pixel that has to be background to be taken as it is."""
_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0))
_ALL_ROUND = np.ones((3, 3), dtype=np.bool_)


def size_unit(shape: tuple[int, int]) -> float:
    """Pixels of a frame (H, W) to one pixel of a frame whose longer side is 256."""
    return max(shape) / 256


def uncovering(visible: Mask | None) -> Callable[[FloatImage], FloatImage]:
    """Make of frames (H, W) of a run what a segmentor is to see: the picture goes on where it is covered.

    Black blades would take up most of the range of grey values, and what lies between them, be it ever so
    plain to see, would hardly differ for the network. One grey value in their place would make a band of the
    half-dark that a blade has at its edge.
    """
    if visible is None or visible.all():
        return _as_it_is
    unit = size_unit((visible.shape[0], visible.shape[1]))
    reach = max(round(_PENUMBRA_PX * unit), 1)
    inner = ndimage.binary_erosion(visible, iterations=reach, border_value=1)
    if not inner.any():
        return _as_it_is
    nearest = ndimage.distance_transform_edt(~inner, return_distances=False, return_indices=True)

    def uncovered(frame: FloatImage) -> FloatImage:
        smooth = ndimage.gaussian_filter(frame[nearest[0], nearest[1]], _GONE_ON_PX * unit)
        return np.where(inner, frame, smooth)

    return uncovered


def _as_it_is(frame: FloatImage) -> FloatImage:
    return frame


def logarithm(frame: FloatImage, scale: Scale) -> FloatImage:
    """L of display values: what contrast adds to, float32, the shape of `frame`."""
    if scale == "log":
        return np.asarray(1 - frame, dtype=np.float32)
    return np.asarray(-np.log(np.clip(frame, DARKEST, 1)), dtype=np.float32)


def vessel_mask(probability: FloatImage, visible: Mask | None = None) -> Mask:
    """The vessels of one frame: hysteresis without specks, bool (H, W); nothing where it is not visible."""
    seen = np.asarray(probability, dtype=np.float32)
    if visible is not None:
        seen = np.where(visible, seen, np.float32(0))
    parts, count = ndimage.label(seen > LOW, _ALL_ROUND)
    if not count:
        return np.zeros(seen.shape, dtype=np.bool_)
    area = np.bincount(parts.ravel(), minlength=count + 1)
    sure = np.bincount(parts.ravel(), weights=(seen > HIGH).ravel(), minlength=count + 1) > 0
    kept = sure & (area >= LEAST_PX * size_unit(seen.shape) ** 2)
    kept[0] = False
    return np.asarray(kept[parts])


def without_specks(mask: Mask) -> Mask:
    """A mask (H, W) without its parts of less than LEAST_PX."""
    parts, _ = ndimage.label(mask, _ALL_ROUND)
    area = np.bincount(parts.ravel())
    kept = area >= LEAST_PX * size_unit((mask.shape[0], mask.shape[1])) ** 2
    kept[0] = False
    return np.asarray(kept[parts])


def contrast_depth(frame: FloatImage, vessel: Mask, scale: Scale = "linear") -> FloatImage:
    """How much contrast darkens a filled frame.

    Parameters
    ----------
    frame
        Display values in [0, 1], float32 (H, W).
    vessel
        Its vessels, bool (H, W).
    scale
        Of the display values.

    Returns
    -------
    float32 (H, W)
        T ≥ 0; 0 away from the vessels.
    """
    unit = size_unit(frame.shape)
    value = logarithm(frame, scale)
    grown = grow(vessel, _GROWN_PX * unit)
    without = _background(value, grown, max(int(unit), 1))
    soft = ndimage.gaussian_filter(grow(vessel, _EDGE_PX * unit).astype(np.float32), _EDGE_PX * unit)
    smooth = ndimage.gaussian_filter(value, _SOFTENED_PX)
    depth = np.maximum(smooth - without, 0) * soft * grown
    return np.asarray(depth, dtype=np.float32)


def _background(value: FloatImage, hole: Mask, factor: int) -> FloatImage:
    """`value` as it would be without vessels: a smooth field, so solved on a grid of `factor` pixels."""
    if factor == 1:
        return inpaint(value, hole, _RIM_PX)
    rows, columns = value.shape
    sides = ((0, -rows % factor), (0, -columns % factor))
    known = np.pad((~hole).astype(np.float32), sides, mode="edge")
    weight = _mean_of_squares(known, factor)
    total = _mean_of_squares(np.pad(value, sides, mode="edge") * known, factor)
    coarse = np.asarray(total / np.maximum(weight, 1e-6), dtype=np.float32)
    filled = inpaint(coarse, weight < _HALF_KNOWN, _RIM_PX)
    at = [(np.arange(side) + 0.5) / factor - 0.5 for side in (rows, columns)]
    places = np.meshgrid(*at, indexing="ij")
    fine = ndimage.map_coordinates(filled, places, order=1, mode="nearest", prefilter=False)
    return np.asarray(fine, dtype=np.float32)


def _mean_of_squares(picture: FloatImage, factor: int) -> FloatImage:
    rows, columns = (side // factor for side in picture.shape)
    return np.asarray(picture.reshape(rows, factor, columns, factor).mean(axis=(1, 3)), dtype=np.float32)


def grow(mask: Mask, radius_px: float) -> Mask:
    """A mask widened by a radius, bool (H, W)."""
    if not mask.any():
        return mask.copy()
    return np.asarray(ndimage.distance_transform_edt(~mask) <= radius_px)


def inpaint(values: FloatImage, hole: Mask, rim_px: float = 1.5) -> FloatImage:
    """Fill a hole by Laplace's equation.

    Parameters
    ----------
    values
        float32 (H, W).
    hole
        Where they are not to be used, bool (H, W).
    rim_px
        Over what distance the values beside the hole are averaged, sigma in pixels: grain is not continued.

    Returns
    -------
    float32 (H, W)
        `values` outside the hole; inside never beyond the range of what lies beside it. A hole without a
        border, the whole frame, is left as it is.
    """
    if not hole.any() or hole.all():
        return values.copy()
    known = (~hole).astype(np.float32)
    weight = np.maximum(ndimage.gaussian_filter(known, rim_px), 1e-6)
    beside = ndimage.gaussian_filter(values * known, rim_px) / weight
    filled = values.copy()
    filled[hole] = _laplace(beside, hole)
    return filled


def _laplace(beside: FloatImage, hole: Mask) -> Array:
    """Solution in the hole's pixels, in their order; beyond the frame's edge nothing flows."""
    number = np.full(tuple(side + 2 for side in hole.shape), -2, dtype=np.int64)  # -2: outside the frame
    number[1:-1, 1:-1] = -1
    rows, columns = np.nonzero(hole)
    inner = np.arange(len(rows))
    number[rows + 1, columns + 1] = inner
    diagonal, right = np.zeros(len(rows)), np.zeros(len(rows))
    at, to = [], []
    for down, aside in _NEIGHBOURS:
        other = number[rows + 1 + down, columns + 1 + aside]
        diagonal += other > -2
        border, inside = other == -1, other >= 0
        right[border] += beside[rows[border] + down, columns[border] + aside]
        at.append(inner[inside])
        to.append(other[inside])
    left, beyond = np.concatenate([inner, *at]), np.concatenate([inner, *to])
    entries = np.concatenate([diagonal, np.full(len(left) - len(inner), -1.0)])
    matrix = coo_matrix((entries, (left, beyond)), shape=(len(inner), len(inner))).tocsc()
    symmetric = {"SymmetricMode": True}  # half the fill-in of the general ordering
    return np.asarray(splu(matrix, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=symmetric).solve(right))
