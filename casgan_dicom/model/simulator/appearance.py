"""What a reader sees in single pictures, measured: catheter, edges of the field, contrast beside the vessels.

Pictures are float (H, W), display values in [0, 1]; masks are bool (H, W). Lengths in pixels are those of a
picture of 512 x 512.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.simulator.geometry import Array

Mask = npt.NDArray[np.bool_]
Picture = npt.NDArray[np.floating]

REFERENCE_SIZE = 512
_SURROUNDING_PX = (2.0, 10.0)
_BLUR_PX = 6.0
_FAINT_PX = 4.0
_SEEN_PIXELS = 40
_EDGE_REACH_PX = 24
_EDGE_CONTRAST = 0.04
_PLAIN_DEPTH = 0.03
_PLAIN_TO_NOISE = 0.5


def depth_of(picture: Picture, mask: Mask, field: Mask) -> tuple[float, float]:
    """How dark a thin device is against its surroundings, and against their grain.

    Parameters
    ----------
    picture
        Display values of a frame without contrast.
    mask
        The device.
    field
        Where X-rays pass.

    Returns
    -------
    depth, depth over noise
        Median of -ln(device / surroundings) in the device's inner half; the surroundings are what lies 2 to
        10 pixels beside it, carried into it by a smooth mean. NaN where fewer than 40 pixels are seen.
    """
    scale = len(picture) / REFERENCE_SIZE
    inside = ndimage.distance_transform_edt(mask)
    outside = ndimage.distance_transform_edt(~mask)
    near, far = (reach * scale for reach in _SURROUNDING_PX)
    ring = field & (outside > max(near, 1.0)) & (outside <= max(far, 3.0))
    core = field & (inside >= 0.5 * ndimage.maximum_filter(inside, size=2 * round(8 * scale) + 1)) & mask
    log = np.log(np.maximum(picture, 1 / 255))
    weight = ndimage.gaussian_filter(ring.astype(np.float64), _BLUR_PX * scale)
    core &= weight > 1e-3
    if core.sum() < max(_SEEN_PIXELS * scale**2, 5):
        return float("nan"), float("nan")
    mean = ndimage.gaussian_filter(np.where(ring, log, 0.0), _BLUR_PX * scale) / np.maximum(weight, 1e-9)
    depth = float(np.median((mean - log)[core]))
    grain = (log - ndimage.gaussian_filter(log, 2.0))[ring]
    return depth, depth / max(float(grain.std()), 1e-6)


def plain_to_the_eye(depth: float, depth_over_noise: float) -> bool:
    """Whether a line some 7 pixels wide and long is seen without looking for it.

    Over 7 x 20 pixels, which the eye takes together, half the grain's deviation is six times that of the
    mean: above the five that Rose asks for.
    """
    return depth >= _PLAIN_DEPTH and depth_over_noise >= _PLAIN_TO_NOISE


def mean_width(mask: Mask) -> float:
    """Median width of a long thin device in pixels at 512, NaN where there is none."""
    inside = ndimage.distance_transform_edt(mask)
    ridge = mask & (inside == ndimage.maximum_filter(inside, size=3))
    if not ridge.any():
        return float("nan")
    return float(np.median(2 * inside[ridge] - 1)) * REFERENCE_SIZE / len(mask)


def edge_width(picture: Picture, field: Mask) -> float:
    """How soft the field's edge is: from 10 to 90 % of its step, in pixels at 512.

    NaN where the field fills the picture or the step is below 10 levels of 8 bits.
    """
    if field.all() or not field.any():
        return float("nan")
    scale = len(picture) / REFERENCE_SIZE
    reach = max(round(_EDGE_REACH_PX * scale), 4)
    inwards = ndimage.distance_transform_edt(field) - ndimage.distance_transform_edt(~field)
    at = np.rint(inwards).astype(int)  # 1 and -1 lie half a pixel beside the edge; there is no 0
    near = np.abs(at) <= reach
    count, total = (
        np.bincount(at[near] + reach, weights, minlength=2 * reach + 1)
        for weights in (None, picture[near].astype(np.float64))
    )
    steps = np.flatnonzero(count) - reach
    profile = (total / np.maximum(count, 1))[steps + reach]
    places = (steps - 0.5 * np.sign(steps)) / scale
    dark, bright = profile[: reach // 3].mean(), profile[-(reach // 3) :].mean()
    if bright - dark < _EDGE_CONTRAST:
        return float("nan")
    rising = np.maximum.accumulate((profile - dark) / (bright - dark))
    low, high = (float(np.interp(share, rising, places)) for share in (0.1, 0.9))
    return high - low


def is_round_or_cut(field: Mask) -> bool:
    """Whether the field is a circle, an octagon or the like: more than 3 % of its bounding box is outside."""
    rows, columns = (np.flatnonzero(field.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return False
    box = field[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return bool(box.mean() < 0.97)


def contrast_beside(depth: Array, around: Mask, vessels: Mask, reach_px: float) -> Array:
    """Depth of the contrast in a region but away from the vessels.

    Parameters
    ----------
    depth
        ln(plain / contrast) of one frame, float (H, W).
    around
        The region that is asked about: the root of the aorta, the heart.
    vessels
        Vessels and devices.
    reach_px
        How far away from them, in pixels at 512.

    Returns
    -------
    float64 (N,)
        One for each pixel: means over some pixels beside the vessels, since 8 bits resolve no faint blush.
    """
    scale = len(depth) / REFERENCE_SIZE
    away = ndimage.distance_transform_edt(~vessels) > max(reach_px * scale, 1.0)
    sigma = _FAINT_PX * scale
    weight = ndimage.gaussian_filter(away.astype(np.float64), sigma)
    mean = ndimage.gaussian_filter(np.where(away, depth, 0.0), sigma) / np.maximum(weight, 1e-9)
    return np.asarray(mean[around & away], dtype=np.float64)


def nearest_edge(tip: Array, size: int) -> float:
    """Distance of a catheter's tip from the upper or the left edge, whichever is nearer, in pixels at 512.

    `tip` is (T, 2), column and row in pixels; NaN without catheter. The median over the frames.
    """
    seen = tip[np.isfinite(tip).all(axis=1)]
    return float(np.median(seen.min(axis=1))) * REFERENCE_SIZE / size if len(seen) else float("nan")


def clutter_cover(clutter: Mask, field: Mask) -> float:
    """Share of the field that clutter covers in %, mean over frames; `clutter` is (T, H, W)."""
    return 100 * float(clutter[:, field].mean()) if field.any() else float("nan")
