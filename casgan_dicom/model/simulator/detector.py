"""From line integrals to stored pixel values: scatter, blur, photon noise, readout and window.

    P = exp(-L)                                  primary beam behind the patient (Beer-Lambert)
    S = k · gauss(P)                             scatter that the grid lets through
    q ~ Poisson(N · blur(P + S))                 detected quanta per pixel
    d = q + Normal(0, sigma_e)                   LIN; LOG takes ln d
    v = window(d)                                stored value, the window fixed for a whole run

A run is calibrated once, on one frame (exposure control and window), so that its brightness never
flickers. A frame is exposed with and without contrast at once: the contrast twin's quanta are a binomial
thinning of the plain twin's, which leaves each twin Poisson and lets both share their noise.

Images are (rows, columns); line integrals are dimensionless, lengths are millimetres on the detector.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

FloatImage = npt.NDArray[np.float32]
StoredImage = npt.NDArray[np.uint16]

FIELD_STOP = 30.0
"""Line integral that a background gives to pixels behind the field stop."""
_BLANK_ABOVE = 20.0  # more than any body and collimator blade: the detector does not read out here
_MIN_QUANTA = 0.5  # the logarithm of nothing is avoided at half a quantum


@dataclass(frozen=True)
class Detector:
    """The imaging chain of one run."""

    photons_per_mm2: float = 7000.0
    """Detected quanta per mm² of detector in the middle of the grey scale (cine about 4,000 to 13,000)."""
    scatter: float = 0.5
    """Scatter-to-primary ratio k behind the grid."""
    scatter_mm: float = 24.0
    """Standard deviation of the scatter kernel."""
    blur_mm: float = 0.28
    """Standard deviation of the detector's point spread before noise (MTF)."""
    readout_blur_px: float = 0.3
    """Standard deviation in pixels of the readout's smoothing, which correlates the grain."""
    electronic_noise: float = 3.0
    """Standard deviation of the readout noise in quanta."""
    relationship: Literal["LIN", "LOG"] = "LIN"
    """Stored values follow the intensity or its logarithm (Pixel Intensity Relationship)."""
    bits: Literal[8, 10, 12] = 8
    """Bits stored."""
    inverted: bool = False
    """Store the complement, to be shown as MONOCHROME1."""
    shutter: bool = True
    """Blacken what the collimator covers, as most consoles do; otherwise blades show in dark grey."""
    window: tuple[float, float] = (0.325, 0.65)
    """Display values in [0, 1] that the 1st and 99th percentile of a plain frame are brought to."""

    @classmethod
    def sample(cls, rng: np.random.Generator, *, bits: Literal[8, 10, 12] = 8) -> Detector:
        """Draw a plausible imaging chain: cine or fluoroscopy, linear or logarithmic, soft or hard window."""
        fluoroscopy = rng.random() < 0.25
        photons = np.exp(rng.uniform(*np.log((1200.0, 3000.0) if fluoroscopy else (4000.0, 13000.0))))
        low, high = rng.normal(0.325, 0.03), rng.normal(0.655, 0.04)
        if rng.random() < 0.2:  # a wide window, as older rooms and burned-in displays have it
            low, high = rng.uniform(0.1, 0.3), rng.uniform(0.65, 0.88)
        return cls(
            photons_per_mm2=float(photons),
            scatter=float(rng.uniform(0.3, 0.8)),
            scatter_mm=float(rng.uniform(16.0, 31.0)),
            blur_mm=float(rng.uniform(0.2, 0.35)),
            readout_blur_px=float(rng.uniform(0.2, 0.55)),
            electronic_noise=float(rng.uniform(1.0, 5.0)),
            relationship="LOG" if rng.random() < 0.4 else "LIN",
            bits=bits,
            inverted=bool(rng.random() < 0.1),
            shutter=bool(rng.random() < 0.65),
            window=(float(np.clip(low, 0.08, 0.4)), float(np.clip(high, 0.55, 0.9))),
        )

    @property
    def max_value(self) -> int:
        """The largest stored value."""
        return (1 << self.bits) - 1


@dataclass(frozen=True)
class Calibration:
    """What the exposure control fixed for a run."""

    pixel_mm: float
    """Side of a pixel on the detector in mm."""
    quanta: float
    """Quanta per pixel for an unattenuated, scatter-free beam."""
    blank: npt.NDArray[np.bool_]
    """Pixels that are shown black whatever they receive, bool (H, W)."""
    low: float
    """Signal (quanta, or their logarithm) that is stored as 0."""
    high: float
    """Signal that is stored as the largest value."""


def calibrate(
    detector: Detector,
    attenuation: FloatImage,
    field_mask: npt.NDArray[np.bool_],
    pixel_mm: float,
) -> Calibration:
    """Set exposure and window of a run on one of its plain frames.

    Parameters
    ----------
    detector
        The imaging chain.
    attenuation
        Line integral without contrast, float32 (H, W); include the catheter.
    field_mask
        Where the beam is open, bool (H, W); only these pixels count.
    pixel_mm
        Side of a pixel on the detector in mm.

    Returns
    -------
    Calibration
        To be used for every frame of the run, plain and with contrast.

    Raises
    ------
    ValueError
        Shapes differ, or the field is empty.
    """
    if attenuation.shape != field_mask.shape:
        raise ValueError(
            f"attenuation is {attenuation.shape}, field_mask {field_mask.shape}; they must agree"
        )
    if not field_mask.any():
        raise ValueError("field_mask is empty: a run needs an open field")
    irradiance = _irradiance(detector, attenuation, pixel_mm)
    quanta = detector.photons_per_mm2 * pixel_mm**2 / float(np.median(irradiance[field_mask]))
    signal = _signal(detector, quanta * irradiance[field_mask])
    blank = ~field_mask if detector.shutter else attenuation > _BLANK_ABOVE
    p1, p99 = (float(p) for p in np.percentile(signal, (1.0, 99.0)))
    d1, d99 = detector.window
    per_unit = max(p99 - p1, 1e-3 * max(abs(p99), 1.0)) / (d99 - d1)
    low = p1 - d1 * per_unit
    return Calibration(pixel_mm, float(quanta), blank, low, low + per_unit)


def expose(
    detector: Detector,
    calibration: Calibration,
    attenuation: FloatImage,
    extra: FloatImage | None,
    rng: np.random.Generator,
) -> tuple[StoredImage, StoredImage]:
    """Expose one frame without and with contrast.

    Parameters
    ----------
    detector, calibration
        The imaging chain and what `calibrate` fixed for this run.
    attenuation
        Line integral of everything but contrast, float32 (H, W); FIELD_STOP where nothing is read out.
    extra
        Line integral of contrast, float32 (H, W), not negative; None for a frame without any.
    rng
        Source of the noise; both twins share it.

    Returns
    -------
    plain, contrast
        uint16 (H, W), 0 to 2**bits - 1; the same array twice when `extra` is None.

    Notes
    -----
    If q ~ Poisson(λ) then Binomial(q, λ'/λ) ~ Poisson(λ'): each twin alone has the right statistics.
    """
    expected = calibration.quanta * _irradiance(detector, attenuation, calibration.pixel_mm)
    counts = rng.poisson(expected)
    electronic = rng.standard_normal(expected.shape, dtype=np.float32) * detector.electronic_noise
    plain = _store(detector, calibration, counts + electronic)
    if extra is None:
        return plain, plain
    thinned = calibration.quanta * _irradiance(detector, attenuation + extra, calibration.pixel_mm)
    kept = np.divide(thinned, expected, out=np.ones_like(expected), where=expected > 0)
    with_contrast = rng.binomial(counts, np.clip(kept, 0.0, 1.0))
    return plain, _store(detector, calibration, with_contrast + electronic)


def _irradiance(detector: Detector, attenuation: FloatImage, pixel_mm: float) -> FloatImage:
    """Primary and scatter behind the point spread, float32 (H, W), 1 for an open scatter-free beam."""
    primary = np.exp(-np.asarray(attenuation, dtype=np.float32))
    total = primary + np.float32(detector.scatter) * _wide_blur(primary, detector.scatter_mm / pixel_mm)
    return np.asarray(ndimage.gaussian_filter(total, detector.blur_mm / pixel_mm, mode="nearest"))


def _signal(detector: Detector, quanta: npt.NDArray[np.floating]) -> FloatImage:
    """What the readout hands on: quanta or their logarithm."""
    values = np.asarray(quanta, dtype=np.float32)
    return np.log(np.maximum(values, _MIN_QUANTA)) if detector.relationship == "LOG" else values


def _store(
    detector: Detector,
    calibration: Calibration,
    quanta: npt.NDArray[np.floating],
) -> StoredImage:
    """Smooth, window, quantise and, for MONOCHROME1, invert."""
    smooth = ndimage.gaussian_filter(
        np.asarray(quanta, dtype=np.float32), detector.readout_blur_px, mode="nearest"
    )
    unit = (_signal(detector, smooth) - calibration.low) / (calibration.high - calibration.low)
    unit[calibration.blank] = 0.0
    stored = np.rint(np.clip(unit, 0.0, 1.0) * detector.max_value).astype(np.uint16)
    return np.asarray(detector.max_value - stored, dtype=np.uint16) if detector.inverted else stored


def _wide_blur(image: FloatImage, sigma_px: float) -> FloatImage:
    """Gaussian blur of a large sigma by two small matrix products per axis, borders replicated."""
    down_rows, up_rows = _wide_kernel(image.shape[0], sigma_px)
    down_columns, up_columns = _wide_kernel(image.shape[1], sigma_px)
    coarse = down_rows @ image @ down_columns.T
    return np.asarray(up_rows @ coarse @ up_columns.T)


@lru_cache(maxsize=32)
def _wide_kernel(size: int, sigma_px: float) -> tuple[FloatImage, FloatImage]:
    """Gaussian sampled on nodes a third of sigma apart, (nodes, size), and linear interpolation back."""
    nodes = np.linspace(0.0, size - 1.0, max(2, int(np.ceil(3.0 * (size - 1) / sigma_px)) + 1))
    pixels = np.arange(size, dtype=np.float64)
    reach = int(np.ceil(4.0 * sigma_px))
    padded = np.arange(-reach, size + reach, dtype=np.float64)
    weights = np.exp(-0.5 * ((padded[None] - nodes[:, None]) / sigma_px) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    down = weights[:, reach : reach + size].copy()
    down[:, 0] += weights[:, :reach].sum(axis=1)
    down[:, -1] += weights[:, reach + size :].sum(axis=1)
    up = np.maximum(0.0, 1.0 - np.abs(pixels[:, None] - nodes[None]) / (nodes[1] - nodes[0]))
    return down.astype(np.float32), up.astype(np.float32)
