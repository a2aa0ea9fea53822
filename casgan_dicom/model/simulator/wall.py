"""The soft wall of the chest: breasts and folds whose borders cross the lungs as fine arcs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.simulator.layered import SOFT_TISSUE
from casgan_dicom.model.simulator.solids import Rays, length

FloatImage = npt.NDArray[np.float32]

_FAT = 0.88  # attenuation of fat and gland relative to soft tissue
_FADING = 2.0  # 1 is a solid ellipsoid; more lets the border fade into the wall


def draw_breasts(
    rng: np.random.Generator, rays: Rays, midline_mm: float, front_mm: float, soft_px: float
) -> FloatImage:
    """Draw what lies in front of the ribs in every second patient.

    Parameters
    ----------
    rng
        Decides whether, how large, how low.
    rays
        The beam.
    midline_mm, front_mm
        Patient x of the sternum, patient y of the skin over it.
    soft_px
        Standard deviation in pixels by which the border is blurred.

    Returns
    -------
    float32 (H, W)
        Line integral.
    """
    image = np.zeros(rays.directions.shape[1:], dtype=np.float32)
    if rng.random() > 0.5:
        return image
    size, thick = rng.uniform(0.75, 1.25), rng.uniform(8.0, 24.0)
    aside, low = rng.uniform(72.0, 98.0), rng.uniform(-45.0, 10.0)
    for side in (-1.0, 1.0):
        centre = np.array([midline_mm + side * aside, front_mm, low]) + rng.normal(0.0, 4.0, 3)
        semi = np.array([74.0 * size, thick, 68.0 * size]) * rng.uniform(0.92, 1.08, 3)
        chord = length(rays.ellipsoid(centre, np.eye(3), semi)) / np.float32(2.0 * thick)
        image += np.float32(_FAT * SOFT_TISSUE * thick) * chord**_FADING
    return np.asarray(ndimage.gaussian_filter(image, soft_px, mode="nearest"))
