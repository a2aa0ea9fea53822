"""Soft clouds: sums of round Gaussians, for agent outside the arteries."""

from __future__ import annotations

import numpy as np

from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.render import FloatImage


def draw_blobs(view: View, points: Array, sigma_mm: Array, volume_mm3: Array) -> FloatImage:
    """Sum the chords of soft balls.

    Parameters
    ----------
    view
        The C-arm.
    points
        float64 (B, 3), their centres, patient mm.
    sigma_mm, volume_mm3
        float64 (B,), standard deviation and volume, the latter times the relative concentration.

    Returns
    -------
    float32 (size, size)
        Path length in mm times concentration. A Gaussian is a product of one over the rows and one over the
        columns, so the sum over all balls is a product of two matrices.
    """
    pixels, scale = view.project(points)
    sigma = np.maximum(sigma_mm * scale, 0.5)
    height = volume_mm3 * scale**2 / (2 * np.pi * sigma**2)
    at = np.arange(view.size, dtype=np.float32)
    steep = (-0.5 / sigma**2).astype(np.float32)[:, None]
    across, down = (np.exp(steep * (at - pixels[:, k, None].astype(np.float32)) ** 2) for k in (0, 1))
    return np.asarray((down * height.astype(np.float32)[:, None]).T @ across)
