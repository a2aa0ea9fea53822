"""Path length through tubes: from a centreline with radii to millimetres per pixel.

A tube is the sum of small discs laid along its centreline. A disc of the tube's radius, as high as the
distance to the next point, projected along the beam adds up to the chord of the tube, 2·sqrt(r² - d²) over
the sine of the angle between tube and beam: a foreshortened vessel gets longer chords by itself. Discs have
soft edges one pixel wide and keep their volume, so positions and radii below one pixel count.

Images are float32 (size, size), row 0 at the top; path lengths are in patient mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array

from casgan_dicom.model.simulator.geometry import Array, View

FloatImage = npt.NDArray[np.float32]
PixelIndex = npt.NDArray[np.int32]

_POINTS_PER_PIXEL = 2.0
"""Density of points along a centreline on the detector."""
_THINNEST_PX = 0.5
"""Thinner tubes are drawn this wide and keep their volume: none falls between the pixels."""


@dataclass(frozen=True)
class Tubes:
    """Centrelines of several tubes in one list of points, ready to be rendered again and again."""

    points: Array
    """float64 (N, 3), patient mm."""
    radius: Array
    """float64 (N,), mm."""
    step: Array
    """float64 (N,), length of tube that each point stands for, in mm."""
    arc: Array
    """float64 (N,), distance from the ostium in mm, for the concentration."""


def make_tubes(lines: list[tuple[Array, Array, Array]], view: View) -> Tubes:
    """Cut centrelines finely enough for a view.

    Parameters
    ----------
    lines
        (points (N, 3), radius (N,), arc (N,)) of each tube, in mm.
    view
        Sets the pixel size; points end up at most half a pixel apart, an even number on each tube.
    """
    pixel = view.pixel_mm / view.magnification
    parts = [_cut(points, radius, arc, pixel / _POINTS_PER_PIXEL) for points, radius, arc in lines]
    return Tubes(*(np.concatenate([part[k] for part in parts]) for k in range(4)))


def _cut(points: Array, radius: Array, arc: Array, spacing: float) -> tuple[Array, Array, Array, Array]:
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    count = 2 * max(1, int(np.ceil(s[-1] / spacing / 2)))  # even, for discs stand for two points
    at = (np.arange(count) + 0.5) * s[-1] / count  # midpoints: each stands for an equal piece
    fine = np.stack([np.interp(at, s, points[:, k]) for k in range(3)], axis=1)
    step = np.full(count, s[-1] / count)
    return fine, np.interp(at, s, radius), step, np.interp(at, s, arc)


def path_length(tubes: Tubes, points: Array, view: View, weights: Array | None = None) -> FloatImage:
    """Sum the chords of all tubes.

    Parameters
    ----------
    tubes
        Radii and steps.
    points
        float64 (N, 3), where the tubes' points are in this frame, patient mm.
    view
        The C-arm.
    weights
        float64 (N,), factor per point such as a concentration; None counts each point as 1.

    Returns
    -------
    float32 (size, size)
        Weighted path length in mm.
    """
    one = np.ones(len(tubes.step)) if weights is None else weights
    return np.asarray(path_lengths(tubes, points, view, one[None])[0])


def path_lengths(tubes: Tubes, points: Array, view: View, weights: Array) -> FloatImage:
    """Sum the chords of all tubes several times over, at little more than the cost of once.

    Parameters
    ----------
    tubes, points, view
        As for `path_length`.
    weights
        float64 (M, N), not negative, factors per point for each of M pictures.

    Returns
    -------
    float32 (M, size, size)
        Weighted path lengths in mm.
    """
    pixels, scale = view.project((points[0::2] + points[1::2]) / 2)  # one disc for two points
    height = (tubes.step * weights).reshape(len(weights), -1, 2).sum(axis=2)
    radius = (tubes.radius[0::2] + tubes.radius[1::2]) / 2 * scale
    drawn = np.maximum(radius, _THINNEST_PX)
    reach = np.ceil(drawn).astype(np.int64)
    near = np.abs(pixels - (view.size - 1) / 2).max(axis=1) < view.size / 2 + reach
    near = np.abs(pixels - (view.size - 1) / 2).max(axis=1) < view.size / 2 + reach
    keep = (height > 0).any(axis=0) & near
    if not keep.any():
        return np.zeros((len(weights), view.size, view.size), dtype=np.float32)
    margin = 2 * int(reach[keep].max()) + 1
    width = view.size + 2 * margin
    order, discs = [], []
    for r in np.unique(reach[keep]):
        order.append(np.flatnonzero(keep & (reach == r)))
        discs.append(_discs(pixels[order[-1]] + margin, drawn[order[-1]], int(r), width))
    volume = (height * np.pi * radius**2)[:, np.concatenate(order)].astype(np.float32)
    sums = _spread(discs, volume, width**2).reshape(-1, width, width)
    inner = slice(margin, margin + view.size)
    return np.ascontiguousarray(sums[:, inner, inner])


def _spread(discs: list[tuple[PixelIndex, FloatImage]], volume: FloatImage, size: int) -> FloatImage:
    """Add up N discs of M volumes each, (M, N), over flat pictures, (M, size)."""
    held = np.concatenate([np.full(len(index), index.shape[1]) for index, _ in discs])
    matrix = csc_array(
        (
            np.concatenate([cover.ravel() for _, cover in discs]),
            np.concatenate([index.ravel() for index, _ in discs]),
            np.concatenate([[0], np.cumsum(held)]),
        ),
        shape=(size, len(held)),
    )
    return np.asarray((matrix @ np.ascontiguousarray(volume.T)).T, dtype=np.float32)


def _discs(pixels: Array, radius: Array, reach: int, width: int) -> tuple[PixelIndex, FloatImage]:
    """Pixels of discs in a flat square picture and their shares of the disc, (N, K²) each.

    A disc's soft edge ends within `reach` of the pixel that holds its centre.
    """
    centre = np.rint(pixels).astype(np.int64)
    offset = np.arange(-reach, reach + 1)
    away = ((centre - pixels)[:, :, None] + offset).astype(np.float32) ** 2  # (N, 2, K): column, row
    cover = np.sqrt(away[:, 0, None, :] + away[:, 1, :, None]).reshape(len(pixels), -1)
    np.subtract(radius.astype(np.float32)[:, None] + np.float32(0.5), cover, out=cover)
    np.clip(cover, 0.0, 1.0, out=cover)
    cover /= cover.sum(axis=1, keepdims=True)
    index = (centre[:, 1] * width + centre[:, 0])[:, None] + (offset[:, None] * width + offset).ravel()
    return index.astype(np.int32), cover


def centreline(points: Array, view: View, keep: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.bool_]:
    """Pixels that centrelines pass through, bool (size, size); `keep` (N,) chooses among the points."""
    pixels, _ = view.project(points if keep is None else points[keep])
    at = np.rint(pixels).astype(np.int64)
    inside = ((at >= 0) & (at < view.size)).all(axis=1)
    line = np.zeros((view.size, view.size), dtype=np.bool_)
    line[at[inside, 1], at[inside, 0]] = True
    return line
