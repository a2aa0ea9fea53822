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

from casgan_dicom.model.simulator.geometry import Array, View

FloatImage = npt.NDArray[np.float32]

_POINTS_PER_PIXEL = 2.0
"""Density of discs along a centreline on the detector."""


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
        Sets the pixel size; points end up at most half a pixel apart.
    """
    pixel = view.pixel_mm / view.magnification
    parts = [_cut(points, radius, arc, pixel / _POINTS_PER_PIXEL) for points, radius, arc in lines]
    return Tubes(*(np.concatenate([part[k] for part in parts]) for k in range(4)))


def _cut(points: Array, radius: Array, arc: Array, spacing: float) -> tuple[Array, Array, Array, Array]:
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    count = max(2, int(np.ceil(s[-1] / spacing)))
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
    pixels, scale = view.project(points)
    height = tubes.step if weights is None else tubes.step * weights
    keep = (height > 0) & (np.abs(pixels - (view.size - 1) / 2).max(axis=1) < view.size / 2 + 20)
    image = np.zeros(view.size * view.size)
    radius_px = tubes.radius * scale
    reach = np.ceil(radius_px + 0.5).astype(np.int64) + 1
    for r in np.unique(reach[keep]):
        chosen = keep & (reach == r)
        _splat(image, view.size, (pixels[chosen], radius_px[chosen], height[chosen]), int(r))
    return image.reshape(view.size, view.size).astype(np.float32)


def _splat(image: Array, size: int, discs: tuple[Array, Array, Array], reach: int) -> None:
    """Add discs whose soft edge ends within `reach` pixels of the centre's pixel."""
    pixels, radius, height = discs
    centre = np.rint(pixels).astype(np.int64)
    offset = np.arange(-reach, reach + 1)
    dx = (centre[:, 0, None] + offset) - pixels[:, 0, None]  # (N, K)
    dy = (centre[:, 1, None] + offset) - pixels[:, 1, None]
    distance = np.sqrt(dx[:, None, :] ** 2 + dy[:, :, None] ** 2)  # (N, K, K)
    cover = np.clip(radius[:, None, None] + 0.5 - distance, 0.0, 1.0)
    total = cover.sum(axis=(1, 2))
    cover *= (height * np.pi * radius**2 / np.maximum(total, 1e-12))[:, None, None]
    column = np.broadcast_to((centre[:, 0, None] + offset)[:, None, :], cover.shape)
    row = np.broadcast_to((centre[:, 1, None] + offset)[:, :, None], cover.shape)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    image += np.bincount((row * size + column)[inside], cover[inside], minlength=size * size)


def centreline(points: Array, view: View, keep: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.bool_]:
    """Pixels that centrelines pass through, bool (size, size); `keep` (N,) chooses among the points."""
    pixels, _ = view.project(points if keep is None else points[keep])
    at = np.rint(pixels).astype(np.int64)
    inside = ((at >= 0) & (at < view.size)).all(axis=1)
    line = np.zeros((view.size, view.size), dtype=np.bool_)
    line[at[inside, 1], at[inside, 0]] = True
    return line
