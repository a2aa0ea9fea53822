"""Random tissue: isotropic 1/f^beta fields in the image plane."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]


def fractal_texture(
    rng: np.random.Generator, size: int, pixel_mm: float, *, beta: float, longest_mm: float
) -> FloatImage:
    """Draw a random field whose power falls as 1/f^beta.

    Parameters
    ----------
    rng
        Source of randomness; the same state gives the same picture at one `size`.
    size, pixel_mm
        Rows and columns, and the side of a pixel in mm.
    beta
        Slope of the power spectrum; 2.5 to 3.2 for tissue in projection.
    longest_mm
        Wavelengths above this are left flat, so that the field holds no gradient across the picture.

    Returns
    -------
    float32 (size, size)
        Mean 0, standard deviation 1.
    """
    frequency = np.hypot(np.fft.fftfreq(size, pixel_mm)[:, None], np.fft.rfftfreq(size, pixel_mm)[None, :])
    amplitude = np.maximum(frequency, 1.0 / longest_mm) ** (-beta / 2)
    amplitude[0, 0] = 0.0
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) * amplitude
    field = np.fft.irfft2(spectrum, s=(size, size))
    return np.asarray(field / field.std(), dtype=np.float32)
