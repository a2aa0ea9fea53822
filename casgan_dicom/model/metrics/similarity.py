"""How alike two images are in a region: PSNR and SSIM of display values, peak 1.

A region's PSNR is that of its pixels alone. SSIM compares windows of 11 x 11 px with Gaussian weights,
sigma 1.5 px (Wang et al., IEEE TIP 2004, as scikit-image computes it); a region's SSIM is the mean of the
map over those pixels of the region whose window lies within the image.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.metrics import structural_similarity

Mask = npt.NDArray[np.bool_]
Image = npt.NDArray[np.float32]

WINDOW_RADIUS_PX = 5
"""SSIM's window reaches so far from its middle."""


def psnr(a: Image, b: Image, where: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB, peak 1.

    Parameters
    ----------
    a, b
        Display values in [0, 1], any shape, the same.
    where
        Pixels that count; None counts all.

    Returns
    -------
    float
        Infinite for equal images, NaN where no pixel counts.
    """
    difference = a.astype(np.float64) - b
    chosen = difference if where is None else difference[where]
    if chosen.size == 0:
        return float("nan")
    error = float(np.mean(chosen**2))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def ssim(a: Image, b: Image, where: Mask | None = None, *, closed: bool = False) -> float:
    """Structural similarity, 1 for equal images.

    Parameters
    ----------
    a, b
        Display values in [0, 1], (H, W), at least 11 px each way.
    where
        Region of interest, bool (H, W); None takes the whole image, which is scikit-image's own mean.
    closed
        Count only pixels whose whole window lies in the region: nothing outside it is seen.

    Returns
    -------
    float
        NaN where no pixel counts.

    Raises
    ------
    ValueError
        An image is smaller than the window, or shapes differ.
    """
    inner = np.zeros(a.shape, dtype=np.bool_)
    r = WINDOW_RADIUS_PX
    inner[r:-r, r:-r] = True
    if where is not None:
        whole = ndimage.minimum_filter(where, size=2 * r + 1, mode="nearest") if closed else where
        inner &= whole
    _, values = structural_similarity(  # type: ignore[no-untyped-call]
        a.astype(np.float64),
        b.astype(np.float64),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return float(values[inner].mean()) if inner.any() else float("nan")
