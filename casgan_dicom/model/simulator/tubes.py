"""Round tubes on the detector: chord lengths of polylines, for lung vessels, ribs, wires and leads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.geometry import Array, View

FloatImage = npt.NDArray[np.float32]
_THINNEST_PX = 0.55  # thinner tubes are drawn this wide and fainter: the same area under the profile


def draw_tube(
    image: FloatImage, view: View, points: Array, radii_mm: npt.ArrayLike, per_mm: npt.ArrayLike
) -> None:
    """Add a tube's line integral to an image.

    Parameters
    ----------
    image
        float32 (size, size), changed in place.
    view
        Where the tube is seen from.
    points
        Centre line, float64 (N, 3), patient mm, N >= 2.
    radii_mm
        Radius at each point, or one for all.
    per_mm
        Attenuation per mm of chord, at each point or one for all.
    """
    pixels, scale = view.project(points)
    radii = np.broadcast_to(np.asarray(radii_mm, dtype=np.float64), scale.shape) * scale
    draw_polyline(image, pixels, radii, np.asarray(per_mm) / scale)


def draw_polyline(image: FloatImage, pixels: Array, radii_px: Array, per_px: Array) -> None:
    """Add the chord profile of a polyline in pixel coordinates (column, row); arrays are per point."""
    drawn = np.maximum(radii_px, _THINNEST_PX)
    strength = per_px * (radii_px / drawn) ** 2
    reach = float(drawn.max()) + 1.0
    lower = np.maximum(np.floor(pixels.min(axis=0) - reach).astype(int), 0)
    upper = np.minimum(np.ceil(pixels.max(axis=0) + reach).astype(int) + 1, image.shape[::-1])
    if (lower >= upper).any():
        return
    canvas = np.zeros((upper[1] - lower[1], upper[0] - lower[0]), dtype=np.float32)
    for i in range(len(pixels) - 1):
        _draw_segment(canvas, pixels[i : i + 2] - lower, drawn[i : i + 2], strength[i : i + 2])
    image[lower[1] : upper[1], lower[0] : upper[0]] += canvas


def _draw_segment(canvas: FloatImage, ends: Array, radii: Array, strength: Array) -> None:
    """Raise the canvas to one segment's chord profile (joints must not count twice)."""
    reach = float(radii.max()) + 1.0
    height, width = canvas.shape
    x0, y0 = np.maximum(np.floor(ends.min(axis=0) - reach).astype(int), 0)
    x1, y1 = np.ceil(ends.max(axis=0) + reach).astype(int) + 1
    x1, y1 = min(int(x1), width), min(int(y1), height)
    if x0 >= x1 or y0 >= y1:
        return
    dx = np.arange(x0, x1)[None, :] - ends[0, 0]
    dy = np.arange(y0, y1)[:, None] - ends[0, 1]
    ex, ey = ends[1] - ends[0]
    t = np.clip((dx * ex + dy * ey) / max(ex * ex + ey * ey, 1e-9), 0.0, 1.0)
    distance2 = (dx - t * ex) ** 2 + (dy - t * ey) ** 2
    radius = radii[0] + t * (radii[1] - radii[0])
    chord = (
        2.0
        * np.sqrt(np.maximum(radius**2 - distance2, 0.0))
        * (strength[0] + t * (strength[1] - strength[0]))
    )
    patch = canvas[y0:y1, x0:x1]
    np.copyto(patch, np.where(np.abs(chord) > np.abs(patch), chord, patch), casting="same_kind")
